"""Connections and transactions. Only `transaction` commits; everyone else flushes.

Engines are made after fork, one a process and URL. A connection that cannot be
had, or that breaks, surfaces as `DatabaseUnavailable`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    ColumnElement,
    Engine,
    TableValuedAlias,
    Text,
    bindparam,
    cast,
    column,
    create_engine,
    exc,
    func,
    literal,
)
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from flywheel.errors import DatabaseUnavailable
from flywheel.settings import settings

CHANNEL = "flywheel_work"  # NOTIFY channel: new work was committed

_engines: dict[tuple[int, str], Engine] = {}


def sqlalchemy_url(url: str) -> str:
    """The same URL with the psycopg driver named."""
    scheme, _, rest = url.partition("://")
    return f"postgresql+psycopg://{rest}" if scheme in {"postgres", "postgresql"} else url


def engine(url: str | None = None) -> Engine:
    """This process's engine for `url` (default: the settings')."""
    url = url or settings().database_url
    key = (os.getpid(), url)
    if key not in _engines:
        _engines[key] = create_engine(
            sqlalchemy_url(url),
            pool_size=10,
            max_overflow=10,
            pool_timeout=5,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": 5,
                "application_name": "flywheel",
                "options": "-c idle_in_transaction_session_timeout=60000",
            },
        )
    return _engines[key]


@contextmanager
def transaction(url: str | None = None) -> Iterator[Session]:
    """A session whose work is committed at the end, or rolled back on any error.

    Raises DatabaseUnavailable when Postgres cannot be reached or the connection broke.
    """
    try:
        with Session(engine(url), expire_on_commit=False) as session, session.begin():
            yield session
    except (exc.OperationalError, exc.InterfaceError, exc.TimeoutError) as error:
        raise DatabaseUnavailable(str(error.__cause__ or error)) from error


def array_of(ids: Sequence[int]) -> ColumnElement[Any]:
    """Any number of ids as one bound array: an IN list ends at 65,535 parameters."""
    return bindparam(None, list(ids), type_=ARRAY(BigInteger), unique=True)


def rows_of(rows: Sequence[Mapping[str, Any]], types: Mapping[str, TypeEngine[Any]]) -> TableValuedAlias:
    """Any number of rows (JSON values by column) as a table to select from, sent as one JSON parameter.

    For bulk inserts and updates: rows sent one by one cost the client twice the CPU, and so do columns as arrays,
    whose items psycopg writes in Python (64 rows of 19 columns, 2026-11-24). Raises ValueError for numbers that
    JSON does not have.
    """
    columns = (column(name, kind) for name, kind in types.items())
    text = cast(literal(json.dumps(rows, ensure_ascii=False, allow_nan=False), Text), JSON)
    return func.json_to_recordset(text).table_valued(*columns).render_derived(with_types=True)


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))
    config.set_main_option("sqlalchemy.url", sqlalchemy_url(url).replace("%", "%%"))
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database's tables to `revision`."""
    command.upgrade(alembic_config(url), revision)


def downgrade(url: str, revision: str = "base") -> None:
    """Take the database's tables back to `revision`."""
    command.downgrade(alembic_config(url), revision)
