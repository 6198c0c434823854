"""Errors of commands: a line for people with a hint, or JSON, and the exit code."""

from __future__ import annotations

import json
import sys

from flywheel.errors import ApiError, Conflict, FlywheelError, NotFound, Rejected, SetupError

FAILED, WRONG_CALL = 1, 2


def exit_code(error: FlywheelError) -> int:
    """Exit code: 2 when the call was wrong, because its object does not exist or forbids it; else 1."""
    if isinstance(error, ApiError):
        return WRONG_CALL if 400 <= error.status < 500 and error.status != 429 else FAILED
    return WRONG_CALL if isinstance(error, NotFound | Conflict | Rejected) else FAILED


def advice(error: FlywheelError) -> str | None:
    """Hint at the next step, where one is known."""
    if isinstance(error, ApiError):
        if error.status == 0:
            return "is it up? `flywheel status` tells; `flywheel up` starts the embedded stack"
        if error.status == 401:
            return "FLYWHEEL_API_KEY is not a key of this server, or it was revoked"
        if error.status == 403:
            return "make one that may: flywheel keys create --scope ..."
        if error.status == 503:
            return "the server's database or store does not answer; `flywheel status`, then try again"
        if error.status >= 500:
            return "the server's log has the cause"
        if error.status == 404 and "corpus" in error.detail:
            return "`flywheel corpora` lists those there are"
    return None


def print_error(error: FlywheelError, *, as_json: bool) -> None:
    """Print an error to standard error, as text or as the API's own JSON."""
    if as_json:
        code = error.code if isinstance(error, ApiError) else _code(error)
        print(json.dumps({"error": {"code": code, "detail": str(error)}}, ensure_ascii=False), file=sys.stderr)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)
    console.print(Text.assemble(("error ", "bold red"), str(error)))
    if hint := advice(error):
        console.print(Text.assemble(("      ", ""), (hint, "dim")))


def _code(error: FlywheelError) -> str:
    if isinstance(error, Rejected):
        return error.reason.value
    return {SetupError: "setup_error", NotFound: "not_found", Conflict: "conflict"}.get(type(error), "failed")
