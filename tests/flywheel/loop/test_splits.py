"""Sides of documents as exports name them."""

from __future__ import annotations

import pytest

from flywheel.database import transaction
from flywheel.database.tables import DatasetDocumentRow, DatasetRow
from flywheel.figures import DatasetCounts, SplitCounts, Unit
from flywheel.loop.likeness import SignedPage, signature
from flywheel.loop.sides import HELD_OUT, VALIDATION, place_of
from flywheel.loop.splits import frozen_sides, sides_of_others
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


def test_a_document_of_no_dataset_lies_where_its_hash_would_put_it() -> None:
    found = sides_of_others(DOCUMENTS, [page(document, document) for document in DOCUMENTS], {})
    order = [found[document] for document in sorted(DOCUMENTS, key=place_of)]
    assert order == sorted(order, key=[Split.HELDOUT, Split.VALIDATION, Split.TRAIN].index)
    assert set(order) == set(Split)


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


def test_a_copy_of_what_examines_goes_with_it_and_copies_of_one_another_go_together() -> None:
    exam, last, first, copy, other = sorted(DOCUMENTS[:50], key=place_of)[-5:]
    examining = {exam: Split.HELDOUT, last: Split.VALIDATION}
    pages = [page(exam, "exam"), page(last, "last"), page(first, "exam"), page(copy, "last"), page(other, "other")]
    found = sides_of_others([first, copy, other], pages, examining)
    assert found == {first: Split.HELDOUT, copy: Split.VALIDATION, other: Split.TRAIN}
    twins = sorted(DOCUMENTS, key=place_of)
    low, high = twins[0], twins[-1]
    both = sides_of_others([low, high], [page(low, "twin"), page(high, "twin")], {})
    assert both[low] == both[high]


def test_a_copy_of_two_sides_goes_with_what_examines() -> None:
    exam, last, copy = DOCUMENTS[:3]
    pages = [page(document, "same") for document in (exam, last, copy)]
    assert sides_of_others([copy], pages, {last: Split.VALIDATION, exam: Split.HELDOUT}) == {copy: Split.HELDOUT}
