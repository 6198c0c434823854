"""Alembic's entry: runs one migration against the URL in its config, on one connection."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool

from flywheel.database import tables  # noqa: F401  # declares the tables
from flywheel.database.root import Row


def run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    if url is None:
        raise ValueError("sqlalchemy.url is not set")
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Row.metadata, compare_server_default=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
