"""Column types: enums as text, frozen dataclasses as JSON. Both refuse other values on the way in."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Generic, TypeVar, get_origin

from sqlalchemy import Dialect, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB

from flywheel.encoding import from_json, to_json

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")


class EnumText(TypeDecorator[E]):
    """Text column that holds an enum's values: refuses others on the way in, gives members on the way out."""

    impl = Text
    cache_ok = True

    def __init__(self, enum: type[E]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Raises ValueError for a value that the enum does not have."""
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> E | None:  # noqa: ARG002
        return None if value is None else self.enum(value)


class JsonOf(TypeDecorator[T], Generic[T]):
    """JSONB column that holds a frozen dataclass, or a tuple or mapping of what has a JSON form.

    Read strictly; keys that a newer writer added are passed over. No value is SQL's NULL, never JSON's.
    """

    impl = JSONB
    cache_ok = True

    def __init__(self, kind: type[T]) -> None:
        super().__init__(none_as_null=True)
        self.kind = kind

    def coerce_compared_value(self, op: Any, value: Any) -> Any:
        """Compare values inside the JSON as JSON."""
        return self.impl_instance.coerce_compared_value(op, value)

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:  # noqa: ARG002
        """Raises TypeError for a value of another class."""
        if value is None:
            return None
        if not isinstance(value, get_origin(self.kind) or self.kind):
            raise TypeError(f"a column of {self.kind} was given {value!r}")
        return to_json(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> T | None:  # noqa: ARG002
        """Raises Mismatch for JSON of another form."""
        return None if value is None else from_json(self.kind, value)
