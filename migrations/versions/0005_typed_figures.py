"""figures and facts in one form each, in the recipe's unit: units for lines or pages, NULL where there are none"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Table and column, whether rows without a value say so with NULL instead of an empty object.
FIGURES = (
    ("rounds", "progress"),
    ("rounds", "comparison"),
    ("rounds", "plan"),
    ("checkpoints", "scores"),
    ("promotions", "comparison"),
    ("exports", "progress"),
    ("documents", "facts"),
    ("pages", "facts"),
)
# What rows of older writers may lack.
DOCUMENT_FACTS = "jsonb_build_object('repaired', false, 'owner_locked', false, 'format', '')"
PAGE_FACTS = (
    "jsonb_build_object('rotation', 0, 'has_text', false, 'image_only', false, 'characters', 0, "
    "'fonts', '[]'::jsonb, 'scripts', '{}'::jsonb)"
)
PLAN = ("unit", "parent", "seconds", "tokens")
UNIT = "CASE WHEN recipe = 'line' THEN 'line' ELSE 'page' END"


def upgrade() -> None:
    op.alter_column("patch_sets", "lines", new_column_name="units")
    for table in ("rounds", "promotions"):
        op.alter_column(table, "scores", new_column_name="comparison")
    for table, column in FIGURES:
        op.alter_column(table, column, nullable=True, server_default=None)
        op.execute(f"UPDATE {table} SET {column} = NULL WHERE {column} = '{{}}'")
    progress = renamed("progress", "lines", "units", "lines_per_second", "units_per_second")
    op.execute(
        f"UPDATE rounds SET progress = {progress} || jsonb_build_object('unit', {UNIT}, 'phase', 'training') "
        "WHERE progress IS NOT NULL"
    )
    op.execute(f"UPDATE rounds SET curve = {points('lines', 'units')}")
    op.execute(f"UPDATE checkpoints SET scores = {renamed('scores', 'lines', 'units')}")
    op.execute("UPDATE promotions SET comparison = NULL WHERE NOT comparison ? 'difference_low'")  # of checkpoints
    for table in ("rounds", "promotions"):
        op.execute(f"UPDATE {table} SET comparison = {COMPARED} WHERE comparison IS NOT NULL")
    plan = "plan" + "".join(f" - '{key}'" for key in PLAN)
    kept = ", ".join(f"'{key}', plan->'{key}'" for key in PLAN)
    op.execute(f"UPDATE rounds SET plan = jsonb_build_object('outlook', {plan}, {kept}) WHERE plan IS NOT NULL")
    op.execute(
        "UPDATE datasets SET counts = (counts - 'lines') || CASE WHEN counts ? 'lines' "
        "THEN jsonb_build_object('unit', 'line', 'units', counts->'lines') "
        "ELSE jsonb_build_object('unit', 'page', 'units', counts->'pages') END"
    )
    op.execute(
        f"UPDATE documents SET facts = {DOCUMENT_FACTS} || facts || jsonb_build_object('pages', coalesce(page_count, 0), "
        "'is_pdf', coalesce(facts->>'format' LIKE 'PDF%', false)) WHERE facts IS NOT NULL"
    )
    op.execute(
        f"UPDATE pages SET facts = {PAGE_FACTS} || facts || jsonb_build_object('number', number, 'width', coalesce(width, 0), "
        "'height', coalesce(height, 0), 'ink', coalesce(ink, 0)) WHERE facts IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("UPDATE pages SET facts = facts - 'number' - 'width' - 'height' - 'ink'")
    op.execute("UPDATE documents SET facts = facts - 'pages' - 'is_pdf'")
    op.execute(
        "UPDATE datasets SET counts = (counts - 'unit' - 'units') || CASE WHEN counts->>'unit' = 'line' "
        "THEN jsonb_build_object('lines', counts->'units') ELSE '{}' END"
    )
    kept = ", ".join(f"'{key}', plan->'{key}'" for key in PLAN)
    op.execute(f"UPDATE rounds SET plan = plan->'outlook' || jsonb_build_object({kept}) WHERE plan IS NOT NULL")
    for table in ("rounds", "promotions"):
        op.execute(f"UPDATE {table} SET comparison = {SCORED} WHERE comparison IS NOT NULL")
    op.execute(f"UPDATE checkpoints SET scores = {renamed('scores', 'units', 'lines')}")
    op.execute(f"UPDATE rounds SET curve = {points('units', 'lines')}")
    progress = renamed("progress", "units", "lines", "units_per_second", "lines_per_second")
    op.execute(f"UPDATE rounds SET progress = {progress} - 'unit' - 'phase' WHERE progress IS NOT NULL")
    for table, column in reversed(FIGURES):
        op.execute(f"UPDATE {table} SET {column} = '{{}}' WHERE {column} IS NULL")
        op.alter_column(
            table, column, nullable=False, server_default=sa.text("'{}'::jsonb"), type_=postgresql.JSONB
        )
    for table in ("rounds", "promotions"):
        op.alter_column(table, "comparison", new_column_name="scores")
    op.alter_column("patch_sets", "units", new_column_name="lines")


def renamed(value: str, *names: str) -> str:
    """An object with keys under other names: old, new, old, new ..."""
    pairs = list(zip(names[::2], names[1::2], strict=True))
    rest = value + "".join(f" - '{old}'" for old, _ in pairs)
    new = ", ".join(f"'{new}', {value}->'{old}'" for old, new in pairs)
    return f"(({rest}) || jsonb_strip_nulls(jsonb_build_object({new})))"


def points(old: str, new: str) -> str:
    """The points of a curve, one key of each under another name."""
    point = renamed("point", old, new)
    rows = "jsonb_array_elements(curve) WITH ORDINALITY AS points(point, place)"
    return f"(SELECT coalesce(jsonb_agg({point} ORDER BY place), '[]') FROM {rows})"


COMPARED = f"""jsonb_build_object(
    'unit', coalesce(comparison->'unit', '"line"'),
    'candidate', {renamed("(comparison->'after')", "lines", "units")},
    'baseline', {renamed("(comparison->'before')", "lines", "units")},
    'difference', jsonb_build_object('cer', comparison->'difference', 'low', comparison->'difference_low',
                                     'high', comparison->'difference_high'),
    'baseline_reader', comparison->'before_reader',
    'champion', comparison->'champion')"""
SCORED = f"""jsonb_build_object(
    'unit', comparison->'unit',
    'after', {renamed("(comparison->'candidate')", "units", "lines")},
    'before', {renamed("(comparison->'baseline')", "units", "lines")},
    'difference', comparison->'difference'->'cer',
    'difference_low', comparison->'difference'->'low',
    'difference_high', comparison->'difference'->'high',
    'before_reader', comparison->'baseline_reader',
    'champion', comparison->'champion')"""
