"""How long a server is waited for: time limits, and what one call may spend on asking again.

    Budget(patience, pages).turn()       around every request: while the server is away, one at a time
    .failed(sent, after) -> seconds      to wait before asking again; raises Transient when all is spent
    .answered()

A server that is down or full is not helped by every page knocking again. Failures of requests that were under
way together count as one; until the next answer, one request at a time finds out whether the server is back.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from flywheel.errors import Transient


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, but for `attempts`, `spare`, `share` and `size`."""

    connect: float = 10.0
    answer: float = 600.0  # from asking to the last byte: 8192 tokens take minutes on a busy server
    attempts: int = 2  # that one page gets whose replies are of no use
    spare: int = 8  # times that a call may ask again,
    share: float = 0.2  # and this many more a page
    outage: float = 120.0  # without any answer, after a first failure
    first: float = 0.5  # the pause before asking again, doubled each time ...
    most: float = 30.0  # ... up to this
    size: int = 8 << 20  # most bytes of a reply


class Budget:
    """What is left to one call, shared by its pages."""

    def __init__(self, patience: Patience, pages: int) -> None:
        self._patience = patience
        self._left = patience.spare + int(patience.share * pages)
        self._failures = 0  # since the last answer
        self._outage = 0.0  # when the first of them was
        self._noted = 0.0  # when the last of them was
        self._quiet = 0.0  # nobody asks before this time
        self._one = asyncio.Lock()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for the turn to ask."""
        while self._failures:
            async with self._one:
                if self._failures:
                    await asyncio.sleep(max(0.0, self._quiet - time.monotonic()))
                    yield
                    return
        yield

    def answered(self) -> None:
        self._failures = 0

    def failed(self, sent: float, cause: Exception, after: float | None = None) -> float:
        """Notes that what was sent at `sent` (monotonic seconds) failed, and returns how long to pause."""
        now = time.monotonic()
        if not self._failures:
            self._outage = now
        if not self._failures or sent > self._noted:
            self._left -= 1
            self._failures += 1
            self._noted = now
            pause = min(self._patience.most, self._patience.first * 2 ** (self._failures - 1))
            # Jitter, so that many workers do not come back in the same instant.
            self._quiet = max(self._quiet, now + pause * random.uniform(0.5, 1.0))
        if after is not None:
            self._quiet = max(self._quiet, now + after)
        if self._left < 0 or self._quiet - self._outage > self._patience.outage:
            raise Transient(f"the endpoint does not answer: {cause}") from cause
        return max(0.0, self._quiet - now)
