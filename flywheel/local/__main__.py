"""`python -m flywheel.local DIR`: run the supervisor of a stack; `flywheel up` starts it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from flywheel.errors import Conflict
from flywheel.local.programs import PROGRAMS, RestartPolicy, from_json
from flywheel.local.record import IN_USE
from flywheel.local.supervisor import Supervisor


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m flywheel.local", description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--run", help="an id for this run")
    parser.add_argument("--programs", help="programs and policy as JSON")
    parser.add_argument("--attached", action="store_true", help="end when standard input does")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    programs, policy = from_json(json.loads(options.programs)) if options.programs else (PROGRAMS, RestartPolicy())
    lifeline = sys.stdin.fileno() if options.attached else None
    options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        return Supervisor(options.data_dir, programs, policy, options.run, lifeline).run()
    except Conflict as error:
        print(error, file=sys.stderr)
        return IN_USE


if __name__ == "__main__":
    raise SystemExit(main())
