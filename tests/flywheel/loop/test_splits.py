"""Sides of documents as exports name them."""

from __future__ import annotations

import pytest

from flywheel.database import transaction
from flywheel.database.tables import DatasetDocumentRow, DatasetRow
from flywheel.figures import DatasetCounts, SplitCounts, Unit
from flywheel.loop.likeness import SignedPage, signature
from flywheel.loop.sides import HELD_OUT, VALIDATION, place_of, split
from flywheel.loop.splits import frozen_sides, sides_of
from flywheel.states import Split
from tests.flywheel.loop.prose import prose

pytestmark = pytest.mark.usefixtures("environment")

DOCUMENTS = [f"{n:064x}" for n in range(200)]


def frozen(name: str, sides: dict[str, str]) -> None:
    """A dataset with these documents."""
    counts = DatasetCounts(
        unit=Unit.LINE, units=SplitCounts(), pages=SplitCounts(), documents=SplitCounts(), dropped={}
    )
    with transaction() as session:
        row = DatasetRow(hash=name, language="bo", manifest_key="k", counts=counts)
        session.add(row)
        session.flush()
        session.add_all(
            DatasetDocumentRow(dataset_id=row.id, sha256=document, split=side) for document, side in sides.items()
        )


def sides(*documents: str) -> list[Split]:
    with transaction() as session:
        found = frozen_sides(session, documents)
    return [found[document] for document in documents]


def page(document: str, said: str) -> SignedPage:
    return SignedPage(document, int(document, 16), signature(prose(said)))


def told(*documents: str) -> dict[str, bool]:
    """Documents of true words."""
    return dict.fromkeys(documents, True)


@pytest.mark.parametrize("count", [8, 24, 200])
def test_before_a_round_documents_lie_where_a_round_would_put_them(count: int) -> None:
    documents = DOCUMENTS[:count]
    pages = [page(document, document) for document in documents]
    assert sides_of(told(*documents), pages, {}) == split(told(*documents))
    read = sides_of(dict.fromkeys(documents, False), pages, {})
    assert set(read.values()) == {Split.TRAIN}


def test_what_was_ever_trained_on_is_for_training_and_what_ever_examined_examines() -> None:
    low = min(DOCUMENTS, key=place_of)
    high, middle, other = sorted(DOCUMENTS, key=place_of)[-3:]
    assert place_of(low) < HELD_OUT < HELD_OUT + VALIDATION < place_of(high)
    frozen("first", {low: "train", high: "heldout", middle: "heldout", other: "validation"})
    assert sides(low, high, middle, other) == [Split.TRAIN, Split.HELDOUT, Split.HELDOUT, Split.VALIDATION]
    frozen("second", {low: "heldout", high: "validation", middle: "train", other: "heldout"})
    assert sides(low, high, middle, other) == [Split.TRAIN, Split.HELDOUT, Split.TRAIN, Split.HELDOUT]


def test_a_hundred_thousand_documents_are_asked_for_at_once() -> None:
    many = [f"{n:064x}" for n in range(100_000)]
    with transaction() as session:
        assert frozen_sides(session, many) == {}


def test_a_copy_of_what_examines_goes_with_it_be_its_words_true_or_read() -> None:
    exam, last, first, copy, *others = DOCUMENTS[:30]
    frozen = {exam: Split.HELDOUT, last: Split.VALIDATION}
    pages = [page(exam, "exam"), page(last, "last"), page(first, "exam"), page(copy, "last")]
    pages += [page(document, document) for document in others]
    for true in (True, False):
        found = sides_of(told(*others) | {first: true, copy: true}, pages, frozen)
        assert (found[first], found[copy]) == (Split.HELDOUT, Split.VALIDATION)


def test_copies_of_one_another_go_together() -> None:
    pairs = [page(document, str(n // 2)) for n, document in enumerate(DOCUMENTS)]
    found = sides_of(told(*DOCUMENTS), pairs, {})
    assert all(found[one] == found[other] for one, other in zip(DOCUMENTS[::2], DOCUMENTS[1::2], strict=True))


def test_what_a_dataset_holds_keeps_its_side() -> None:
    frozen = {DOCUMENTS[n]: side for n, side in enumerate(Split)}
    found = sides_of(told(*DOCUMENTS), [], frozen)
    assert {document: found[document] for document in frozen} == frozen
