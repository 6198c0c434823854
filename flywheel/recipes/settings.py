"""Settings of a recipe changed by name, and refused by one message wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from flywheel.encoding import JsonValue, field_types, from_json, to_json
from flywheel.errors import Rejected
from flywheel.reasons import Reason

R = TypeVar("R")


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


def refusal(name: str, detail: str) -> Rejected:
    """The error of a recipe's settings."""
    return Rejected(Reason.BAD_SETTINGS, f"recipe {name}: {detail}")


def _merged(old: Any, new: Any) -> Any:
    return {**old, **new} if isinstance(old, dict) and isinstance(new, Mapping) else new
