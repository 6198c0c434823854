"""Lines a second and CER of the `line` recogniser, against Tesseract where it is installed.

    python benchmarks/lines.py --checkpoint DIR [--lines 200] [--threads 1] [--language bod]
    python benchmarks/lines.py --train-seconds 120            trains one on drawn lines first

The lines are drawn Tibetan, degraded as scans are, and never seen in training. Both readers get the
same images, one process each, the same number of threads. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Drawn = list[tuple[NDArray[np.uint8], str]]
ROOTS = "ཀཁགངཅཆཇཉཏཐདནཔཕབམཙཚཛཝཞཟའཡརལཤསཧཨ"
VOWELS = ("", "", "ི", "ུ", "ེ", "ོ")
FINALS = ("", "", "ག", "ང", "ད", "ན", "བ", "མ", "འ", "ར", "ལ", "ས", "གས", "ངས")
STACKS = ("ཀྱ", "ཁྲ", "གྲ", "སྐ", "རྒྱ", "ལྟ", "སྤྲ", "བླ", "རྫ", "སྔ", "ལྕ", "རྨ", "ཀླ", "སྨྱ", "དྲ", "ཕྱ")


def main() -> int:
    call = arguments()
    os.environ["OMP_NUM_THREADS"] = os.environ["OMP_THREAD_LIMIT"] = str(call.threads)
    import torch

    torch.set_num_threads(call.threads)
    lines = draw(call.lines, call.seed)
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = call.checkpoint or train(Path(scratch), call)
        report = {
            "lines": len(lines),
            "characters": sum(len(text) for _, text in lines),
            "threads": call.threads,
            "line": measure_line(checkpoint, lines),
            "tesseract": measure_tesseract(lines, call.language),
        }
    report["speed_ratio"] = ratio(report["line"], report["tesseract"], "lines_per_second")
    report["cer_ratio"] = ratio(report["line"], report["tesseract"], "cer")
    json.dump(report, sys.stdout, indent=1)
    print()
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/lines.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--checkpoint", type=Path, help="directory of a `line` checkpoint that reads Tibetan")
    parser.add_argument("--train-seconds", type=float, default=120.0, help="without --checkpoint: train this long")
    parser.add_argument("--train-lines", type=int, default=2000, help="without --checkpoint: on this many lines")
    parser.add_argument("--lines", type=int, default=200, help="lines to read")
    parser.add_argument("--threads", type=int, default=1, help="threads of each reader")
    parser.add_argument("--language", default="bod", help="Tesseract's traineddata")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def draw(count: int, seed: int, *, degraded: bool = True) -> Drawn:
    """Lines in random shapes of the drawing face; half of the words hold a stack."""
    from models.line_training.drawn import DrawnLines
    from models.training.augment import degrade

    words, generator, drawn = random.Random(seed), np.random.default_rng(seed), DrawnLines()
    out: Drawn = []
    while len(out) < count:
        text = "".join(syllable(words) + "་" for _ in range(words.randint(8, 18)))
        image = drawn.draw(text, generator)
        if image is not None:
            out.append((degrade(image, generator) if degraded else image, text))
    return out


def syllable(words: random.Random) -> str:
    root = words.choice(STACKS) if words.random() < 0.5 else words.choice(ROOTS)
    return root + words.choice(VOWELS) + words.choice(FINALS)


def train(scratch: Path, call: argparse.Namespace) -> Path:
    """A checkpoint trained on other drawn lines."""
    from flywheel.recipes import load_recipe
    from models.line_training.dataset import LineSample, write_patches
    from models.trainers import train as train_on
    from models.training.job import TrainingJob
    from models.training.manifest import write_manifest

    data = scratch / "data"
    data.mkdir()
    lines = draw(call.train_lines, call.seed + 1000, degraded=False)
    rows = [LineSample(str(i % 20), i, 0, text, image) for i, (image, text) in enumerate(lines)]
    write_patches(data / "lines.parquet", rows)
    write_manifest(data, splits={str(i): "train" if i else "validation" for i in range(20)}, language="bo")
    result = train_on(
        TrainingJob(
            dataset=data,
            out=scratch / "checkpoint",
            recipe=load_recipe("line", {"seconds": call.train_seconds}),
            language="bo",
            scripts=("Tibt",),
            resume=scratch / "resume",
        )
    )
    return result.directory


def measure_line(checkpoint: Path, lines: Drawn) -> dict[str, Any]:
    from models.recognition.line import LineRecogniser

    recogniser = LineRecogniser.load(checkpoint)
    images = [image for image, _ in lines]
    recogniser.read(images[:8])
    since = time.perf_counter()
    readings = recogniser.read(images)
    seconds = time.perf_counter() - since
    return outcome(lines, [reading.text for reading in readings], seconds)


def measure_tesseract(lines: Drawn, language: str) -> dict[str, Any]:
    """One process over a list of images, as Tesseract is fastest; "absent" where it or its data is."""
    program = shutil.which("tesseract")
    if program is None:
        return {"absent": "no tesseract on PATH"}
    known = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False).stdout.split()
    if language not in known:
        return {"absent": f"tesseract has no {language}"}
    with tempfile.TemporaryDirectory() as scratch:
        names = []
        for number, (image, _) in enumerate(lines):
            names.append(f"{scratch}/{number:05d}.png")
            cv2.imwrite(names[-1], cv2.copyMakeBorder(image, 10, 10, 10, 10, cv2.BORDER_REPLICATE))
        listing = Path(scratch) / "lines.txt"
        listing.write_text("\n".join(names))
        command = [program, str(listing), "stdout", "-l", language, "--psm", "7"]
        since = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - since
    pages = done.stdout.split("\f")[: len(lines)]
    return outcome(lines, [page.strip() for page in pages] + [""] * (len(lines) - len(pages)), seconds)


def outcome(lines: Drawn, readings: list[str], seconds: float) -> dict[str, Any]:
    from models.scores import score

    scores = score([text for _, text in lines], readings)
    return {
        "lines_per_second": round(len(lines) / seconds, 1),
        "seconds": round(seconds, 3),
        "cer": round(scores.cer, 4),
        "cer_low": round(scores.cer_low, 4),
        "cer_high": round(scores.cer_high, 4),
        "wer": round(scores.wer, 4),
    }


def ratio(ours: dict[str, Any], theirs: dict[str, Any], key: str) -> float | None:
    return round(ours[key] / theirs[key], 3) if theirs.get(key) else None


if __name__ == "__main__":
    sys.exit(main())
