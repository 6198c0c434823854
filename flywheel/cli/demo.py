"""demo: the whole loop, once, on a corpus drawn on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli import show
from flywheel.cli.connection import data_directory
from flywheel.cli.options import AsJson, DataDir


def demo(
    data_dir: DataDir = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write what happened as JSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop once: draw a corpus, label it, train, promote, relabel, export."""
    from flywheel.demo import run

    written = run(data_directory(data_dir), report)  # tells of its progress on standard error
    show.answer(written, lambda: None, as_json=as_json)
