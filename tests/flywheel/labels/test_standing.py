"""Claims about pages' standing, as a table: labels and events in order -> who speaks, what the page shows."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import select, update

from flywheel.database import transaction
from flywheel.database.tables import LabelRow, PageRow
from flywheel.document import Kind, Outcome, Verdict
from flywheel.labels import standing
from flywheel.labels.recording import LabelledPage, finish_labelling
from flywheel.labels.review import review_page
from flywheel.labels.standing import UnreadablePage, current_label, current_labels
from flywheel.labels.storage import store_labels
from flywheel.reasons import Reason
from flywheel.states import ReviewVerdict
from tests.flywheel.rows import claim, make_checkpoint, make_document, make_label, store

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Scene:
    """One page, its labels by name, and what happens to it."""

    page_id: int
    names: dict[int, str]

    def machine(self, name: str, verdict: Outcome, reason: Reason, *, salt: str = "") -> None:
        """A label of the text layer ("coarse") or of the checkpoint `name`, recorded as a stop does."""
        coarse = name == "coarse"
        checkpoint = None if coarse else name
        label = make_label(kind=Kind.COARSE if coarse else Kind.FINE, checkpoint=checkpoint)
        frames = store_labels(store(), [label])
        held = claim("coarse" if coarse else "recognition", (self.page_id,), checkpoint, salt)
        page = LabelledPage(self.page_id, label, Verdict(verdict, reason, salt or name))
        with transaction() as session:
            finish_labelling(session, held, [page], frames, [], "settings")
            found = session.execute(select(LabelRow.id).where(LabelRow.shard_id == held.shard_id)).scalar()
        if found is not None:
            self.names[found] = name

    def person(self, name: str, action: ReviewVerdict) -> None:
        label = make_label("ལེགས") if action is ReviewVerdict.CORRECT else None
        with transaction() as session:
            new = review_page(session, store(), self.page_id, action=action, reviewer=name, label=label)
        self.names[new] = name

    def state(self, state: str) -> None:
        with transaction() as session:
            session.execute(update(PageRow).where(PageRow.id == self.page_id).values(state=state))

    def event(self, name: str) -> None:
        page = UnreadablePage(self.page_id, Reason.PAGE_TIMEOUT, "20 s")
        with transaction() as session:
            if name == "quarantined":
                standing.quarantine_pages(session, [page])
            else:
                {
                    "sent": standing.send_to_reader,
                    "waits": standing.leave_waiting,
                    "returned": standing.return_unread,
                }[name](session, [self.page_id])


Step = Callable[[Scene], None]


def text_layer(verdict: Outcome) -> Step:
    return lambda scene: scene.machine("coarse", verdict, REASONS[verdict])


def reading(name: str, verdict: Outcome) -> Step:
    return lambda scene: scene.machine(name, verdict, REASONS[verdict])


def again(name: str, verdict: Outcome) -> Step:
    """The same page, stop and checkpoint once more, with another verdict: the label is there already."""
    return lambda scene: scene.machine(name, verdict, REASONS[verdict], salt="again")


def person(name: str, action: ReviewVerdict) -> Step:
    return lambda scene: scene.person(name, action)


def event(name: str) -> Step:
    return lambda scene: scene.event(name)


A, R, X = Outcome.ACCEPTED, Outcome.REVIEW, Outcome.REJECTED
ACCEPT, REJECT, CORRECT = ReviewVerdict.ACCEPT, ReviewVerdict.REJECT, ReviewVerdict.CORRECT
REASONS = {A: Reason.ACCEPTED, R: Reason.BAD_ORTHOGRAPHY, X: Reason.GARBLED_CHARACTERS}

# what happened, in order -> who speaks, the page's state, verdict and reason
TABLE: dict[str, tuple[list[Step], tuple[str | None, str, str | None, str | None]]] = {
    "a page without labels": ([], (None, "pending", None, None)),
    "a sound text layer": ([text_layer(A)], ("coarse", "labelled", "accepted", "accepted")),
    "a bad one": ([text_layer(X)], ("coarse", "labelled", "rejected", "garbled_characters")),
    # among machines: accepted before review before rejected, then the newest
    "a reading that is worse": (
        [text_layer(A), reading("c1", R), reading("c2", X)],
        ("coarse", "labelled", "accepted", "accepted"),
    ),
    "a reading that is better": (
        [text_layer(X), reading("c1", R)],
        ("c1", "labelled", "review", "bad_orthography"),
    ),
    "review, then rejected": (
        [text_layer(X), reading("c1", R), reading("c2", X)],
        ("c1", "labelled", "review", "bad_orthography"),
    ),
    "alike, twice": (
        [text_layer(X), reading("c1", A), reading("c2", A)],
        ("c2", "labelled", "accepted", "accepted"),
    ),
    "rejected, twice": (
        [text_layer(X), reading("c1", X)],
        ("c1", "labelled", "rejected", "garbled_characters"),
    ),
    # a person before a machine, the newest of a person's
    "a correction": (
        [text_layer(X), person("tenzin", CORRECT), reading("c1", A)],
        ("tenzin", "labelled", "accepted", "corrected"),
    ),
    "a refusal": (
        [text_layer(A), person("tenzin", REJECT), reading("c1", A)],
        ("tenzin", "labelled", "rejected", "refused"),
    ),
    "a person who thinks again": (
        [text_layer(A), person("tenzin", ACCEPT), person("dolma", REJECT)],
        ("dolma", "labelled", "rejected", "refused"),
    ),
    "a label of one's own for an empty page": (
        [person("tenzin", CORRECT)],
        ("tenzin", "labelled", "accepted", "corrected"),
    ),
    # the same label once more changes nothing
    "recorded again with a better verdict": (
        [text_layer(X), again("coarse", A)],
        ("coarse", "labelled", "rejected", "garbled_characters"),
    ),
    "recorded again while it waits": (
        [text_layer(X), event("waits"), again("coarse", X)],
        ("coarse", "waiting", "rejected", "garbled_characters"),
    ),
    "recorded again after quarantine": (
        [text_layer(X), event("quarantined"), again("coarse", A)],
        ("coarse", "quarantined", None, "page_timeout"),
    ),
    "read again by the same checkpoint": (
        [text_layer(X), reading("c1", X), event("sent"), again("c1", A)],
        ("c1", "labelled", "rejected", "garbled_characters"),
    ),
    # no stop can work on it
    "quarantine of a page without labels": ([event("quarantined")], (None, "quarantined", None, "page_timeout")),
    "quarantine of a rejected page": (
        [text_layer(X), event("sent"), event("quarantined")],
        ("coarse", "quarantined", None, "page_timeout"),
    ),
    "quarantine of an accepted page": (
        [text_layer(A), event("quarantined")],
        ("coarse", "labelled", "accepted", "accepted"),
    ),
    "quarantine of a page under review": (
        [text_layer(R), event("sent"), event("quarantined")],
        ("coarse", "labelled", "review", "bad_orthography"),
    ),
    "quarantine of a page that a person refused": (
        [text_layer(X), person("tenzin", REJECT), event("quarantined")],
        ("tenzin", "labelled", "rejected", "refused"),
    ),
    "a label after quarantine": (
        [event("quarantined"), reading("c1", X)],
        ("c1", "labelled", "rejected", "garbled_characters"),
    ),
    # sent to a reader, or nobody reads it yet
    "a rejected page is sent": (
        [text_layer(X), event("sent")],
        ("coarse", "pending", "rejected", "garbled_characters"),
    ),
    "an accepted page is sent": ([text_layer(A), event("sent")], ("coarse", "labelled", "accepted", "accepted")),
    "a refused page is sent": (
        [text_layer(A), person("tenzin", REJECT), event("sent")],
        ("tenzin", "labelled", "rejected", "refused"),
    ),
    "a rejected page waits": (
        [text_layer(X), event("waits")],
        ("coarse", "waiting", "rejected", "garbled_characters"),
    ),
    "an accepted page does not wait": (
        [text_layer(A), event("waits")],
        ("coarse", "labelled", "accepted", "accepted"),
    ),
    "a corrected page does not wait": (
        [text_layer(X), person("tenzin", CORRECT), event("waits")],
        ("tenzin", "labelled", "accepted", "corrected"),
    ),
    # ... and will not be read after all
    "returned, never read": (
        [text_layer(X), event("sent"), event("returned")],
        ("coarse", "waiting", "rejected", "garbled_characters"),
    ),
    "returned, read before": (
        [text_layer(X), reading("c1", X), event("sent"), event("returned")],
        ("c1", "labelled", "rejected", "garbled_characters"),
    ),
    "returned, not sent": (
        [text_layer(X), event("waits"), event("returned")],
        ("coarse", "waiting", "rejected", "garbled_characters"),
    ),
}


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("row", TABLE)
def test_who_speaks_for_a_page_and_what_it_shows(row: str) -> None:
    steps, expected = TABLE[row]
    _, [page_id] = make_document(1)
    for checkpoint in ("c1", "c2"):
        make_checkpoint(checkpoint)
    scene = Scene(page_id, {})
    for step in steps:
        step(scene)
    with transaction() as session:
        page = session.get_one(PageRow, page_id)
        speaking = current_label(session, page_id)
    name = scene.names[speaking.id] if speaking else None
    assert (name, page.state, page.verdict, page.reason) == expected
    if speaking is not None and page.state != "quarantined":
        shown = (page.verdict, page.reason, page.detail, page.script)
        assert shown == (speaking.verdict, speaking.reason, speaking.detail, speaking.script)


@pytest.mark.usefixtures("environment")
def test_an_earlier_generation_speaks_where_later_ones_are_passed_over_and_nobody_for_a_quarantined_page() -> None:
    _, [page_id] = make_document(1)
    make_checkpoint("c1")
    scene = Scene(page_id, {})
    text_layer(X)(scene)
    reading("c1", A)(scene)
    with transaction() as session:
        session.execute(update(LabelRow).where(LabelRow.checkpoint_id == "c1").values(generation=2))

    def speaks(generations: int) -> list[str]:
        with transaction() as session:
            rows = session.execute(current_labels(generations=generations)).scalars()
            return [scene.names[row.id] for row in rows]

    assert speaks(1) == ["coarse"]
    assert speaks(2) == ["c1"]
    scene.state("quarantined")
    assert speaks(2) == []


def test_what_a_page_shows_is_written_in_one_module() -> None:
    shown = r"\b(state|verdict|reason|detail|script)"
    within = r"(?:(?!execute).)*"  # one statement
    update = rf"update\((tables\.)?PageRow\){within}\.values\({within}{shown}="
    written = re.compile(rf"{update}|UPDATE pages SET [^\"]*{shown}\b", re.S)
    places = [path for room in ("flywheel", "tasks") for path in (ROOT / room).rglob("*.py")]
    assert {str(p.relative_to(ROOT)) for p in places if written.search(p.read_text())} == {
        "flywheel/labels/standing.py"
    }
