"""origins of labels' words, versions of patches, sides of documents, settings that a checkpoint reads by"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ORIGINS = "('text_layer', 'ocr_layer', 'reader', 'person')"
# A person's correction is their own words; what they accepted or refused keeps the words of the label before it.
BACKFILL = """
WITH RECURSIVE told AS (
    SELECT id, id AS words FROM labels WHERE kind = 'human'
    UNION
    SELECT told.id, labels.parent_id FROM told JOIN labels ON labels.id = told.words
    WHERE labels.kind = 'human' AND labels.parent_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM reviews WHERE new_label_id = labels.id AND action = 'correct')
), found AS (
    SELECT DISTINCT ON (told.id) told.id, labels.kind FROM told JOIN labels ON labels.id = told.words
    ORDER BY told.id, told.words
)
UPDATE labels SET origin = CASE found.kind WHEN 'coarse' THEN 'text_layer' WHEN 'fine' THEN 'reader' ELSE 'person' END
FROM found WHERE found.id = labels.id
"""


def upgrade() -> None:
    op.add_column("labels", sa.Column("origin", sa.Text))
    op.execute(
        "UPDATE labels SET origin = CASE kind WHEN 'coarse' THEN 'text_layer' ELSE 'reader' END WHERE kind <> 'human'"
    )
    op.execute(BACKFILL)
    op.alter_column("labels", "origin", nullable=False)
    op.create_check_constraint("origin", "labels", f"origin IN {ORIGINS}")
    op.add_column("patch_sets", sa.Column("cutter", sa.Integer, nullable=False, server_default="1"))
    op.alter_column("patch_sets", "cutter", server_default=None)
    op.add_column("patch_sets", sa.Column("likeness", sa.LargeBinary))
    op.drop_constraint("pk_patch_sets", "patch_sets")
    op.create_primary_key("pk_patch_sets", "patch_sets", ["label_id", "unit", "cutter"])
    op.add_column("checkpoints", sa.Column("reading", postgresql.JSONB))
    op.create_table(
        "dataset_documents",
        sa.Column(
            "dataset_id", sa.BigInteger, sa.ForeignKey("datasets.id"), primary_key=True, autoincrement=False
        ),
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("split", sa.Text, nullable=False),
    )
    op.create_index("ix_dataset_documents_sha256", "dataset_documents", ["sha256"])


def downgrade() -> None:
    op.drop_table("dataset_documents")
    op.drop_column("checkpoints", "reading")
    op.execute(
        "DELETE FROM patch_sets AS newer USING patch_sets AS older WHERE newer.label_id = older.label_id "
        "AND newer.unit = older.unit AND newer.cutter > older.cutter"
    )
    op.drop_constraint("pk_patch_sets", "patch_sets")
    op.create_primary_key("pk_patch_sets", "patch_sets", ["label_id", "unit"])
    op.drop_column("patch_sets", "likeness")
    op.drop_column("patch_sets", "cutter")
    op.drop_constraint("ck_labels_origin", "labels")
    op.drop_column("labels", "origin")
