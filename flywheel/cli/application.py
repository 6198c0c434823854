"""Typer application of all commands: names, order and panels of `flywheel --help`."""

from __future__ import annotations

import typer

from flywheel.cli import audit, demo, exports, keys, pages, promotions, queues, rounds, stack, submit, trials
from flywheel.export import ExportFormat

HELP = (
    "Labels PDFs for OCR training, and trains the recognisers that label them better.\n\n"
    "Submit documents: every page gets a label, and a verdict with a reason. Start a round for a language: "
    "a checkpoint that does better is promoted, and reads what nothing could read before. Export the result."
)
EPILOG = "\n".join(
    (
        "[bold]First steps[/]",
        "  flywheel demo                                 the loop, on a drawn corpus",
        "  flywheel up --detach                          start the embedded stack here",
        "  flywheel submit books/ -c books -l bo --wait  label a folder of PDFs, scans",
        "  flywheel pages books --verdict rejected       which pages, and why",
        "  flywheel round start -l bo --wait             learn from the accepted ones",
        "  flywheel export books --to out/               a training set, as Parquet",
        "",
        "Every command takes --json. Exit codes: 0 done, 1 the work failed, 2 the call was wrong.",
    )
)
STACK, INTAKE, LOOP, OUT, ADMIN = "The stack", "Documents and pages", "The loop", "Results", "Administration"


def build() -> typer.Typer:
    """Build the application. Importing the commands costs little more than Typer itself."""
    app = typer.Typer(
        help=HELP,
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for panel, commands in {
        STACK: (demo.demo, stack.up, stack.down, stack.status),
        INTAKE: (submit.submit, queues.queues, pages.corpora, pages.pages, pages.page, audit.audit),
        LOOP: (promotions.checkpoints, promotions.promote, promotions.rollback),
        OUT: (trials.read, trials.evaluate, exports.export),
    }.items():
        for command in commands:
            epilog = EXAMPLES.get(command.__name__)
            app.command(rich_help_panel=panel, epilog=epilog, no_args_is_help=False)(command)
    app.add_typer(rounds.app, name="round", rich_help_panel=LOOP)
    app.add_typer(keys.app, name="keys", rich_help_panel=ADMIN)
    return app


def _examples(*lines: str) -> str:
    return "\n".join(("[bold]Examples[/]", *(f"  {line}" for line in lines)))


EXAMPLES = {
    "demo": _examples("flywheel demo --data-dir /tmp/demo --report report.json"),
    "up": _examples(
        "flywheel up                       in the foreground; Ctrl-C ends it all",
        "flywheel up --detach              in the background; `flywheel down` ends it",
    ),
    "submit": _examples(
        "flywheel submit book.pdf --corpus books --language bo --wait",
        "flywheel submit scans/ more.zip --corpus scans --language en",
        "Files the corpus holds already are reported and not stored twice, so a call may be repeated.",
    ),
    "queues": _examples("flywheel queues --watch"),
    "pages": _examples(
        "flywheel pages books                              how it stands, and why",
        "flywheel pages books --verdict rejected           those pages",
        "flywheel pages books --reason garbled_characters --json",
    ),
    "page": _examples("flywheel page 42 --image page.png      with the label drawn on it"),
    "audit": _examples("flywheel audit books"),
    "promote": _examples("flywheel promote line-bo-3"),
    "rollback": _examples("flywheel rollback --language bo"),
    "read": _examples(
        "flywheel read leaf.png --language bo",
        "flywheel read book.pdf --checkpoint line-bo-3 --json",
        "flywheel read page.png --reader deepseek-ocr --mode gundam",
    ),
    "evaluate": _examples(
        "flywheel evaluate --checkpoint line-bo-3 truth/",
        "truth/ holds pairs: a.png and a.txt, b.pdf and b.txt ...",
        "flywheel evaluate --checkpoint deepseek-ocr --modes tiny,small,base truth/ --plot study.svg",
    ),
    "export": _examples(
        "flywheel export books --format parquet --to out/",
        "python -c \"import datasets; print(datasets.load_dataset('out/'))\"",
        "",
        *(f"{format:13}{format.explanation}" for format in ExportFormat),
    ),
}
