"""Pages, labels and reviews over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from flywheel.client import Client
from flywheel.database.tables import (
    LabelRow,
    ReviewRow,
)
from flywheel.document import Outcome, encode
from tests.flywheel.api.sending import code, send, stored
from tests.flywheel.files import a_pdf, open_document, written
from tests.flywheel.rows import (
    give_labels,
    make_checkpoint,
    make_document,
    make_label,
)


def test_pages_are_found_by_verdict_reason_state_and_document(http: httpx.Client, client: Client) -> None:
    _, good = make_document(3, name="good.pdf", corpus="books")
    document, bad = make_document(2, name="bad.pdf", corpus="books")
    make_document(1, name="elsewhere.pdf", corpus="other")
    give_labels(good[:2])
    give_labels(bad, Outcome.REJECTED)
    assert [page.id for page in client.pages("books", batch=2)] == [*good, *bad]
    assert [page.id for page in client.pages("books", verdict="rejected", batch=1)] == list(bad)
    assert [page.id for page in client.pages("books", reason="garbled_characters")] == list(bad)
    assert [page.id for page in client.pages("books", state="pending")] == [good[2]]
    assert [page.id for page in client.pages("books", document=document)] == list(bad)
    found = next(client.pages("books", verdict="rejected"))
    assert (found.document, found.number, found.language) == ("bad.pdf", 0, "bo")
    assert found.explanation == "private-use, control or replacement characters in the text layer"


def test_a_corpus_is_summed_up_by_state_verdict_and_reason(client: Client) -> None:
    _, pages = make_document(6, corpus="books")
    give_labels(pages[:3])
    give_labels(pages[3:5], Outcome.REJECTED)
    summary = client.summary("books")
    assert summary.pages.model_dump() == {
        "submitted": 6,
        "labelled": 5,
        "quarantined": 0,
        "waiting": 0,
        "pending": 1,
        "by_verdict": {"accepted": 3, "rejected": 2},
        "by_reason": {"accepted": 3, "garbled_characters": 2},
    }
    assert (summary.documents.submitted, summary.documents.ready, summary.settled) == (1, 1, False)
    assert [(corpus.name, corpus.documents, corpus.pages) for corpus in client.corpora()] == [("books", 1, 6)]


def test_a_page_shows_every_label_and_where_the_current_one_came_from(client: Client) -> None:
    _, (page_id,) = make_document(1, corpus="books")
    make_checkpoint("line-bo-1")
    (coarse,) = give_labels((page_id,), Outcome.REJECTED)
    (fine,) = give_labels((page_id,), stop="recognition", checkpoint="line-bo-1", generation=1)
    found = client.page(page_id)
    assert [(label.id, label.kind, label.current) for label in found.labels] == [
        (coarse, "coarse", False),
        (fine, "fine", True),
    ]
    assert [(step.kind, step.id) for step in found.lineage] == [("label", str(fine)), ("checkpoint", "line-bo-1")]
    assert client.page_label(page_id) == client.label(fine)
    assert client.label(coarse).text == make_label().text


def test_a_persons_label_stands_and_the_machines_is_kept(client: Client) -> None:
    _, (page_id,) = make_document(1, corpus="books")
    (coarse,) = give_labels((page_id,), Outcome.REJECTED)
    reviewed = client.correct(page_id, make_label("the truth"), "read by eye")
    found = client.page(page_id)
    assert client.page_label(page_id).text == "the truth"
    assert (found.verdict, found.reason, found.state) == ("accepted", "corrected", "labelled")
    assert [(label.id, label.kind, label.parent_id) for label in found.labels] == [
        (coarse, "coarse", None),
        (reviewed.label_id, "human", coarse),
    ]
    assert [(review.action, review.reviewer, review.note) for review in found.reviews] == [
        ("correct", "embedded stack", "read by eye")
    ]


def test_a_correction_is_cleaned_like_any_text_from_outside(client: Client) -> None:
    _, (page_id,) = make_document(1, corpus="books")
    client.correct(page_id, make_label("  cafe\u0301\u202e  au lait\n"))
    assert client.page_label(page_id).text == "caf\u00e9 au lait"


def test_a_label_may_be_accepted_and_rejected(client: Client) -> None:
    _, pages = make_document(2, corpus="books")
    give_labels(pages[:1], Outcome.REJECTED)
    give_labels(pages[1:])
    client.accept(pages[0])
    client.reject(pages[1], "upside down")
    assert [(page.verdict, page.reason) for page in client.pages("books")] == [
        ("accepted", "corrected"),
        ("rejected", "refused"),
    ]


def test_accepting_a_page_without_a_label_is_a_conflict(http: httpx.Client) -> None:
    _, (page_id,) = make_document(1, corpus="books")
    assert code(http.post(f"/v1/pages/{page_id}/accept", json={})) == (409, "conflict")
    assert code(http.post("/v1/pages/4711/accept", json={})) == (404, "not_found")
    assert code(http.get(f"/v1/pages/{page_id}/label")) == (404, "not_found")


BOX = [0, 0, 10, 10]


BAD_LABELS: list[dict[str, Any]] = [
    {"regions": None},
    {"regions": [{"category": "text", "box": [1, 2, 3], "lines": []}]},
    {"regions": [{"category": "text", "box": [5, 0, 1, 9], "lines": []}]},
    {"regions": [{"category": "text", "box": BOX, "lines": [{"text": "a", "box": "wide"}]}]},
    {"regions": ["text"]},
    {"regions": [{"category": "poem", "box": BOX, "lines": []}]},
    {"width": 0},
    {"width": "wide"},
    {"height": 1e9},
]


def test_a_correction_that_is_no_label_is_refused(http: httpx.Client) -> None:
    _, (page_id,) = make_document(1, corpus="books")
    for change in BAD_LABELS:
        label = {**encode(make_label()), **change}
        response = http.post(f"/v1/pages/{page_id}/labels", json={"label": label})
        assert code(response) == (422, "invalid_label"), change
    assert (stored(LabelRow), stored(ReviewRow)) == (0, 0)


def test_a_page_has_a_picture_with_and_without_its_label(client: Client, tmp_path: Path) -> None:
    from io import BytesIO

    from PIL import Image

    upload = client.submit("books", written(tmp_path, "a.pdf", a_pdf()))
    (page_id,) = open_document(upload.documents[0].document_id)
    bare = Image.open(BytesIO(client.page_image(page_id, dpi=72)))
    assert (bare.format, bare.size) == ("PNG", (200, 100))
    assert 0 < sum(pixel < 128 for pixel in bare.convert("L").tobytes()) < 2000
    give_labels((page_id,))
    drawn = Image.open(BytesIO(client.page_image(page_id, dpi=72, annotated=True, format="jpeg")))
    assert drawn.format == "JPEG"
    assert drawn.size > bare.size


def test_a_page_that_cannot_be_rendered_says_why(http: httpx.Client) -> None:
    response = send(http, b"%PDF-1.7\nnothing of a PDF follows", "broken.pdf")
    (page_id,) = open_document(response.json()["documents"][0]["document_id"])
    status, why = code(http.get(f"/v1/pages/{page_id}/image"))
    assert (status, why[:4]) == (422, "pdf_")


def test_a_lost_blob_is_the_servers_fault_not_the_callers(http: httpx.Client) -> None:
    _, (page_id,) = make_document(1, corpus="books")
    assert code(http.get(f"/v1/pages/{page_id}/image")) == (500, "blob_missing")
