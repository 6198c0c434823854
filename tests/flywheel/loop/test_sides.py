"""Claims about the sides of documents: whole groups, no side changed, an exam as large as may be."""

from __future__ import annotations

import random

import pytest

from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, DatasetDocumentRow, DatasetRow
from flywheel.figures import DatasetCounts, SplitCounts, Unit
from flywheel.loop.sides import ENOUGH, History, held_out, history, place_of, split, unlisted
from flywheel.states import Split
from tests.flywheel.rows import make_checkpoint


def documents(count: int, salt: int = 0) -> list[str]:
    return [f"{salt:032x}{n:032x}" for n in range(count)]


def on(sides: dict[str, Split], side: Split) -> set[str]:
    return {document for document, found in sides.items() if found == side}


def remember(*rounds: dict[str, Split]) -> History:
    """Sides that a chain of checkpoints left behind."""
    trained = frozenset[str]().union(*(on(sides, Split.TRAIN) for sides in rounds))
    watched = frozenset[str]().union(*(on(sides, Split.VALIDATION) for sides in rounds)) - trained
    return History(
        trained, watched, frozenset().union(*(on(s, Split.HELDOUT) for s in rounds)) - trained - watched
    )


def test_three_documents_are_one_to_learn_from_one_to_watch_and_one_to_be_examined_by() -> None:
    assert sorted(split(dict.fromkeys(documents(3), 5)).values()) == ["heldout", "train", "validation"]


def test_an_exam_decides_where_a_third_of_the_documents_is_enough_for_it_and_else_takes_an_eighth() -> None:
    counts = {
        n: len(on(split(dict.fromkeys(documents(n), 5)), Split.HELDOUT)) for n in (3, 6, 12, 24, 40, 66, 400)
    }
    assert counts == {3: 1, 6: 1, 12: 1, 24: ENOUGH, 40: ENOUGH, 66: ENOUGH, 400: 48}
    assert [held_out(n) for n in counts] == list(counts.values())


def test_the_lowest_hashes_are_held_out() -> None:
    sides = split(dict.fromkeys(documents(50), 5))
    order = sorted(sides, key=place_of)
    assert on(sides, Split.HELDOUT) == set(order[:8])
    assert on(sides, Split.VALIDATION) == set(order[8:12])


def test_near_equal_documents_stand_on_one_side() -> None:
    for seed in range(30):
        names = documents(40, seed)
        parts = [names[start : start + 4] for start in range(0, 40, 4)]
        sides = split(dict.fromkeys(names, 5), {d: part[0] for part in parts for d in part})
        assert {len({sides[d] for d in part}) for part in parts} == {1}
        assert len(on(sides, Split.HELDOUT)) == 4 * held_out(10)


def test_nothing_changes_sides_as_documents_join_or_stay_away() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        names, rounds = documents(40, seed), []
        for _ in range(6):
            chosen = rng.sample(names, rng.randint(3, 40))
            rounds.append(split(dict.fromkeys(chosen, 5), {}, remember(*rounds)))
        for number, later in enumerate(rounds):
            for earlier in rounds[:number]:
                assert all(earlier[d] == later[d] for d in set(earlier) & set(later))


def test_what_was_trained_on_never_examines_nor_does_what_is_near_equal_to_it() -> None:
    names = documents(30)
    trained, copies = names[:10], names[10:14]
    groups = dict(zip(copies, trained, strict=False))
    sides = split(dict.fromkeys(names[10:], 5), groups, History(frozenset(trained)))
    assert {sides[copy] for copy in copies} == {"train"}
    assert len(on(sides, Split.HELDOUT)) == held_out(20)


def test_what_weights_were_chosen_by_does_not_examine() -> None:
    names = documents(12)
    sides = split(dict.fromkeys(names, 5), {}, History(watched=frozenset(names[:8])))
    assert len(on(sides, Split.HELDOUT)) == 1
    assert on(sides, Split.HELDOUT) <= set(names[8:])
    assert len(on(sides, Split.VALIDATION)) == 8


