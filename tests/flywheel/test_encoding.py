"""Frozen dataclasses survive their JSON form; other types are refused with their place, unknown keys by choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flywheel.encoding import JsonValue, Mismatch, from_json, to_json
from flywheel.figures import TrainingProgress, Unit


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Part:
    size: float
    colour: Colour = Colour.RED


@dataclass(frozen=True, slots=True)
class Whole:
    name: str
    sound: bool
    count: int
    parts: tuple[Part, ...] = ()
    pair: tuple[str, int] | None = None
    by_name: Mapping[str, Part] = field(default_factory=dict)
    free: dict[str, JsonValue] = field(default_factory=dict)
    total: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(part.size for part in self.parts))


parts = st.builds(Part, st.floats(-1e9, 1e9), st.sampled_from(Colour))
wholes = st.builds(
    Whole,
    name=st.text(),
    sound=st.booleans(),
    count=st.integers(),
    parts=st.lists(parts).map(tuple),
    pair=st.none() | st.tuples(st.text(), st.integers()),
    by_name=st.dictionaries(st.text(), parts),
    free=st.dictionaries(st.text(), st.recursive(st.none() | st.integers() | st.text(), st.lists)),
)


@given(wholes)
def test_what_is_written_is_read_again(whole: Whole) -> None:
    assert from_json(Whole, json.loads(json.dumps(to_json(whole)))) == whole


def test_computed_fields_are_written_and_not_read() -> None:
    made = Whole("a", True, 1, (Part(2.0), Part(3.0)))
    assert to_json(made)["total"] == 5.0
    assert from_json(Whole, {**to_json(made), "total": 9.0}).total == 5.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": 1}, "name is a text, not 1"),
        ({"sound": 1}, "sound is true or false, not 1"),
        ({"count": True}, "count is a whole number, not True"),
        ({"count": 1.5}, "count is a whole number, not 1.5"),
        ({"count": "1"}, "count is a whole number, not '1'"),
        ({"parts": {}}, "parts is a list, not {}"),
        ({"parts": [{"size": 1}, {"size": "2"}]}, "parts.1.size is a number, not '2'"),
        ({"parts": [{"size": float("nan")}]}, "parts.0.size is a finite number, not nan"),
        ({"parts": [{"size": 1, "colour": "green"}]}, "parts.0.colour is one of red, blue, not 'green'"),
        ({"parts": [{}]}, "parts.0: .*size"),
        ({"pair": ["a"]}, "pair is a list of 2, not"),
        ({"by_name": {"x": 1}}, "by_name.x is a table, not 1"),
    ],
)
def test_a_value_of_another_type_is_refused_with_its_place(change: dict[str, Any], said: str) -> None:
    plain = {**to_json(Whole("a", True, 1)), **change}
    with pytest.raises(Mismatch, match=said):
        from_json(Whole, plain)


def test_unknown_keys_are_passed_over_or_refused_by_choice() -> None:
    plain = {**to_json(Whole("a", True, 1, (Part(1.0),))), "newer": 1}
    assert from_json(Whole, plain).name == "a"
    with pytest.raises(Mismatch, match="no setting 'newer'; there are name, sound, count"):
        from_json(Whole, {"name": "a", "newer": 1}, known_only=True)
    with pytest.raises(Mismatch, match=r"no setting 'weight' in parts\.0; there are size, colour"):
        from_json(Whole, {"parts": [{"weight": 1}]}, known_only=True)


def test_a_trainings_speed_and_rest_follow_from_its_progress() -> None:
    made = TrainingProgress(
        Unit.PAGE, step=3, epoch=0, seconds=20.0, share=0.25, units=50, loss=1.0, learning_rate=0.1
    )
    assert (made.units_per_second, made.remaining_seconds) == (2.5, 60.0)
    just_begun = replace(made, seconds=0.0, share=0.0)
    assert (just_begun.units_per_second, just_begun.remaining_seconds) == (0.0, None)
