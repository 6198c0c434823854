"""Claims of the tables and their migrations."""

from __future__ import annotations

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, text

from flywheel import database
from flywheel.errors import DatabaseUnavailable
from flywheel.loop.readers import BUILTIN_READERS


def test_tables_and_migrations_agree(database_url: str) -> None:
    command.check(database.alembic_config(database_url))
    engine = create_engine(database.sqlalchemy_url(database_url))
    assert {"pages", "labels", "leases", "shards"} <= set(inspect(engine).get_table_names())
    engine.dispose()


def test_migrations_go_down_to_nothing_and_up_again(database_url: str) -> None:
    database.downgrade(database_url)
    engine = create_engine(database.sqlalchemy_url(database_url))
    assert inspect(engine).get_table_names() == ["alembic_version"]
    database.upgrade(database_url)
    with engine.connect() as connection:
        built_in = connection.execute(text("SELECT id FROM checkpoints")).scalars().all()
    engine.dispose()
    assert set(built_in) == set(BUILTIN_READERS)


def test_every_constraint_has_a_name_by_the_convention(database_url: str) -> None:
    engine = create_engine(database.sqlalchemy_url(database_url))
    inspector = inspect(engine)
    names = [
        key["name"]
        for table in inspector.get_table_names()
        if table != "alembic_version"
        for key in inspector.get_foreign_keys(table) + inspector.get_check_constraints(table)
    ]
    engine.dispose()
    assert names
    assert all(str(name).startswith(("fk_", "ck_")) for name in names)


def test_a_database_that_is_away_is_said_to_be_unavailable() -> None:
    url = "postgresql://nobody@127.0.0.1:9/none?connect_timeout=1"
    with pytest.raises(DatabaseUnavailable), database.transaction(url) as session:
        session.execute(text("SELECT 1"))
