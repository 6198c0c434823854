"""readers of whole pages"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

READERS = {
    "deepseek-ocr": "deepseek-ocr",
    "deepseek-ocr-2": "deepseek-ocr-2",
    "got-ocr2": "got-ocr2",
    "endpoint": "endpoint",
    "paddleocr": "paddleocr",
}


def upgrade() -> None:
    op.add_column("patch_sets", sa.Column("unit", sa.Text(), server_default="line", nullable=False))
    op.drop_constraint("pk_patch_sets", "patch_sets", type_="primary")
    op.create_primary_key("pk_patch_sets", "patch_sets", ["label_id", "unit"])
    op.create_check_constraint(op.f("ck_patch_sets_unit"), "patch_sets", "unit IN ('line', 'page')")
    op.add_column("readings", sa.Column("mode", sa.Text(), nullable=True))
    checkpoints = sa.table(
        "checkpoints",
        sa.column("id", sa.Text),
        sa.column("architecture", sa.Text),
        sa.column("generation", sa.Integer),
        sa.column("scripts", sa.ARRAY(sa.Text)),
    )
    op.bulk_insert(
        checkpoints,
        [{"id": name, "architecture": kind, "generation": 1, "scripts": []} for name, kind in READERS.items()],
    )


def downgrade() -> None:
    """Goes back only where none of these readers has read anything: labels are never dropped."""
    names = ", ".join(f"'{name}'" for name in READERS)
    op.execute(f"DELETE FROM checkpoints WHERE id IN ({names})")
    op.drop_column("readings", "mode")
    op.execute("DELETE FROM patch_sets WHERE unit <> 'line'")
    op.drop_constraint(op.f("ck_patch_sets_unit"), "patch_sets", type_="check")
    op.drop_constraint("pk_patch_sets", "patch_sets", type_="primary")
    op.create_primary_key("pk_patch_sets", "patch_sets", ["label_id"])
    op.drop_column("patch_sets", "unit")
