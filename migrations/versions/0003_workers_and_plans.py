"""what workers say of themselves, and rounds that are only planned"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATUSES = (
    "patching",
    "freezing",
    "training",
    "promoting",
    "relabelling",
    "finished",
    "refused",
    "cancelled",
    "failed",
)
NEW = ("planning", "planned")


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("device_name", sa.Text(), nullable=False),
        sa.Column("memory_used", sa.BigInteger(), nullable=True),
        sa.Column("memory_total", sa.BigInteger(), nullable=True),
        sa.Column("utilisation", sa.Float(), nullable=True),
        sa.Column("doing", sa.Text(), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    empty = sa.text("'{}'::jsonb")
    op.add_column(
        "rounds", sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), server_default=empty, nullable=False)
    )
    _allow(*STATUSES, *NEW)


def downgrade() -> None:
    op.execute(
        "DELETE FROM shards WHERE round_id IN (SELECT id FROM rounds WHERE status IN ('planning', 'planned'))"
    )
    op.execute("DELETE FROM rounds WHERE status IN ('planning', 'planned')")
    _allow(*STATUSES)
    op.drop_column("rounds", "plan")
    op.drop_table("workers")


def _allow(*statuses: str) -> None:
    listed = ", ".join(f"'{status}'" for status in statuses)
    op.drop_constraint(op.f("ck_rounds_status"), "rounds", type_="check")
    op.create_check_constraint(op.f("ck_rounds_status"), "rounds", f"status IN ({listed})")
