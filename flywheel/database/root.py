"""Root of the mapped classes, with the types of their columns, and columns and constraints that many have."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Float,
    Identity,
    MetaData,
    Text,
    func,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flywheel.database.columns import EnumText, JsonOf
from flywheel.document import DocumentFacts, Kind, Outcome, PageFacts, TextOrigin
from flywheel.encoding import JsonValue
from flywheel.figures import (
    Comparison,
    CurvePoint,
    DatasetCounts,
    ExportProgress,
    Plan,
    ReadingSettings,
    Scores,
    TrainingProgress,
    Unit,
)
from flywheel.states import (
    DocumentState,
    PageState,
    PromotionAction,
    RequestStatus,
    ReviewVerdict,
    RoundStatus,
    ShardState,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


ENUM_COLUMNS: dict[Any, Any] = {
    enum: EnumText(enum)
    for enum in (
        DocumentState,
        PageState,
        ShardState,
        RoundStatus,
        RequestStatus,
        ReviewVerdict,
        PromotionAction,
        Kind,
        Outcome,
        TextOrigin,
        Unit,
    )
}
JSON_COLUMNS: dict[Any, Any] = {
    kind: JsonOf(kind)
    for kind in (
        Comparison,
        DatasetCounts,
        DocumentFacts,
        ExportProgress,
        PageFacts,
        Plan,
        ReadingSettings,
        Scores,
        TrainingProgress,
        tuple[CurvePoint, ...],
        dict[str, int],
        dict[str, JsonValue],
    )
}


class Row(DeclarativeBase):
    """Root of the mapped classes; holds the naming convention Alembic relies on."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy reads it from the class
        int: BigInteger,
        str: Text,
        float: Float,
        datetime: DateTime(timezone=True),
        list[str]: ARRAY(Text),
        list[int]: ARRAY(BigInteger),
        **ENUM_COLUMNS,
        **JSON_COLUMNS,
    }


def identity() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(always=True), primary_key=True)


def now() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


def listed(values: Iterable[str]) -> str:
    """Values of an enum as an SQL list, in the enum's order."""
    return ", ".join(f"'{value}'" for value in values)


def one_of(column: str, values: Iterable[str]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({listed(values)})", name=column)
