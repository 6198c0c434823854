"""Settings of a recipe changed by name, and refused by one message wherever they come from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TypeVar

from flywheel.encoding import JsonValue, field_types, from_json, to_json
from flywheel.errors import Rejected
from flywheel.reasons import Reason

R = TypeVar("R")
MOST = 10**12  # of anything that is counted
TINY = sys.float_info.min


def with_changes(recipe: R, name: str, values: Mapping[str, JsonValue]) -> R:
    """`recipe` (a frozen dataclass) with values as TOML or JSON gives them; a table changes what it names of a
    table. Raises Rejected(BAD_SETTINGS) on unknown settings and on values of another type or out of range."""
    known = [setting for setting in field_types(type(recipe)) if setting != "name"]
    if unknown := sorted(set(values) - set(known)):
        raise refusal(name, f"no setting {unknown[0]!r}; there are {', '.join(known)}")
    merged = to_json(recipe)
    for setting, value in values.items():
        merged[setting] = _merged(merged[setting], value)
    try:
        return from_json(type(recipe), merged, known_only=True)
    except ValueError as error:
        raise refusal(name, str(error)) from error


def check(
    recipe: object, *, positive: str = "", not_negative: str = "", shares: str = "", most: int = MOST
) -> None:
    """Hold fields of a recipe, named in words, to their ranges. Raises ValueError that names the field."""
    for wanted, names, low, high in (
        ("a positive number", positive, TINY, most),
        ("0 or more", not_negative, 0, most),
        ("a share from 0 to 1", shares, 0, 1),
    ):
        for name in names.split():
            value = getattr(recipe, name)
            parts = value if isinstance(value, tuple) else (value,)
            if not all(part <= most for part in parts):
                raise ValueError(f"{name} is at most {most}, not {value!r}")
            if not parts or not all(low <= part <= high for part in parts):
                raise ValueError(f"{name} is {wanted}, not {value!r}")


def refusal(name: str, detail: str) -> Rejected:
    """The error of a recipe's settings."""
    return Rejected(Reason.BAD_SETTINGS, f"recipe {name}: {detail}")


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, dict) and isinstance(new, Mapping) else new
