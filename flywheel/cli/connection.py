"""Connection of a command to its server: the embedded stack of a directory, or FLYWHEEL_API_URL's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from flywheel.errors import SetupError
from flywheel.states import StackState

if TYPE_CHECKING:
    from flywheel.client import Client

DEFAULT_DIR = Path(".flywheel")


def data_directory(given: Path | None) -> Path:
    """Directory of the embedded stack: the option, else FLYWHEEL_DATA_DIR, else .flywheel."""
    return given or Path(os.environ.get("FLYWHEEL_DATA_DIR") or DEFAULT_DIR)


def connect(given: Path | None) -> Client:
    """Connect to the server of --data-dir, else of FLYWHEEL_API_URL, else of the default directory.

    Raises SetupError that says what to do when there is none.
    """
    from flywheel.client import Client

    url = os.environ.get("FLYWHEEL_API_URL")
    if url and given is None:
        key = os.environ.get("FLYWHEEL_API_KEY")
        if not key:
            raise SetupError("FLYWHEEL_API_URL is set, FLYWHEEL_API_KEY is not; set it to a key of that server")
        return Client(url, key)
    return Client(*_embedded(data_directory(given)))


def _embedded(directory: Path) -> tuple[str, str]:
    """URL and key of the stack that runs in `directory`."""
    try:
        from flywheel import local
    except ImportError as error:
        raise SetupError(
            f"the embedded stack is not installed ({error.name}); set FLYWHEEL_API_URL and FLYWHEEL_API_KEY, "
            "or install flywheel-ocr[embedded]"
        ) from error
    stack = local.find(directory)
    if stack is None:
        state = local.status(directory)
        doing = "is starting" if state.state is StackState.STARTING else "does not run"
        raise SetupError(
            f"the stack in {directory} {doing}; run `flywheel up --data-dir {directory} --detach`, "
            "or set FLYWHEEL_API_URL and FLYWHEEL_API_KEY for another"
        )
    return stack.api_url, stack.api_key
