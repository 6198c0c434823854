"""`python -m flywheel.database`: bring the tables of FLYWHEEL_DATABASE_URL up to date."""

from __future__ import annotations

from flywheel.database import upgrade
from flywheel.settings import settings

if __name__ == "__main__":
    upgrade(settings().database_url)
