"""Claims about frozen datasets: what examines is true and was never learned from, and what is left out is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from flywheel.database import transaction
from flywheel.database.tables import DatasetDocumentRow, DatasetRow, DocumentRow, PatchSetRow
from flywheel.document import TextOrigin
from flywheel.errors import Rejected
from flywheel.figures import DatasetCounts, SplitCounts, Unit
from flywheel.loop import dataset
from flywheel.loop.dataset import PatchSource
from flywheel.loop.likeness import LikePages, SignedPage, signature
from flywheel.loop.sides import History, place_of, split
from flywheel.states import Split
from tests.flywheel.loop.prose import blank, prose
from tests.flywheel.rows import give_labels, make_document


def source(n: int, *, page: int = 0, origin: TextOrigin = TextOrigin.TEXT_LAYER, units: int = 10) -> PatchSource:
    """A page of document `n`."""
    generation = int(origin is TextOrigin.READER)
    number = 100 * n + page
    return PatchSource(f"{n:064x}", number, number, generation, f"sha256/ab/cd/{n:064x}", units, {}, "bo", origin)


def books(count: int, pages: int = 3) -> list[PatchSource]:
    return [source(n, page=page) for n in range(count) for page in range(pages)]


def pages_of(found: Sequence[PatchSource], said: dict[int, str]) -> LikePages:
    """Signatures: of pages that are in `said` by that name, of the others by their own."""
    return LikePages.of(
        [
            SignedPage(s.document, s.page_id, signature(prose(said.get(s.page_id, str(s.page_id))), *blank()))
            for s in found
        ]
    )


def test_a_document_that_only_a_reader_labelled_is_never_part_of_an_exam() -> None:
    told = [source(n) for n in range(4)]
    read = [source(n, origin=TextOrigin.READER) for n in range(10, 40)]
    manifest = dataset.freeze("bo", told + read, unit=Unit.LINE).manifest
    assert all(manifest.splits[one.document] == "train" for one in read)
    assert manifest.generation == 1


def test_only_what_no_reader_wrote_may_examine_though_a_person_confirmed_it() -> None:
    found = [source(n, page=page, origin=origin) for n in range(6) for page, origin in enumerate(TextOrigin)]
    manifest = dataset.freeze("bo", found, unit=Unit.PAGE).manifest
    true = {s.label_id for s in found if s.origin in (TextOrigin.TEXT_LAYER, TextOrigin.PERSON)}
    assert set(manifest.exam_labels) == true
    assert set(manifest.labels) == {s.label_id for s in found}


def test_a_page_of_an_exam_that_is_also_learned_from_is_left_out_of_it_and_counted() -> None:
    found = books(12)
    licence = {s.page_id: "the licence" for s in found if s.page_id % 100 == 2}
    frozen = dataset.freeze("bo", found, unit=Unit.PAGE, pages=pages_of(found, licence))
    manifest = frozen.manifest
    assert len(set(manifest.groups.values())) == 12  # twelve books with one licence are no copies
    heldout = {s.label_id for s in found if manifest.splits[s.document] == Split.HELDOUT}
    assert heldout & set(manifest.exam_labels) == {n for n in heldout if n % 100 != 2}
    assert frozen.counts.near_training == len(heldout) // 3 + list(manifest.splits.values()).count("validation")
    assert frozen.counts.units.heldout == 10 * len(heldout) * 2 // 3


def test_copies_are_one_group_that_counts_once() -> None:
    found = books(12)
    copied = {s.page_id: f"{s.page_id // 200} {s.page_id % 100}" for s in found}
    frozen = dataset.freeze("bo", found, unit=Unit.PAGE, pages=pages_of(found, copied))
    manifest = frozen.manifest
    for n in range(0, 12, 2):
        one, other = f"{n:064x}", f"{n + 1:064x}"
        assert manifest.groups[one] == manifest.groups[other] == one
        assert manifest.splits[one] == manifest.splits[other]
    assert frozen.counts.groups is not None
    assert (frozen.counts.groups.total, frozen.counts.groups.heldout, frozen.counts.documents.heldout) == (6, 1, 2)
    assert "1 different document;" in frozen.counts.advice
    with pytest.raises(Rejected, match=r"4 documents .*\(2 of them different: the others are near-equal\)"):
        dataset.freeze("bo", found[:12], unit=Unit.PAGE, pages=pages_of(found, copied))


def test_what_is_near_equal_to_a_document_learned_from_in_another_corpus_does_not_examine() -> None:
    found, elsewhere = books(12), [source(n, page=page) for n in range(50, 54) for page in range(3)]
    same = {s.page_id: str(s.page_id - 5000) for s in elsewhere}
    past = History(trained=frozenset(s.document for s in elsewhere))
    manifest = dataset.freeze(
        "bo", found, unit=Unit.PAGE, past=past, pages=pages_of([*found, *elsewhere], same)
    ).manifest
    assert {manifest.splits[f"{n:064x}"] for n in range(4)} == {"train"}
    assert set(manifest.splits) == {s.document for s in found}


def test_a_copy_of_what_examined_in_another_corpus_examines_under_its_name() -> None:
    """So that a look at the original is a look at the copy."""
    found, elsewhere = books(24), [source(n, page=page) for n in range(50, 52) for page in range(3)]
    same = {s.page_id: str(s.page_id - 5000) for s in elsewhere}
    past = History(examined=frozenset(s.document for s in elsewhere))
    manifest = dataset.freeze(
        "bo", found, unit=Unit.PAGE, past=past, pages=pages_of([*found, *elsewhere], same)
    ).manifest
    for n in range(2):
        assert manifest.splits[f"{n:064x}"] == "heldout"
        assert manifest.groups[f"{n:064x}"] == f"{n + 50:064x}"


def test_a_round_says_what_earlier_checkpoints_left_of_its_exam_and_what_would_make_it_larger() -> None:
    found = books(12)
    past = History(trained=frozenset(f"{n:064x}" for n in range(10)))
    frozen = dataset.freeze("bo", found, unit=Unit.LINE, past=past)
    assert frozen.counts.advice == (
        "the exam is of 1 different document; earlier checkpoints learned from 10 of 12, "
        "12 more that no checkpoint has seen would make it 8"
    )
    assert dataset.freeze("bo", books(24), unit=Unit.LINE).counts.advice == ""


def test_a_round_that_would_have_no_exam_is_refused_before_it_trains() -> None:
    found = books(5)
    past = History(trained=frozenset(s.document for s in found))
    with pytest.raises(Rejected, match="learned from 5 of 5 documents"):
        dataset.freeze("bo", found, unit=Unit.LINE, past=past)
    past = History(examined=frozenset(s.document for s in found))
    with pytest.raises(Rejected, match="every document is one that examines"):
        dataset.freeze("bo", found, unit=Unit.LINE, past=past)


def test_pages_of_other_languages_are_trained_on_and_are_in_no_exam_and_the_manifest_names_them() -> None:
    own = [source(n, units=1) for n in range(6)]
    others = [PatchSource(f"{n:064x}", n, n, 0, f"sha256/ab/cd/{n:064x}", 1, {}, "en") for n in range(4, 60)]
    frozen = dataset.freeze("bo", own, unit=Unit.PAGE, replayed=others)
    manifest = frozen.manifest
    foreign = {one.document for one in others[2:]}  # two of them are Tibetan documents, too
    assert manifest.replay == dict.fromkeys(sorted(foreign), "en")
    assert {manifest.splits[document] for document in foreign} == {"train"}
    alone = dataset.freeze("bo", own, unit=Unit.PAGE).manifest
    assert {d: side for d, side in manifest.splits.items() if d not in foreign} == alone.splits
    assert (manifest.unit, alone.replay) == ("page", {})
    assert len(manifest.labels) == 60
    assert frozen.counts.replay == {"en": 54}
    assert (frozen.counts.unit, frozen.counts.pages.total, frozen.counts.units.total) == (Unit.PAGE, 6, 6)


def test_a_replayed_document_that_is_near_equal_to_one_that_examines_is_not_learned_from() -> None:
    own = [source(n) for n in range(6)]
    others = [PatchSource(f"{n:064x}", n, n, 0, f"sha256/ab/cd/{n:064x}", 1, {}, "dz") for n in range(10, 16)]
    same = {n: str(100 * (n - 10)) for n in range(10, 16)}
    manifest = dataset.freeze(
        "bo", own, unit=Unit.PAGE, replayed=others, pages=pages_of([*own, *others], same)
    ).manifest
    trained = {n for n in range(6) if manifest.splits[f"{n:064x}"] == "train"}
    assert set(manifest.replay) == {f"{n + 10:064x}" for n in trained}


def test_a_dataset_is_named_by_what_is_in_it() -> None:
    sources = [
        PatchSource(f"{n:064x}", n, n, 0, f"sha256/ab/cd/{n:064x}", 10, {"patch_split": 1}) for n in range(5)
    ]
    one = dataset.freeze("bo", sources, unit=Unit.LINE)
    assert one.manifest.hash == dataset.freeze("bo", sources, unit=Unit.LINE).manifest.hash
    assert one.manifest.hash != dataset.freeze("bo", sources[1:], unit=Unit.LINE).manifest.hash
    assert (one.counts.unit, one.counts.units.total) == (Unit.LINE, 50)
    assert one.counts.dropped == {"patch_split": 5}


def test_too_few_documents_cannot_be_split_honestly() -> None:
    with pytest.raises(Rejected, match="2 documents have usable lines; a round needs at least 3"):
        dataset.freeze("bo", [source(0), source(1), source(2, units=0)], unit=Unit.LINE)


@pytest.mark.usefixtures("environment")
def test_what_is_replayed_has_a_page_to_learn_from_and_is_of_no_exam_of_its_own_language() -> None:
    ids: dict[str, int] = {}
    for number in range(30):
        document_id, pages = make_document(1, name=f"{number}.pdf", language="en")
        [label_id] = give_labels(pages)
        with transaction() as session:
            session.add(PatchSetRow(label_id=label_id, unit="page", blob_key="k", units=int(number != 29)))
            ids[session.get_one(DocumentRow, document_id).sha256] = label_id
    sides = split(ids)
    allowed = {label for sha256, label in ids.items() if place_of(sha256) >= 0.5} - {max(ids.values())}
    with transaction() as session:
        found = dataset.replay(session, "bo", 100, unit=Unit.PAGE)
        assert dataset.replay(session, "bo", 2, unit=Unit.PAGE) == found[:2]
        assert dataset.replay(session, "en", 100, unit=Unit.PAGE) == []
    assert {one.language for one in found} == {"en"}
    assert {sides[one.document] for one in found} == {"train"}
    assert {one.label_id for one in found} == allowed
    examined = found[0]
    with transaction() as session:
        none = SplitCounts()
        counts = DatasetCounts(Unit.PAGE, none, none, none)
        row = DatasetRow(hash="h", language="en", manifest_key="k", counts=counts)
        session.add(row)
        session.flush()
        session.add(DatasetDocumentRow(dataset_id=row.id, sha256=examined.document, split="heldout"))
    with transaction() as session:
        assert dataset.replay(session, "bo", 100, unit=Unit.PAGE) == found[1:]


@pytest.mark.usefixtures("environment")
def test_sources_say_whose_words_they_are_and_pages_are_known_by_every_label_they_had() -> None:
    document_id, pages = make_document(2)
    rows = [signature(prose(name), *blank()) for name in ("one", "two")]
    for label_id, row in zip(give_labels(pages), rows, strict=True):
        with transaction() as session:
            session.add(PatchSetRow(label_id=label_id, unit="line", blob_key="k", units=3, likeness=row))
    with transaction() as session:
        found = dataset.sources(session, "bo", [], generations=1, unit=Unit.LINE)
        assert {one.origin for one in found} == {TextOrigin.TEXT_LAYER}
        sha256 = session.get_one(DocumentRow, document_id).sha256
        assert dataset.like_pages(session, [sha256, "other"]).page.tolist() == list(pages)
        assert dataset.like_pages(session, ["other"]).page.tolist() == []
