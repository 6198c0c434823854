"""Claims of the tables and their migrations."""

from __future__ import annotations

import json

import pytest
from alembic import command
from sqlalchemy import create_engine, inspect, select, text, update
from sqlalchemy.exc import StatementError

from flywheel import database
from flywheel.database.tables import DatasetRow, DocumentRow, PageRow, RoundRow
from flywheel.document import DocumentFacts, PageFacts
from flywheel.encoding import Mismatch, to_json
from flywheel.errors import DatabaseUnavailable
from flywheel.figures import Unit
from flywheel.loop.readers import BUILTIN_READERS
from tests.flywheel.rows import make_comparison


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


def test_figures_are_read_as_they_were_written_and_other_values_are_refused(environment: dict[str, str]) -> None:
    compared = make_comparison(0.1, 0.2, unit=Unit.PAGE)
    with database.transaction() as session:
        row = RoundRow(language="bo", recipe="line", comparison=compared)
        session.add(row)
        session.flush()
        round_id = row.id
    with database.transaction() as session:
        row = session.get_one(RoundRow, round_id)
        assert (row.comparison, row.progress, row.curve, row.overrides) == (compared, None, (), {})
    with pytest.raises(StatementError, match="was given"), database.transaction() as session:
        session.execute(update(RoundRow).values(comparison=to_json(compared)))


def test_what_a_newer_writer_adds_is_passed_over_and_what_it_lacks_is_not(environment: dict[str, str]) -> None:
    with database.transaction() as session:
        session.add(RoundRow(language="bo", recipe="line", comparison=make_comparison(0.1)))
    newer = text('UPDATE rounds SET comparison = comparison || \'{"new": {"deep": 1}}\'')
    with database.transaction() as session:
        session.execute(newer)
        assert session.execute(select(RoundRow.comparison)).scalar_one() == make_comparison(0.1)
        session.execute(text("UPDATE rounds SET comparison = comparison - 'candidate'"))
    with database.transaction() as session, pytest.raises(Mismatch, match="candidate"):
        session.execute(select(RoundRow.comparison)).scalar_one()


OLD_SCORES = {"cer": 0.1, "wer": 0.2, "cer_low": 0.0, "cer_high": 0.2, "lines": 50, "characters": 900, "edits": 90}
OLD = {
    "progress": {
        **{"step": 5, "epoch": 1, "seconds": 2.0, "share": 0.5, "lines": 8, "loss": 1.0, "learning_rate": 0.1},
        **{"cer": None, "lines_per_second": 4.0, "remaining_seconds": 2.0},
    },
    "curve": [{"step": 5, "seconds": 2.0, "lines": 8, "loss": 1.0, "cer": 0.5}, {"seconds": 3.0, "cer": 0.25}],
    "scores": {
        **{"unit": "page", "after": OLD_SCORES, "before": {**OLD_SCORES, "cer": 0.4}, "before_reader": "got-ocr2"},
        **{"champion": None, "difference": -0.3, "difference_low": -0.4, "difference_high": -0.2},
    },
    "plan": {
        **{"documents": 1, "pages": 2, "lines": 3, "pages_to_cut": 4, "pages_to_relabel": 5, "champion": None},
        **{"rates": {"cutting": None, "training": 1.0, "relabelling": None}, "unit": "page", "parent": None},
        "seconds": {"cutting": None, "training": 1.0, "training_at_most": 9.0, "relabelling": None},
        "tokens": {
            **{"texts": 1, "characters": 2, "syllables": 1, "tokens": 4, "byte_share": 0.0, "unknown_share": 0.0},
            **{"normaliser": "none", "changed_share": 0.0, "normal_form": "NFC", "stacks": 1, "split_stacks": 0},
            "tokens_per_character": 2.0,
        },
    },
}
OLD_FACTS = {
    "document": {"format": "PDF 1.7", "repaired": False, "owner_locked": False, "title": "t", "producer": "p"},
    "page": {
        **{"rotation": 90, "has_text": True, "image_only": False, "characters": 9},
        **{"fonts": ["Jomolhari"], "scripts": {"Tibt": 9}},
    },
}
OLD_PAGES = """
    WITH corpus AS (INSERT INTO corpora (name) VALUES ('old') RETURNING id),
    document AS (
        INSERT INTO documents (corpus_id, name, sha256, blob_key, size, media_type, page_count, facts)
        SELECT id, 'a.pdf', 's', 'k', 1, 'application/pdf', 2, CAST(:document AS jsonb) FROM corpus RETURNING id
    ),
    first AS (
        INSERT INTO pages (document_id, number, width, height, ink, facts)
        SELECT id, 0, 100, 200, 0.5, CAST(:page AS jsonb) FROM document
    )
    INSERT INTO pages (document_id, number) SELECT id, 1 FROM document
"""
OLD_COUNTS = {
    "line": {
        "lines": {"train": 9},
        "pages": {"train": 2},
        "documents": {"train": 1},
        "dropped": {"patch_split": 1},
    },
    "page": {"pages": {"train": 2}, "documents": {"train": 1}, "dropped": {}, "replay": {"en": 1}},
}


