"""Frozen dataclasses as JSON values, and back: strict in types, told by the classes' own annotations.

    to_json(value) -> JsonValue                    dataclasses, enums, tuples and mappings become plain values
    from_json(Kind, value) -> Kind                 inverse; keys that Kind does not know are passed over
    from_json(Kind, value, known_only=True)        the same, but such keys are refused

A whole number counts as a number, and 1e3 as a whole one; nothing else is converted: "60" is no number and 1 is
not true. Fields that are computed (`init=False`) are written and not read.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from typing_extensions import TypeAliasType

# Named, not a plain alias: Pydantic can follow a recursive type only by its name.
JsonValue = TypeAliasType("JsonValue", "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None")

T = TypeVar("T")

NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


class Mismatch(ValueError):  # it names what is wrong, the caller what comes of it
    """A value that is not of the type asked for; the message names the place in it."""


def to_json(value: Any) -> Any:
    """The JSON form of a value."""
    if value is None or type(value) in NAMES:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[T], value: Any, *, known_only: bool = False) -> T:
    """A value of `kind` (or of a parametrised tuple or mapping) from its JSON form. Raises Mismatch."""
    return cast("T", _read(kind, value, "", known_only))


def _read(kind: Any, value: Any, place: str, known_only: bool) -> Any:
    if kind is JsonValue:
        return value
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), value, place, known_only)
    if origin is tuple:
        return _read_tuple(get_args(kind), value, place, known_only)
    if origin is not None and issubclass(origin, Mapping):
        item = get_args(kind)[1]
        return {str(k): _read(item, v, _inside(place, k), known_only) for k, v in _table(value, place).items()}
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, _table(value, place), place, known_only)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _read_member(kind, value, place)
    return _read_plain(kind, value, place)


def _read_union(kinds: tuple[Any, ...], value: Any, place: str, known_only: bool) -> Any:
    """Of `X | None`; no other union has a JSON form that tells its parts apart."""
    if value is None and types.NoneType in kinds:
        return None
    [kind] = (kind for kind in kinds if kind is not types.NoneType)
    return _read(kind, value, place, known_only)


def _read_tuple(kinds: tuple[Any, ...], value: Any, place: str, known_only: bool) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise Mismatch(_said(place, "a list", value))
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise Mismatch(_said(place, f"a list of {len(kinds)}", value))
    pairs = enumerate(zip(kinds, value, strict=True))
    return tuple(_read(kind, item, _inside(place, number), known_only) for number, (kind, item) in pairs)


def _read_dataclass(kind: Any, values: Mapping[str, Any], place: str, known_only: bool) -> Any:
    known = field_types(kind)
    if known_only and (unknown := sorted(set(values) - set(known))):
        where = f" in {place}" if place else ""
        raise Mismatch(f"no setting {unknown[0]!r}{where}; there are {', '.join(known)}")
    read = {k: _read(known[k], v, _inside(place, k), known_only) for k, v in values.items() if k in known}
    try:
        return kind(**read)
    except TypeError as error:  # a field without a default is missing
        raise Mismatch(f"{place or kind.__name__}: {error}") from error


def field_types(kind: Any) -> dict[str, Any]:
    """The fields of a dataclass that can be given, by name, with their types."""
    return _field_types(kind)


@lru_cache(maxsize=256)
def _field_types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind) if field.init}


def _read_member(kind: type[Enum], value: Any, place: str) -> Enum:
    try:
        return kind(value)
    except ValueError as error:
        raise Mismatch(_said(place, f"one of {', '.join(str(m.value) for m in kind)}", value)) from error


def _read_plain(kind: Any, value: Any, place: str) -> Any:
    """A truth value, number or text; whatever else the annotation allows is taken as it is."""
    if kind not in NAMES:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return _float(value, place)
    if kind is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise Mismatch(_said(place, NAMES[kind], value))
    if kind is float and not math.isfinite(value):
        raise Mismatch(_said(place, "a finite number", value))
    return value


def _float(value: int, place: str) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise Mismatch(_said(place, "a finite number", value)) from error


def _table(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Mismatch(_said(place, "a table", value))
    return value


def _inside(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _said(place: str, wanted: str, value: Any) -> str:
    return f"{place or 'the value'} is {wanted}, not {value!r}"
