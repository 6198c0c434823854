"""Options and arguments that several commands take, each with one text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        metavar="DIR",
        show_default=False,
        help="The embedded stack's directory [FLYWHEEL_DATA_DIR; .flywheel].",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

_LANGUAGE = typer.Option("--language", "-l", metavar="TAG", help="BCP-47 tag, e.g. bo.")
Language = Annotated[str | None, _LANGUAGE]
RequiredLanguage = Annotated[str, _LANGUAGE]

CorpusArgument = Annotated[str, typer.Argument(metavar="CORPUS", show_default=False)]
