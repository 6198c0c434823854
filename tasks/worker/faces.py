"""Typefaces of scripts: those that PyMuPDF carries, written once a machine by a process of its own.

MuPDF is loaded by no process of the service (see flywheel/pdf/child.py); nor is it for this.
"""

from __future__ import annotations

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from flywheel.settings import settings
from flywheel.text.scripts import parts

if TYPE_CHECKING:
    from models.verification.drawn import Typeface

log = structlog.get_logger()

FACES = 8  # kept in memory at once
SECONDS = 60.0
# MuPDF's numbers of scripts (ucdn.h), by ISO 15924 code. Ideographs, kana and hangul share one fallback face.
NUMBERS = {
    code: number
    for number, codes in {
        1: "Latn Grek Cyrl",
        4: "Armn",
        5: "Hebr",
        6: "Arab",
        7: "Syrc",
        8: "Thaa",
        9: "Deva",
        10: "Beng",
        11: "Guru",
        12: "Gujr",
        13: "Orya",
        14: "Taml",
        15: "Telu",
        16: "Knda",
        17: "Mlym",
        18: "Sinh",
        19: "Thai",
        20: "Laoo",
        21: "Tibt",
        22: "Mymr",
        23: "Geor",
        25: "Ethi",
        26: "Cher",
        27: "Cans",
        30: "Khmr",
        35: "Hani Hira Kana Hang Bopo",
        36: "Yiii",
        65: "Nkoo",
        68: "Olck",
    }.items()
    for code in codes.split()
}


@lru_cache(maxsize=FACES)
def typeface(script: str) -> Typeface | None:
    """The face of a script (ISO 15924); None where there is none."""
    from models.verification.drawn import Typeface

    number = next((NUMBERS[code] for code in sorted(parts(script)) if code in NUMBERS), None)
    if number is None:
        return None
    path = settings().work_dir / "faces" / f"script-{number}.ttf"
    try:
        if not path.exists():
            _write(number, path)
        return Typeface(path.read_bytes())
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("no face for a script", script=script, error=str(error))
        return None


def _write(number: int, path: Path) -> None:
    command = [sys.executable, "-P", "-m", "flywheel.sample.faces", str(number), str(path.absolute())]
    subprocess.run(command, check=True, capture_output=True, timeout=SECONDS)
