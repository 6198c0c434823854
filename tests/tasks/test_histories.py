"""Random histories of a language: documents, copies, scans, corrections, rounds, promotions, rollbacks.

Every dataset is frozen by the stop itself. The test keeps its own books: which work's page a page shows, and who
wrote the words of a label. Whatever happened before, no page examines that a checkpoint of the candidate's or of
its rival's chain learned from, in any copy, and no reader's words examine anybody.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import (
    CheckpointRow,
    DatasetRow,
    DocumentRow,
    LabelRow,
    PageRow,
    PatchSetRow,
    RoundRow,
)
from flywheel.document import Box, Kind, Label, Line, Outcome, Region, TextOrigin, Verdict
from flywheel.errors import Conflict
from flywheel.figures import Unit
from flywheel.labels.recording import LabelledPage, finish_labelling
from flywheel.labels.review import review_page
from flywheel.labels.standing import current_label
from flywheel.labels.storage import load_label, store_labels
from flywheel.loop import promotion, rounds
from flywheel.loop.likeness import signature
from flywheel.reasons import Reason
from flywheel.states import ReviewVerdict, RoundStatus
from tasks.worker import process
from tests.flywheel.loop.prose import look, misread, prose
from tests.flywheel.rows import claim, make_document, store
from tests.tasks.drain import drain

EVENTS = 45
Shown = tuple[int, int]  # a work, and a page of it


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    process.store.cache_clear()


@dataclass
class History:
    """The books of one history."""

    rng: random.Random
    works: int = 0
    documents: list[list[Shown]] = field(default_factory=list)
    shows: dict[int, Shown] = field(default_factory=dict)  # page id -> what it shows
    readings: list[int] = field(default_factory=list)  # pages that a reader labelled
    words: dict[int, str] = field(default_factory=dict)  # label id -> text, person, reader or ocr
    checkpoints: list[str] = field(default_factory=list)
    frozen: int = 0
    refused: int = 0

    def submit(self, shown: list[Shown], origin: TextOrigin) -> None:
        """A file that shows these pages, with a text layer, an OCR layer, or read by the newest checkpoint."""
        self.documents.append(shown)
        _, pages = make_document(len(shown), name=f"{len(self.documents)}.pdf", corpus=self.rng.choice("AB"))
        self.shows |= dict(zip(pages, shown, strict=True))
        reader = self.checkpoints[-1] if self.checkpoints else promotion.BUILTIN
        read = origin is TextOrigin.READER
        labels = [page_label(text_of(work, page, read, self.rng), origin, reader) for work, page in shown]
        held = claim("recognition" if read else "coarse", pages, reader if read else None, salt=str(pages))
        accepted = Verdict(Outcome.ACCEPTED, Reason.ACCEPTED)
        told = [
            LabelledPage(page, label, accepted, generation=int(read))
            for page, label in zip(pages, labels, strict=True)
        ]
        with transaction() as session:
            finish_labelling(session, held, told, store_labels(store(), labels), [], "s")
        self.readings += list(pages) * read
        writer = {TextOrigin.TEXT_LAYER: "text", TextOrigin.OCR_LAYER: "ocr", TextOrigin.READER: "reader"}[origin]
        self.words |= dict.fromkeys(map(current, pages), writer)

    def review(self, page: int, *, change: bool, correct: bool) -> None:
        """A person accepts a page's label, or sends a label of their own, changed or not."""
        with transaction() as session:
            row = current_label(session, page)
            assert row is not None
            label = load_label(store(), row)
        said = label.text + (" ཀཿ་" if change else "")
        own = page_label(said, TextOrigin.PERSON, None) if change or correct else None
        action = ReviewVerdict.CORRECT if own else ReviewVerdict.ACCEPT
        with transaction() as session:
            new = review_page(session, store(), page, action=action, reviewer="tenzin", label=own)
        self.words[new] = "person" if change else self.words[row.id]

    def cut(self) -> None:
        """Patches for all labels that lack them, as the stop would leave them."""
        with transaction() as session:
            cut = select(PatchSetRow.label_id)
            for row in session.execute(select(LabelRow).where(LabelRow.id.not_in(cut))).scalars().all():
                work, page = self.shows[row.page_id]
                seen = look(f"{work} {page}", noise=0.12, seed=row.page_id)
                likeness = signature(load_label(store(), row).text, *seen)
                session.add(
                    PatchSetRow(label_id=row.id, unit=Unit.LINE, blob_key="k" * 70, units=3, likeness=likeness)
                )

    def round(self) -> None:
        """A round over some corpora, up to its dataset; then a checkpoint, and perhaps a promotion."""
        self.cut()
        try:
            with transaction() as session:
                rivals = (promotion.parent(session, "bo", "line"), promotion.reader_for(session, "bo"))
                round_id = rounds.start(session, language="bo", corpora=self.rng.choice([[], [], ["A"], ["B"]]))
        except Conflict:
            return
        except Exception as error:
            assert "no corpus" in str(error)  # noqa: PT017  # one of the two has no document yet
            return
        drain(only="dataset")
        with transaction() as session:
            row = session.get_one(RoundRow, round_id)
        if row.status == RoundStatus.FAILED:
            assert "left" in str(row.detail) or "at least 3" in str(row.detail)
            self.refused += 1
            return
        self.frozen += 1
        self.check(manifest_of(row.dataset_id), [found for found in rivals if found is not None])
        name = f"line-bo-{round_id}"
        with transaction() as session:
            made = {"architecture": "line", "language": "bo", "scripts": ["Tibt"], "generation": 1}
            session.add(CheckpointRow(id=name, parent_id=row.parent_id, dataset_id=row.dataset_id, **made))
            rounds.cancel(session, round_id)
        self.checkpoints.append(name)
        if self.rng.random() < 0.6:
            self.promote(self.rng.choice([name, name, *self.checkpoints]))

    def promote(self, name: str) -> None:
        try:
            with transaction() as session:
                promotion.promote(session, name, language="bo", actor="test")
        except Conflict:
            pass  # it is the champion already

    def rollback(self) -> None:
        try:
            with transaction() as session:
                promotion.rollback(session, "bo", actor="test")
        except Conflict:
            pass  # there was none

    def check(self, manifest: dict[str, Any], rivals: list[str]) -> None:
        exam = self.pages_of(manifest, "heldout", manifest["exam_labels"])
        assert exam
        assert all(self.words[label] in ("text", "person") for label in manifest["exam_labels"])
        taught = set(manifest["labels"])
        assert not {n for n, who in self.words.items() if who == "ocr" and not by_a_person(n)} & taught
        assert not exam & self.pages_of(manifest, "train", manifest["labels"])
        for checkpoint in chain_of(rivals):
            earlier = manifest_of(checkpoint.dataset_id)
            assert not exam & self.pages_of(earlier, "train", earlier["labels"]), checkpoint.id
            both = set(earlier["splits"]) & set(manifest["splits"])
            assert not {d for d in both if (earlier["splits"][d], manifest["splits"][d]) == ("train", "heldout")}
        sides: dict[str, set[str]] = {}
        for document, side in manifest["splits"].items():
            sides.setdefault(manifest["groups"][document], set()).add(side)
        assert all(len(found) == 1 for found in sides.values())

    def pages_of(self, manifest: dict[str, Any], side: str, labels: list[int]) -> set[Shown]:
        """Pages of works that these labels are of, in the documents on a side."""
        with transaction() as session:
            rows = session.execute(
                select(DocumentRow.sha256, PageRow.id)
                .join(PageRow, PageRow.document_id == DocumentRow.id)
                .join(LabelRow, LabelRow.page_id == PageRow.id)
                .where(LabelRow.id.in_(labels))
            ).all()
        return {self.shows[page] for sha256, page in rows if manifest["splits"].get(sha256) == side}


