"""Command line of the service. All commands go through the client, but for those of the embedded stack.

Commands live in one module a noun. Those import their libraries when they run, so
that `flywheel --help` answers at once. Exit codes: 0 done, 1 the work failed, 2 the
call was wrong.
"""

from __future__ import annotations

import sys

from flywheel.cli.application import build

__all__ = ["app", "main"]

INTERRUPTED = 130  # what Typer makes of Ctrl-C

app = build()


def main() -> None:
    """Run the `flywheel` command and exit with its code."""
    from flywheel.cli.failures import exit_code, print_error
    from flywheel.errors import FlywheelError

    try:
        app()
    except FlywheelError as error:
        print_error(error, as_json="--json" in sys.argv)
        sys.exit(exit_code(error))
    except BrokenPipeError:  # the reader of our output, `head` perhaps, has had enough
        sys.stderr.close()
        sys.exit(1)
    except SystemExit as end:
        if end.code == INTERRUPTED:
            print("interrupted; what a running stack was given goes on without us", file=sys.stderr)
        raise
