"""`python -m flywheel.sample DIR [--seed N] [--scale X]`: draws the sample corpus, in a process of its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from flywheel.sample.drawing import draw_files


def main() -> None:
    parser = argparse.ArgumentParser(prog="flywheel.sample", description="Draws the sample corpus.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", type=float, default=1.0)
    call = parser.parse_args()
    draw_files(call.directory, seed=call.seed, scale=call.scale)


if __name__ == "__main__":
    main()
