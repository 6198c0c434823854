"""API keys: `fw_<id>_<secret>`, shown once; the table holds the SHA-256 of a 256-bit secret.

    id, plain = create(session, "ingest host", [Scope.SUBMIT, Scope.READ])
    holder = verify(session, plain)          # raises KeyRefused
    require(holder, Scope.REVIEW)               # raises ScopeMissing

A key that was found good is remembered for a few seconds, so a request costs no
query of its own; a revocation takes hold everywhere within CACHE_SECONDS.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from flywheel.database import transaction
from flywheel.database.tables import ApiKeyRow
from flywheel.errors import FlywheelError, NotFound
from flywheel.scopes import Scope
from flywheel.settings import settings

PREFIX = "fw"
CACHE_SECONDS = 5.0
CACHE_KEYS = 1024


class KeyRefused(FlywheelError):
    """The key is malformed, unknown, expired or revoked (API: 401). The message does not tell which."""


class ScopeMissing(FlywheelError):
    """The key is good, but not for this (API: 403)."""


@dataclass(frozen=True, slots=True)
class _Known:
    row: ApiKeyRow
    until: float  # time.monotonic


_cache: OrderedDict[str, _Known] = OrderedDict()  # by SHA-256 of the whole key: no secret is kept
_cache_lock = threading.Lock()


def create(
    session: Session, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> tuple[str, str]:
    """Make a key: (id, plain). The plain form exists only here. Raises ValueError for none or an unknown scope."""
    wanted = sorted({str(scope) for scope in scopes})
    if not wanted or set(wanted) - set(Scope):
        raise ValueError(f"scopes are some of {', '.join(Scope)}; not {', '.join(wanted) or 'none'}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    session.add(
        ApiKeyRow(id=key_id, name=name, secret_sha256=_digest(secret), scopes=wanted, expires_at=expires_at)
    )
    session.flush()
    return key_id, f"{PREFIX}_{key_id}_{secret}"


def create_embedded_key(database_url: str) -> str:
    """Make a key of all scopes for the owner of an embedded stack; return its plain form."""
    with transaction(database_url) as session:
        return create(session, "embedded stack", [Scope.ADMIN])[1]


def verify(session: Session, plain: str) -> ApiKeyRow:
    """Look up the row of a key that is good now, detached from the session. Raises KeyRefused."""
    key_id, secret = _parse(plain)
    known = _recall(plain)
    if known is not None:
        return known
    found = session.execute(select(ApiKeyRow, func.now()).where(ApiKeyRow.id == key_id)).one_or_none()
    stored = found[0].secret_sha256 if found else _digest("")
    # An unknown id costs the same comparison as a known one.
    genuine = hmac.compare_digest(stored, _digest(secret))
    if found is None or not genuine:
        raise KeyRefused("no such API key")
    row, now = found[0], found[1]
    left = CACHE_SECONDS if row.expires_at is None else (row.expires_at - now).total_seconds()
    if row.revoked_at is not None or left <= 0:
        raise KeyRefused("no such API key")
    session.expunge(row)
    _remember(plain, row, min(left, CACHE_SECONDS))
    return row


def require(holder: ApiKeyRow, scope: Scope) -> None:
    """Raise ScopeMissing unless the key has `scope`; admin has them all."""
    if scope not in holder.scopes and Scope.ADMIN not in holder.scopes:
        raise ScopeMissing(
            f"this needs a key with the scope {scope.value!r}; this one has {', '.join(holder.scopes)}"
        )


def revoke(session: Session, key_id: str) -> None:
    """End a key for good; ending it twice is harmless. Raises NotFound."""
    done = session.execute(
        update(ApiKeyRow)
        .where(ApiKeyRow.id == key_id)
        .values(revoked_at=func.coalesce(ApiKeyRow.revoked_at, func.now()))
        .returning(ApiKeyRow.id)
    )
    if done.first() is None:
        raise NotFound(f"no API key has the id {key_id!r}")
    with _cache_lock:
        for digest in [digest for digest, known in _cache.items() if known.row.id == key_id]:
            del _cache[digest]


def _digest(secret: str) -> str:
    # A plain hash is enough: the secret has 256 bits, so there is nothing to guess.
    return hashlib.sha256(secret.encode()).hexdigest()


def _parse(plain: str) -> tuple[str, str]:
    prefix, _, rest = plain.partition("_")
    key_id, _, secret = rest.partition("_")
    well_formed = prefix == PREFIX and key_id.isalnum() and secret and plain.isascii() and len(plain) <= 200
    if not well_formed:
        raise KeyRefused("no such API key")
    return key_id, secret


def _recall(plain: str) -> ApiKeyRow | None:
    with _cache_lock:
        known = _cache.get(_digest(plain))
        return known.row if known and time.monotonic() < known.until else None


def _remember(plain: str, row: ApiKeyRow, seconds: float) -> None:
    with _cache_lock:
        _cache[_digest(plain)] = _Known(row, time.monotonic() + seconds)
        _cache.move_to_end(_digest(plain))
        while len(_cache) > CACHE_KEYS:
            _cache.popitem(last=False)


def main() -> None:
    """`python -m flywheel.keys`: print a first key of all scopes for a cluster."""
    print(create_embedded_key(settings().database_url))


if __name__ == "__main__":
    main()
