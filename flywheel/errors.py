"""Errors that the project raises on purpose, in one tree.

    FlywheelError
    |-- Rejected            the input is at fault: recorded with a reason, never retried
    |-- Transient           the surroundings are at fault: tried again later
    |   |-- StoreUnavailable
    |   |-- BrokerUnavailable
    |   |-- DatabaseUnavailable
    |   `-- DeviceBusy
    |-- LeaseLost           another worker holds the shard now: drop what you did
    |-- Cancelled           someone asked for this work to stop
    |-- Stopping            this worker was asked to end: give the shard back uncharged
    |-- BlobMissing         no blob under this key
    |-- BlobCorrupt         the blob's bytes do not match its key
    |-- Conflict            the call contradicts what is recorded (API: 409)
    |-- KeyRefused          an API key that is unknown, expired or revoked (401; flywheel/keys.py)
    |-- ScopeMissing        an API key without the scope that is asked for (403; flywheel/keys.py)
    |-- CursorRefused       a cursor that the server did not make (422; flywheel/catalog/cursor.py)
    |-- NotFound            no such corpus, page, round ... (API: 404)
    |-- SetupError          the machine or the settings are at fault; the text says what to do
    `-- ApiError            what the client raises when the server refuses

`Rejected` carries a `Reason` (flywheel/reasons.py). A vendor's exception is
translated into this tree where it enters, so callers catch these alone.
"""

from __future__ import annotations

from flywheel.reasons import Reason


class FlywheelError(Exception):
    """Root of the tree."""


class Rejected(FlywheelError):
    """The input cannot be used; `reason` says why, `detail` says what was seen."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail or reason.explanation}")
        self.reason = reason
        self.detail = detail


class Transient(FlywheelError):
    """Trying the same thing later may work."""


class StoreUnavailable(Transient):
    """The blob store did not answer, or has no room."""


class BrokerUnavailable(Transient):
    """Redis did not answer, or has no room."""


class DatabaseUnavailable(Transient):
    """Postgres did not answer."""


class DeviceBusy(Transient):
    """Another process, which the message names, has the device for now."""


class LeaseLost(FlywheelError):
    """The lease ran out and the shard belongs to someone else, or to nobody."""


class Cancelled(FlywheelError):
    """The work was cancelled by a person."""


class Stopping(FlywheelError):
    """The worker is shutting down; the work goes to another."""


class BlobMissing(FlywheelError):
    """No blob is stored under this key."""


class BlobCorrupt(FlywheelError):
    """The stored bytes do not hash to their key."""


class Conflict(FlywheelError):
    """The call contradicts the records."""


class NotFound(FlywheelError):
    """Nothing has this name or id."""


class SetupError(FlywheelError):
    """The machine or its settings need a change, which the message names."""


class ApiError(FlywheelError):
    """The server's refusal, as the client sees it."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail or code)
        self.status = status
        self.code = code
        self.detail = detail