def test_figures_of_before_are_read_in_their_unit_and_go_back_as_they_were(
    environment: dict[str, str], database_url: str
) -> None:
    database.downgrade(database_url, "0004")
    names = ", ".join(OLD)
    values = {name: json.dumps(value) for name, value in OLD.items()}
    with database.transaction() as session:
        insert = f"INSERT INTO rounds (language, recipe, {names}) VALUES ('bo', 'got-ocr2-full', :"
        session.execute(text(insert + ", :".join(OLD) + ")"), values)
        session.execute(text("INSERT INTO rounds (language, recipe) VALUES ('en', 'line')"))
        session.execute(text(OLD_PAGES), {name: json.dumps(value) for name, value in OLD_FACTS.items()})
        for unit, counts in OLD_COUNTS.items():
            session.execute(
                text(
                    "INSERT INTO datasets (hash, language, manifest_key, counts) "
                    "VALUES (:hash, 'bo', 'k', :counts)"
                ),
                {"hash": unit, "counts": json.dumps(counts)},
            )
    database.upgrade(database_url)
    with database.transaction() as session:
        row, empty = session.execute(select(RoundRow).order_by(RoundRow.id)).scalars().all()
        assert (empty.progress, empty.comparison, empty.plan, empty.curve) == (None, None, None, ())
        assert row.progress is not None
        assert (row.progress.unit, row.progress.units, row.progress.units_per_second) == (Unit.PAGE, 8, 4.0)
        assert [point.units for point in row.curve] == [8, 0]
        assert row.comparison is not None
        assert (row.comparison.candidate.units, row.comparison.baseline.cer) == (50, 0.4)
        assert (row.comparison.difference.high, row.comparison.baseline_reader) == (-0.2, "got-ocr2")
        assert row.plan is not None
        assert (row.plan.outlook.pages_to_relabel, row.plan.tokens.tokens_per_character) == (5, 2.0)
        document = session.execute(select(DocumentRow.facts)).scalar_one()
        assert document == DocumentFacts(2, True, False, False, "PDF 1.7", "t", "p")
        first, second = session.execute(select(PageRow.facts).order_by(PageRow.number)).scalars().all()
        assert first == PageFacts(0, 100.0, 200.0, 90, 0.5, True, False, 9, ("Jomolhari",), {"Tibt": 9})
        assert second is None
        counts = session.execute(select(DatasetRow.counts).order_by(DatasetRow.hash)).scalars().all()
        assert [(found.unit, found.units.train) for found in counts] == [(Unit.LINE, 9), (Unit.PAGE, 2)]
    database.downgrade(database_url, "0004")
    with database.transaction() as session:
        kept = session.execute(text(f"SELECT {names} FROM rounds ORDER BY id")).mappings().all()
        assert dict(kept[0]) == OLD
        assert dict(kept[1]) == {"progress": {}, "curve": [], "scores": {}, "plan": {}}
        assert session.execute(text("SELECT facts FROM documents")).scalar_one() == OLD_FACTS["document"]
        pages = session.execute(text("SELECT facts FROM pages ORDER BY number")).scalars().all()
        assert pages == [OLD_FACTS["page"], {}]
        counts = session.execute(text("SELECT hash, counts FROM datasets")).all()
        assert dict(map(tuple, counts)) == OLD_COUNTS
    database.upgrade(database_url)


def test_facts_that_rows_of_older_writers_lack_are_filled_in(
    environment: dict[str, str], database_url: str
) -> None:
    database.downgrade(database_url, "0004")
    with database.transaction() as session:
        session.execute(text(OLD_PAGES), {"document": '{"title": "x"}', "page": '{"rotation": 90}'})
    database.upgrade(database_url)
    with database.transaction() as session:
        document = session.execute(select(DocumentRow.facts)).scalar_one()
        assert document == DocumentFacts(2, False, False, False, "", "x")
        page = session.execute(select(PageRow.facts).where(PageRow.number == 0)).scalar_one()
        assert page == PageFacts(0, 100.0, 200.0, 90, 0.5, False, False, 0)