def test_what_examined_before_goes_on_to_and_others_join_it() -> None:
    few, many = documents(6), documents(60)
    first = split(dict.fromkeys(few, 5))
    second = split(dict.fromkeys(many, 5), {}, remember(first))
    assert on(first, Split.HELDOUT) <= on(second, Split.HELDOUT)
    assert len(on(second, Split.HELDOUT)) == ENOUGH


def test_documents_without_true_text_are_trained_on_but_for_copies_of_what_examines() -> None:
    true = dict.fromkeys(documents(6), 5)
    read = documents(4, salt=1)
    [examines, *_] = sorted(true, key=place_of)
    sides = split(true | dict.fromkeys(read, 0), {read[0]: examines})
    assert sides[examines] == sides[read[0]] == "heldout"
    assert {sides[d] for d in read[1:]} == {"train"}


def test_a_reading_of_what_examined_elsewhere_is_not_learned_from() -> None:
    true, [exam, read] = dict.fromkeys(documents(6), 5), documents(2, salt=1)
    sides = split(true | {read: 0}, {read: exam}, History(examined=frozenset([exam])))
    assert sides[read] == "heldout"
    assert split(true | {read: 0}, {read: exam}, History(watched=frozenset([exam])))[read] == "validation"
    assert split(true | {read: 0}, {read: exam}, History(trained=frozenset([exam])))[read] == "train"


def test_all_that_is_left_may_examine_only_where_something_else_is_trained_on() -> None:
    names = documents(3)
    nothing_else = split(dict.fromkeys(names, 5), {}, History(watched=frozenset(names[:2])))
    assert sorted(nothing_else.values()) == ["heldout", "train", "validation"]
    with_readings = split(dict.fromkeys(names, 5) | {"r": 0}, {}, History(watched=frozenset(names[:2])))
    assert sorted(with_readings.values()) == ["heldout", "train", "validation", "validation"]


def freeze(sides: dict[str, str], checkpoint: str, parent: str | None = None, language: str = "bo") -> int:
    """A dataset and the checkpoint that learned from it; returns the dataset's id."""
    make_checkpoint(checkpoint, language)
    none = SplitCounts()
    with transaction() as session:
        dataset = DatasetRow(
            hash=checkpoint, language=language, manifest_key="k", counts=DatasetCounts(Unit.LINE, none, none, none)
        )
        session.add(dataset)
        session.flush()
        session.add_all([DatasetDocumentRow(dataset_id=dataset.id, sha256=d, split=s) for d, s in sides.items()])
        row = session.get_one(CheckpointRow, checkpoint)
        row.dataset_id, row.parent_id = dataset.id, parent
        return dataset.id


@pytest.mark.usefixtures("environment")
def test_a_history_is_of_whole_chains_and_of_all_checkpoints_of_the_language() -> None:
    freeze({"a": "train", "b": "heldout", "zh": "train"}, "first", language="zh")
    freeze({"b": "heldout", "c": "validation", "d": "train", "e": "heldout"}, "second", "first", language="zh")
    freeze({"e": "train", "f": "train"}, "refused")
    freeze({"g": "train"}, "elsewhere", language="en")
    with transaction() as session:
        assert history(session, "bo", ["second", None]) == History(
            frozenset({"a", "zh", "d", "e", "f"}), frozenset({"c"}), frozenset({"b"})
        )
        assert history(session, "bo-CN", [None]).trained == {"e", "f"}
        assert history(session, "hi", []) == History()


@pytest.mark.usefixtures("environment")
def test_datasets_of_earlier_versions_are_known_by_their_manifests_alone() -> None:
    listed, old = freeze({"a": "train"}, "one"), freeze({}, "two")
    with transaction() as session:
        assert unlisted(session, [listed, old]) == [(old, "k")]