def text_of(work: int, page: int, read: bool, rng: random.Random) -> str:
    text = prose(f"{work} {page}", words=150)
    return misread(text, rng.choice([0.02, 0.3]), seed=rng.randrange(1000)) if read else text


def page_label(text: str, origin: TextOrigin, reader: str | None) -> Label:
    kinds = {TextOrigin.READER: Kind.FINE, TextOrigin.PERSON: Kind.HUMAN}
    box = Box(10, 10, 90, 190)
    region = Region("text", box, (Line(text, box),))
    checkpoint = reader if origin is TextOrigin.READER else None
    return Label(
        kinds.get(origin, Kind.COARSE),
        "t",
        100,
        200,
        (region,),
        "Tibt",
        "bo",
        checkpoint=checkpoint,
        origin=origin,
    )


def current(page: int) -> int:
    with transaction() as session:
        row = current_label(session, page)
    assert row is not None
    return row.id


def by_a_person(label_id: int) -> bool:
    with transaction() as session:
        return session.get_one(LabelRow, label_id).kind is Kind.HUMAN


def manifest_of(dataset_id: int | None) -> dict[str, Any]:
    with transaction() as session:
        key = session.get_one(DatasetRow, dataset_id).manifest_key
    found: dict[str, Any] = json.loads(store().get(key))
    return found


def chain_of(names: list[str]) -> list[CheckpointRow]:
    """Checkpoints and what they began from, those that learned from a dataset of ours."""
    found: dict[str, CheckpointRow] = {}
    with transaction() as session:
        for start in names:
            name: str | None = start
            while name is not None:
                found[name] = session.get_one(CheckpointRow, name)
                name = found[name].parent_id
    return [row for row in found.values() if row.dataset_id is not None]


def happen(history: History) -> None:
    """One event."""
    rng = history.rng
    kind = rng.choices(["fresh", "copy", "review", "round", "rollback"], [5, 4, 4, 3, 0.5])[0]
    if kind == "fresh" or not history.documents:
        history.works += 1
        pages = [(history.works, page) for page in range(rng.randint(3, 8))]
        origins = [TextOrigin.TEXT_LAYER] * 6 + [TextOrigin.READER] * 3 + [TextOrigin.OCR_LAYER]
        history.submit(pages, rng.choice(origins))
    elif kind == "copy":
        pages = list(rng.choice(history.documents))
        history.works += 1
        added = [(history.works, page) for page in range(rng.randint(0, 3))]
        removed = pages[rng.randint(0, 1) : len(pages) - rng.randint(0, 1)] if len(pages) > 2 else pages
        history.submit(rng.choice([pages, removed, pages + added]), rng.choice(list(TextOrigin)[:3]))
    elif kind == "review":
        page = rng.choice(history.readings or list(history.shows))
        history.review(page, change=rng.random() < 0.5, correct=rng.random() < 0.5)
    elif kind == "round":
        history.round()
    else:
        history.rollback()


@pytest.mark.parametrize("seed", range(6))
def test_nothing_that_was_learned_from_examines_whatever_happened_before(seed: int) -> None:
    history = History(random.Random(seed))
    for _ in range(EVENTS):
        happen(history)
    history.round()
    assert history.frozen >= 3
