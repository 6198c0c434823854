"""Pages that are believed among planted lies, by kind and script, and sound pages that are not.

    python benchmarks/planted_lies.py [--scripts Latn,Tibt] [--kinds hidden_layer] [--fonts SCRIPT=FILE ...]

Each of the lies of benchmarks/lies.py is drawn in ten scripts, and so are sound documents in several faces and
sizes; all go through what the coarse stop does. A page is believed when its label is accepted, teaches and says
another text than the page shows (more than 2 % of the characters), or shows lines that nobody may learn from.
Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from rapidfuzz.distance import Levenshtein

from benchmarks.lies import LIES, UNFIT, Draft, draw_sound, face_of
from benchmarks.scripts import SCRIPTS, Script
from flywheel.database.tables import DocumentRow
from flywheel.gate import Gate
from flywheel.labels.recording import LabelledPage
from flywheel.pdf import PageFailure, Sandbox
from flywheel.pdf.coarse import label as coarse_label
from tasks.worker.verification import builtin_reader, judge_layers

FAR = 0.02  # of the characters: beyond, a text is another than the page's
CUT_FACES = ("regular", "bold", "slanted")
SIZES = (1.0, 0.7)
SERVICE = {
    "FLYWHEEL_DATABASE_URL": "postgresql+psycopg://127.0.0.1:1/none",
    "FLYWHEEL_REDIS_URL": "redis://127.0.0.1:1",
    "FLYWHEEL_STORE_URL": "file://{directory}/store",
    "FLYWHEEL_WORK_DIR": "{directory}/work",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A page's verdict, and how far its label is from what the page shows (0..1)."""

    accepted: bool
    reason: str
    distance: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", default=",".join(SCRIPTS))
    parser.add_argument("--kinds", default=",".join(LIES))
    parser.add_argument("--fonts", nargs="*", default=[], help="further faces of a script")
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    scripts = [SCRIPTS[code] for code in arguments.scripts.split(",")]
    given: dict[str, list[Path]] = defaultdict(list)
    for font in arguments.fonts:
        code, file = font.split("=", 1)
        given[code].append(Path(file))
    believed: dict[str, Counter[str]] = defaultdict(Counter)
    lying: Counter[str] = Counter()
    sound: dict[str, Counter[str]] = defaultdict(Counter)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch, Sandbox() as sandbox:
        directory = Path(scratch)
        for (
            name,
            value,
        ) in SERVICE.items():  # nothing of it is asked, but the worker's parts want to know where it is
            os.environ.setdefault(name, value.format(directory=directory))
        for script in scripts:
            for draft in drafts(script, given[script.code], arguments.seeds, directory):
                path = draw_sound(directory / "sound.pdf", draft)
                for page in judge(sandbox, path, draft):
                    sound[script.code]["accepted" if page.accepted else page.reason] += 1
            for face in [face_of(script, "regular", directory), *given[script.code]]:
                draft = Draft(script, face, 7, script.size)
                path = draw_sound(directory / "sound.pdf", draft)
                for kind in arguments.kinds.split(","):
                    copy = LIES[kind](path, directory / f"{script.code}-{kind}.pdf", draft)
                    for page in judge(sandbox, copy, draft):
                        lying[kind] += 1
                        far = page.distance > FAR or kind in UNFIT or kind == "mostly_outlines"
                        believed[kind][script.code] += page.accepted and far
    print(json.dumps(report(believed, lying, sound, started), indent=2, ensure_ascii=False))


def drafts(script: Script, faces: list[Path], seeds: int, directory: Path) -> Iterator[Draft]:
    """The sound documents of a script: each face in two sizes."""
    cuts = [face_of(script, cut, directory) for cut in CUT_FACES]
    for seed in range(seeds):
        for face in (*cuts, *faces):
            for size in SIZES:
                yield Draft(script, face, 100 + seed, script.size * size)


def judge(sandbox: Sandbox, path: Path, draft: Draft) -> list[Judged]:
    """The pages of a document as the coarse stop judges them."""
    language, labelled, failed = draft.script.language, {}, {}
    for page in sandbox.text(path, [0, 1], layout=False):
        if isinstance(page, PageFailure):
            failed[page.number] = page.reason.value
            continue
        label, counts = coarse_label(page, language)
        verdict = Gate().judge_coarse(label, page.facts, counts, language)
        labelled[page.facts.number] = LabelledPage(page.facts.number, label, verdict, page.facts)
    document = DocumentRow(id=0, language=language)
    lying = judge_layers(document, labelled, path, lambda _language, _script: builtin_reader())
    found = []
    for number, lines in enumerate(draft.shown):
        if number in failed:
            found.append(Judged(False, failed[number], 1.0))
            continue
        one = labelled[number]
        verdict = lying.get(number, one.verdict)
        far = distance(one.label.text, "\n".join(lines))
        found.append(Judged(verdict.accepted, verdict.reason.value, far))
    return found


def distance(said: str, shown: str) -> float:
    """Edits a character, blanks left out: of the order of lines nothing is asked."""
    one, two = (
        sorted(filter(None, ("".join(unicodedata.normalize("NFC", line).split()) for line in text.split("\n"))))
        for text in (said, shown)
    )
    return Levenshtein.distance("".join(one), "".join(two)) / max(1, len("".join(two)))


def report(
    believed: dict[str, Counter[str]], lying: Counter[str], sound: dict[str, Counter[str]], started: float
) -> dict[str, Any]:
    return {
        "lying_pages": lying.total(),
        "believed": sum(c.total() for c in believed.values()),
        "believed_by_kind": {kind: {c: n for c, n in by.items() if n} for kind, by in believed.items()},
        "sound_pages": sum(c.total() for c in sound.values()),
        "sound_refused": {c: {r: n for r, n in by.items() if r != "accepted"} for c, by in sound.items()},
        "seconds": round(time.perf_counter() - started, 1),
    }


if __name__ == "__main__":
    main()
