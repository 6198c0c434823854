"""`python -m flywheel.local.guard DIR RUN`: end the processes of a stack whose supervisor was killed.

Its standard input is a pipe whose other end the supervisor alone holds. When that end closes,
the supervisor is gone, and not even the grandchildren may outlive it.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from pathlib import Path

from flywheel.errors import Conflict
from flywheel.local.record import locked
from flywheel.local.recovery import clear_away

log = logging.getLogger(__name__)


def main() -> None:
    """Wait until the supervisor ends, then clear away, unless a next stack already has."""
    data_dir, run = Path(sys.argv[1]), sys.argv[2]
    while sys.stdin.buffer.read(1):
        pass
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    log.warning("the supervisor is gone")
    with suppress(Conflict), locked(data_dir, dying=run):
        log.warning("cleared away: %s", clear_away(data_dir) or "nothing")


if __name__ == "__main__":
    main()
