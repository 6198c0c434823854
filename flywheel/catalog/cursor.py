"""Keyset cursors: positions in a listing, opaque to the caller and bound to the query they came from.

A cursor holds ids alone, which its holder has seen already; the checksum is there
to turn typing errors, tampering and a cursor of another query into an error
instead of a silently wrong page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping

from flywheel.errors import FlywheelError

Filters = Mapping[str, str | int | None]


class CursorRefused(FlywheelError):
    """The cursor was not made for this query (API: 422)."""


def encode(position: tuple[int, ...], filters: Filters) -> str:
    """Cursor of a listing that goes on after `position`."""
    body = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_checksum(body, filters) + body).decode().rstrip("=")


def decode(cursor: str, filters: Filters, length: int) -> tuple[int, ...]:
    """Position, of `length` integers, that `cursor` holds. Raises CursorRefused."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, body = raw[:8], raw[8:]
        position = json.loads(body) if checksum == _checksum(body, filters) else None
    except (binascii.Error, ValueError) as error:
        raise CursorRefused("the cursor cannot be read") from error
    if not isinstance(position, list) or len(position) != length:
        raise CursorRefused("the cursor belongs to another query")
    return tuple(int(part) for part in position)


def _checksum(body: bytes, filters: Filters) -> bytes:
    digest = hashlib.blake2b(body, digest_size=8, person=b"flywheel-cursor")
    digest.update(json.dumps(dict(filters), sort_keys=True).encode())
    return digest.digest()
