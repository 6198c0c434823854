"""demo: the whole loop, once, on a corpus drawn on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flywheel.cli.connection import AsJson, DataDir, data_directory


def demo(
    data_dir: DataDir = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write what happened as JSON.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn the flywheel once: draw a corpus, label it, train, promote, relabel, export."""
    import contextlib
    import json
    import sys
    import tempfile

    from flywheel.cli import show
    from flywheel.demo import run

    directory = data_directory(data_dir)
    if not as_json:
        run(directory, report)
        return
    with tempfile.TemporaryDirectory() as scratch:
        written = report or Path(scratch) / "report.json"
        with contextlib.redirect_stdout(sys.stderr):  # the show goes on, beside the JSON
            run(directory, written)
        show.print_json(json.loads(written.read_text()))
