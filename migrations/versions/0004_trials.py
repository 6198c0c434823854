"""the reading of a file outside any corpus is called a trial: table, column, constraints and stop"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _rename("readings", "trials", "reading", "trial")


def downgrade() -> None:
    _rename("trials", "readings", "trial", "reading")


def _rename(table: str, new_table: str, stop: str, new_stop: str) -> None:
    op.rename_table(table, new_table)
    op.execute(f"ALTER SEQUENCE {table}_id_seq RENAME TO {new_table}_id_seq")
    for constraint in ("pk_{}", "ck_{}_status", "fk_{}_checkpoint_id"):
        old, new = constraint.format(table), constraint.format(new_table)
        op.execute(f"ALTER TABLE {new_table} RENAME CONSTRAINT {old} TO {new}")
    op.alter_column("shards", f"{stop}_id", new_column_name=f"{new_stop}_id")
    op.execute(f"ALTER TABLE shards RENAME CONSTRAINT fk_shards_{stop}_id TO fk_shards_{new_stop}_id")
    op.execute(f"UPDATE shards SET stop = '{new_stop}' WHERE stop = '{stop}'")
