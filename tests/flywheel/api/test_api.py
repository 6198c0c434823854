"""API over real HTTP: uploads, listings, reviews, and the answer to every bad input."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from sqlalchemy import func, select

from flywheel import keys
from flywheel.client import Client
from flywheel.database import engine, transaction
from flywheel.database.tables import (
    DocumentRow,
    ExportRow,
    LabelRow,
    PageRow,
    ReviewRow,
    RoundRow,
    ShardRow,
    TrialRow,
)
from flywheel.document import Outcome, encode
from flywheel.figures import CurvePoint, TrainingProgress, Unit
from flywheel.settings import settings
from flywheel.work.queues import queue_depths
from tests.flywheel.files import a_pdf, a_png, a_zip, open_document, written
from tests.flywheel.rows import (
    give_labels,
    make_checkpoint,
    make_comparison,
    make_document,
    make_facts,
    make_label,
    store,
)

BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def http(server_url: str, admin_key: str) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {admin_key}"}
    with httpx.Client(base_url=server_url, headers=headers, timeout=30) as client:
        yield client


def code(response: httpx.Response) -> tuple[int, str]:
    """Status and stable code of an answer that is an error."""
    body = response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"code", "detail"}
    assert body["error"]["detail"]
    return response.status_code, body["error"]["code"]


def send(
    http: httpx.Client, data: bytes, name: str = "a.pdf", corpus: str = "books", **params: str
) -> httpx.Response:
    url = f"/v1/corpora/{corpus}/documents"
    return http.post(url, params={"name": name, **params}, content=data, headers=BINARY)


def stored(model: type[Any]) -> int:
    with transaction() as session:
        return session.execute(select(func.count()).select_from(model)).scalar_one()


def nothing_was_kept() -> bool:
    scratch = settings().work_dir / "uploads"
    return (
        not list(store().keys()) and not stored(DocumentRow) and not (scratch.exists() and list(scratch.iterdir()))
    )


# Documents


def test_a_submitted_document_is_stored_and_waits_for_ingest(http: httpx.Client) -> None:
    response = send(http, a_pdf(), "Band 1.pdf", language="bo")
    assert response.status_code == 201
    document_id = response.json()["documents"][0]["document_id"]
    found = http.get(f"/v1/documents/{document_id}").json()
    assert (found["name"], found["language"], found["state"]) == ("Band 1.pdf", "bo", "pending")
    assert found["media_type"] == "application/pdf"
    assert store().get(f"sha256/{found['sha256'][:2]}/{found['sha256'][2:4]}/{found['sha256']}") == a_pdf()
    with transaction() as session:
        assert [(depth.stop, depth.ready) for depth in queue_depths(session)] == [("ingest", 1)]


def test_the_same_bytes_again_are_reported_and_not_stored_twice(http: httpx.Client) -> None:
    first, again = send(http, a_pdf(), "a.pdf"), send(http, a_pdf(), "b.pdf")
    assert (first.status_code, first.json()["duplicate"]) == (201, False)
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert again.json()["documents"][0]["document_id"] == first.json()["documents"][0]["document_id"]
    assert (stored(DocumentRow), stored(ShardRow), len(list(store().keys()))) == (1, 1, 1)
    assert send(http, a_pdf(), corpus="other").status_code == 201


def test_a_form_carries_the_name_and_the_language_too(http: httpx.Client) -> None:
    response = http.post(
        "/v1/corpora/books/documents",
        files={"file": ("leaf.png", a_png(), "image/png")},
        data={"language": "zh-Hant"},
    )
    assert response.status_code == 201
    found = http.get(f"/v1/documents/{response.json()['documents'][0]['document_id']}").json()
    assert (found["name"], found["language"], found["media_type"]) == ("leaf.png", "zh-Hant", "image/png")


def test_a_zip_becomes_its_members_and_says_what_it_left_out(http: httpx.Client) -> None:
    archive = a_zip(
        {"one/a.pdf": a_pdf("one"), "two/a.pdf": a_pdf("two"), "b.png": a_png(), "notes.txt": b"notes"}
    )
    response = send(http, archive, "all.zip")
    assert response.status_code == 201
    assert [item["name"] for item in response.json()["documents"]] == ["a.pdf", "a.pdf", "b.png"]
    assert response.json()["refused"] == [
        {"name": "notes.txt", "reason": "unsupported_type", "detail": "notes.txt: the bytes are text/plain"}
    ]
    assert send(http, archive, "all.zip").json()["duplicate"] is True
    assert stored(DocumentRow) == 3


def test_documents_are_listed_in_order_through_a_cursor(http: httpx.Client, client: Client) -> None:
    for number in range(5):
        send(http, a_pdf(str(number)), f"{number}.pdf")
    page = http.get("/v1/corpora/books/documents", params={"limit": 2}).json()
    assert [item["name"] for item in page["items"]] == ["0.pdf", "1.pdf"]
    assert [item.name for item in client.documents("books")] == [f"{number}.pdf" for number in range(5)]
    assert list(client.documents("books", state="ready")) == []


HTML, SVG = b"<!DOCTYPE html><html><body>hello</body></html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>"
PDF_IN_ZIP_IN_ZIP = a_zip({"inner.zip": a_zip({"a.pdf": a_pdf()})})


BAD_FILES = [
    (b"", "a.pdf", (422, "empty_file")),
    (HTML, "a.pdf", (415, "not_pdf")),
    (a_png(), "a.pdf", (415, "not_pdf")),
    (SVG, "a.pdf", (415, "not_pdf")),
    (b"# A heading\n\nand text\n", "a.pdf", (415, "not_pdf")),
    (a_zip({"a.pdf": a_pdf()}), "a.pdf", (415, "not_pdf")),
    (b"plain text", "a.txt", (415, "unsupported_type")),
    (b"\x00\x01\x02\x03", "a.bin", (415, "unsupported_type")),
    (a_pdf(), "a\x00.pdf", (422, "invalid_text")),
    (a_pdf(), "n" * 5000, (422, "invalid_text")),
    (a_zip({"../../evil.pdf": a_pdf()}), "a.zip", (422, "archive_unsafe_path")),
    (a_zip({"/etc/evil.pdf": a_pdf()}), "a.zip", (422, "archive_unsafe_path")),
    (a_zip({"big.pdf": b"0" * 5_000_000})[:4000], "a.zip", (422, "archive_unreadable")),
    (PDF_IN_ZIP_IN_ZIP, "a.zip", (422, "archive_limit")),
    (a_zip({"a.txt": b"only text"}), "a.zip", (415, "unsupported_type")),
    (a_zip({}), "a.zip", (422, "empty_file")),
]


def test_files_that_cannot_be_documents_are_refused_and_leave_nothing(http: httpx.Client) -> None:
    answers = [code(send(http, data, name)) for data, name, _ in BAD_FILES]
    assert answers == [expected for _, _, expected in BAD_FILES]
    assert nothing_was_kept()


def test_a_bomb_is_refused_by_what_it_unpacks_to(http: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.pdf", a_pdf() + b"\n" * 30_000_000)
    assert code(send(http, out.getvalue(), "a.zip")) == (422, "archive_limit")
    assert nothing_was_kept()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"),
        ("C:\\books\\a.pdf", "a.pdf"),
        ("a\u202efdp.exe.pdf", "afdp.exe.pdf"),
    ],
)
def test_names_are_inert(http: httpx.Client, name: str, shown: str) -> None:
    assert send(http, a_pdf(), name).json()["name"] == shown


def test_bytes_of_no_known_kind_called_pdf_go_to_the_sandbox(http: httpx.Client) -> None:
    assert send(http, b"\x00\x9f\x92\x96" * 100, "damaged.pdf").status_code == 201


def test_an_upload_without_a_name_is_told_what_to_add(http: httpx.Client) -> None:
    response = http.post("/v1/corpora/books/documents", content=a_pdf(), headers=BINARY)
    assert code(response) == (422, "invalid_request")
    assert "?name=" in response.json()["error"]["detail"]


@pytest.mark.parametrize("kind", ["application/json", "text/html", "application/x-www-form-urlencoded"])
def test_a_content_type_that_is_no_document_is_refused(http: httpx.Client, kind: str) -> None:
    url = "/v1/corpora/books/documents"
    response = http.post(url, params={"name": "a.pdf"}, content=a_pdf(), headers={"Content-Type": kind})
    assert code(response) == (415, "unsupported_type")


@pytest.fixture
def small_limit(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("FLYWHEEL_UPLOAD_LIMIT", "300000")
    settings.cache_clear()
    return settings().upload_limit


def test_an_upload_that_announces_too_much_is_refused_at_once(http: httpx.Client, small_limit: int) -> None:
    assert code(send(http, b"%PDF-1.7" + b"0" * small_limit)) == (413, "too_large")
    assert nothing_was_kept()


def test_an_upload_that_announces_nothing_is_cut_off_in_mid_stream(http: httpx.Client, small_limit: int) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 500 << 20:
            sent += 1 << 16
            yield b"%PDF-1.7" + b"0" * ((1 << 16) - 8)

    response = http.post(
        "/v1/corpora/books/documents", params={"name": "a.pdf"}, content=endless(), headers=BINARY
    )
    assert code(response) == (413, "too_large")
    assert sent < 100 << 20
    assert nothing_was_kept()


def test_a_form_that_is_too_large_is_cut_off_too(http: httpx.Client, small_limit: int) -> None:
    files = {"file": ("a.pdf", b"%PDF-1.7" + b"0" * small_limit, "application/pdf")}
    assert code(http.post("/v1/corpora/books/documents", files=files)) == (413, "too_large")
    assert nothing_was_kept()


def test_a_body_shorter_than_announced_is_never_a_document(http: httpx.Client, admin_key: str) -> None:
    parts = urlsplit(str(http.base_url))
    head = (
        f"POST /v1/corpora/books/documents?name=a.pdf HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {admin_key}\r\nContent-Type: application/pdf\r\nContent-Length: 9000\r\n\r\n"
    )
    assert parts.hostname is not None
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall(head.encode() + a_pdf()[:100])
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(10)
        answer = connection.recv(4096)
    assert b"201" not in answer[:20]
    assert http.get("/healthz").status_code == 200
    assert nothing_was_kept()


# Access


def test_health_needs_no_key_and_everything_else_does(http: httpx.Client) -> None:
    del http.headers["Authorization"]
    assert http.get("/healthz").json()["status"] == "ok"
    paths = http.get("/openapi.json").json()["paths"]
    assert len(paths) > 20
    for path, methods in paths.items():
        for method in methods:
            if path.startswith("/v1"):
                assert code(http.request(method, path.replace("{", "").replace("}", "")))[0] in (401, 422), path


def test_a_wrong_key_is_401(http: httpx.Client, admin_key: str) -> None:
    for wrong in ("Bearer nonsense", f"Bearer {admin_key}x", "Basic YTpi", ""):
        response = http.get("/v1/corpora", headers={"Authorization": wrong})
        assert code(response) == (401, "invalid_key")
        assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["read"], {"list"}),
        (["submit"], {"submit", "export"}),
        (["read", "review"], {"list", "review"}),
        (["train"], {"train"}),
        (["admin"], {"list", "submit", "export", "review", "train", "keys"}),
    ],
)
def test_a_key_may_do_what_its_scopes_say(http: httpx.Client, scopes: list[str], allowed: set[str]) -> None:
    key = http.post("/v1/keys", json={"name": "a test", "scopes": scopes}).json()["key"]
    mine = {"Authorization": f"Bearer {key}"}
    answers = {
        "list": http.get("/v1/corpora", headers=mine),
        "submit": http.post("/v1/trials", params={"name": "a.png"}, content=a_png(), headers=mine),
        "export": http.post("/v1/exports", json={"corpus": "none", "format": "jsonl"}, headers=mine),
        "review": http.post("/v1/pages/1/accept", json={}, headers=mine),
        "train": http.post("/v1/rounds", json={"language": "bo"}, headers=mine),
        "keys": http.get("/v1/keys", headers=mine),
    }
    assert {name for name, response in answers.items() if response.status_code != 403} == allowed
    refused = [code(response) for name, response in answers.items() if name not in allowed]
    assert all(answer == (403, "scope_missing") for answer in refused)


def test_a_revoked_key_is_out_at_once(http: httpx.Client) -> None:
    made = http.post("/v1/keys", json={"name": "a test", "scopes": ["read"]}).json()
    mine = {"Authorization": f"Bearer {made['key']}"}
    assert http.get("/v1/corpora", headers=mine).status_code == 200
    assert http.delete(f"/v1/keys/{made['id']}").status_code == 204
    assert code(http.get("/v1/corpora", headers=mine)) == (401, "invalid_key")
    listed = {key["id"]: key for key in http.get("/v1/keys").json()}
    assert listed[made["id"]]["revoked_at"]
    assert made["key"] not in json.dumps(listed)
    assert code(http.delete("/v1/keys/nobody")) == (404, "not_found")


# Bad requests

DEEP = b'{"language": "bo", "overrides": ' + b'{"a":' * 200_000 + b"1" + b"}" * 200_001


BAD_BODIES = [
    (b'{"language": "bo", "overrides": {"rate": NaN}}', (422, "invalid_json")),
    (b'{"language": "bo", "overrides": {"rate": 1e400}}', (422, "invalid_json")),
    (b'{"language": "bo", "overrides": {"steps": 9223372036854775808}}', (422, "invalid_json")),
    (b'{"language": "bo", "overrides": {"steps": ' + b"9" * 10_000 + b"}}", (422, "invalid_json")),
    (DEEP, (422, "invalid_json")),
    (b'{"language": "bo", "overrides": {"a": "\\u0000"}}', (422, "invalid_text")),
    (b'{"language": "bo", "overrides": {"\\ud800": 1}}', (422, "invalid_text")),
    (b'{"language": "bo"', (422, "invalid_json")),
    (b"\xff\xfe{", (422, "invalid_json")),
    (b"[]", (422, "invalid_request")),
    (b'{"language": "not a tag"}', (422, "invalid_request")),
    (b'{"language": "bo", "misspelt": 1}', (422, "invalid_request")),
    (b'{"language": "bo", "recipe": "../../etc"}', (422, "invalid_request")),
    (b'{"language": "bo", "corpora": ["nowhere"]}', (404, "not_found")),
    (b'{"language": "bo", "recipe": "magic"}', (404, "not_found")),
    (b'{"language": "bo", "overrides": {"lerning_rate": 1}}', (422, "bad_settings")),
    (b'{"language": "bo", "overrides": {"seconds": "60"}}', (422, "bad_settings")),
    (b'{"language": "bo"}', (409, "conflict")),
]


def test_bodies_are_held_to_what_json_and_the_tables_can_hold(http: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    answers = [code(http.post("/v1/rounds", content=body, headers=headers)) for body, _ in BAD_BODIES]
    assert answers == [expected for _, expected in BAD_BODIES]
    assert stored(RoundRow) == 0


def test_a_json_body_is_bounded(http: httpx.Client) -> None:
    body = b'{"language": "' + b"b" * (17 << 20) + b'"}'
    response = http.post("/v1/rounds", content=body, headers={"Content-Type": "application/json"})
    assert code(response) == (413, "too_large")


BAD_ADDRESSES = {
    "/v1/corpora/books/pages?limit=-1": (422, "invalid_request"),
    "/v1/corpora/books/pages?limit=1000000000": (422, "invalid_request"),
    "/v1/corpora/books/pages?limit=1e9": (422, "invalid_request"),
    "/v1/corpora/books/pages?cursor=AAAA": (422, "invalid_cursor"),
    "/v1/corpora/books/pages?cursor=%F0%9F%92%A9": (422, "invalid_cursor"),
    "/v1/corpora/books/pages?verdict=good": (422, "invalid_request"),
    "/v1/corpora/books/pages?reason=%00": (422, "invalid_text"),
    "/v1/corpora/books%00/pages": (422, "invalid_text"),
    "/v1/corpora/nowhere/pages": (404, "not_found"),
    "/v1/corpora/nowhere": (404, "not_found"),
    "/v1/corpora/nowhere/audit": (404, "not_found"),
    "/v1/documents/4711": (404, "not_found"),
    "/v1/pages/4711": (404, "not_found"),
    "/v1/pages/4711/label": (404, "not_found"),
    "/v1/pages/4711/image": (404, "not_found"),
    "/v1/pages/0": (422, "invalid_request"),
    "/v1/pages/9223372036854775808": (422, "invalid_request"),
    "/v1/pages/nan": (422, "invalid_request"),
    "/v1/pages/1/image?dpi=nan": (422, "invalid_request"),
    "/v1/pages/1/image?dpi=100000": (422, "invalid_request"),
    "/v1/labels/4711": (404, "not_found"),
    "/v1/rounds/4711": (404, "not_found"),
    "/v1/checkpoints/nobody": (404, "not_found"),
    "/v1/exports/4711": (404, "not_found"),
    "/v1/exports/4711/files/a": (404, "not_found"),
    "/v1/trials/4711": (404, "not_found"),
    "/v1/nonsense": (404, "not_found"),
}


def test_every_bad_address_has_its_status_and_code(http: httpx.Client) -> None:
    make_document(1, corpus="books")
    assert {path: code(http.get(path)) for path in BAD_ADDRESSES} == BAD_ADDRESSES


def test_a_cursor_of_another_query_is_refused(http: httpx.Client) -> None:
    make_document(5, corpus="books")
    cursor = http.get("/v1/corpora/books/pages", params={"limit": 2}).json()["next"]
    assert http.get("/v1/corpora/books/pages", params={"cursor": cursor}).status_code == 200
    other = {"cursor": cursor, "state": "pending"}
    assert code(http.get("/v1/corpora/books/pages", params=other)) == (422, "invalid_cursor")
    forged = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    assert code(http.get("/v1/corpora/books/pages", params={"cursor": forged})) == (422, "invalid_cursor")


def test_a_database_that_does_not_answer_is_503_with_a_time_to_come_back(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    settings.cache_clear()
    response = http.get("/v1/corpora/books")
    assert code(response) == (503, "unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert code(http.get("/healthz")) == (503, "unavailable")


def test_a_server_out_of_connections_is_503_and_recovers(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine().pool, "_timeout", 0.5)
    with ExitStack() as held:
        for _ in range(20):  # pool_size + max_overflow
            held.enter_context(engine().connect())
        assert code(http.get("/v1/corpora")) == (503, "unavailable")
    assert http.get("/v1/corpora").status_code == 200


def test_a_store_that_does_not_answer_is_503_and_leaves_no_row(
    http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_STORE_URL", "s3://key:secret@127.0.0.1:1/bucket?secure=false")
    settings.cache_clear()
    assert code(send(http, a_pdf())) == (503, "unavailable")
    assert stored(DocumentRow) == 0


# Pages and labels


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


# The loop


def test_a_round_starts_is_followed_and_cancelled(client: Client, http: httpx.Client) -> None:
    _, pages = make_document(2, corpus="books")
    give_labels(pages)
    started = client.start_round("bo", ["books"], overrides={"seconds": 5})
    assert (started.status, started.corpora, started.overrides) == ("patching", ["books"], {"seconds": 5})
    assert code(http.post("/v1/rounds", json={"language": "bo"})) == (409, "conflict")
    assert {depth.stop for depth in client.queues()} == {"patches"}
    assert [found.id for found in client.rounds(language="bo")] == [started.id]
    assert client.rounds(status="finished") == []
    cancelled = client.cancel_round(started.id)
    assert (cancelled.status, cancelled.finished_at is not None) == ("cancelled", True)
    assert client.queues() == []
    assert code(http.post(f"/v1/rounds/{started.id}/cancel")) == (409, "conflict")


def test_a_round_shows_its_curve_its_scores_and_what_was_decided(client: Client, http: httpx.Client) -> None:
    curve = (CurvePoint(seconds=1.0, cer=0.9), CurvePoint(seconds=2.0, cer=0.1))
    progress = TrainingProgress(
        Unit.PAGE, step=4, epoch=1, seconds=8.0, share=0.5, units=40, loss=0.1, learning_rate=1e-3, cer=0.1
    )
    compared = make_comparison(0.1, unit=Unit.PAGE)
    with transaction() as session:
        row = RoundRow(
            language="bo", recipe="line", status="training", curve=curve, progress=progress, comparison=compared
        )
        session.add(row)
        session.flush()
        round_id = row.id
    found = client.round(round_id)
    assert (found.curve, found.progress, found.comparison) == (curve, progress, compared)
    assert (found.dataset, found.decisions, found.plan) == (None, [], None)
    assert client.rounds()[0].comparison == compared
    told = http.get(f"/v1/rounds/{round_id}").json()["progress"]
    assert (told["unit"], told["units_per_second"], told["remaining_seconds"]) == ("page", 5.0, 8.0)


def test_promotions_and_rollbacks_change_who_reads(client: Client, http: httpx.Client) -> None:
    make_checkpoint("line-bo-1")
    make_checkpoint("line-bo-2")
    assert client.promote("line-bo-1").action == "promote"
    decision = client.promote("line-bo-2", detail="looks better")
    assert (decision.previous_id, decision.actor, decision.detail) == (
        "line-bo-1",
        "embedded stack",
        "looks better",
    )
    assert [(who.language, who.checkpoint_id) for who in client.champions()] == [("bo", "line-bo-2")]
    assert {row.id: row.champion_of for row in client.checkpoints(language="bo")} == {
        "line-bo-1": [],
        "line-bo-2": ["bo"],
    }
    assert client.rollback("bo").checkpoint_id == "line-bo-1"
    assert client.checkpoint("line-bo-1").champion_of == ["bo"]
    assert [row.action for row in client.promotions(language="bo")] == ["rollback", "promote", "promote"]
    assert code(http.post("/v1/promotions", json={"checkpoint_id": "nobody"})) == (404, "not_found")
    assert code(http.post("/v1/promotions", json={"checkpoint_id": "line-bo-1"})) == (409, "conflict")
    assert code(http.post("/v1/promotions/rollback", json={"language": "zh"})) == (409, "conflict")


# Exports, trials, audit


def test_an_export_is_enqueued_and_its_files_are_streamed_whole(client: Client, tmp_path: Path) -> None:
    make_document(1, corpus="books")
    started = client.start_export("books", "jsonl")
    assert (started.status, started.files) == ("pending", [])
    assert [depth.stop for depth in client.queues()] == ["export"]
    data = bytes(range(256)) * 20_000
    written(tmp_path / "tree", "data/rows.jsonl", data)
    with transaction() as session:
        row = session.get_one(ExportRow, started.id)
        row.status, row.rows, row.tree_key = "finished", 1, store().put_tree(tmp_path / "tree")
    (file,) = client.export(started.id).files
    assert (file.path, file.size) == ("data/rows.jsonl", len(data))
    client.download_export_file(started.id, file, tmp_path / "rows.jsonl")
    assert (tmp_path / "rows.jsonl").read_bytes() == data


def test_an_unfinished_export_has_no_files_and_no_path_leaves_it(client: Client, http: httpx.Client) -> None:
    make_document(1, corpus="books")
    export_id = client.start_export("books", "parquet").id
    assert code(http.get(f"/v1/exports/{export_id}/files/a")) == (409, "conflict")
    with transaction() as session:
        key = store().put(b'{"files":[{"path":"a","key":"sha256/00/00/0","size":1}]}')
        session.get_one(ExportRow, export_id).tree_key = key
    assert code(http.get(f"/v1/exports/{export_id}/files/{quote('../../etc/passwd', safe='')}")) == (
        404,
        "not_found",
    )
    assert code(http.post("/v1/exports", json={"corpus": "books", "format": "docx"})) == (422, "invalid_request")
    assert code(http.post("/v1/exports", json={"corpus": "none", "format": "jsonl"})) == (404, "not_found")


def test_a_reading_is_enqueued_with_its_truth_and_shows_its_result(client: Client, tmp_path: Path) -> None:
    make_checkpoint("line-bo-1")
    path = written(tmp_path, "leaf.png", a_png())
    started = client.start_trial(path, language="bo", checkpoint="line-bo-1", truth="བཀྲ་ཤིས")
    assert (started.status, started.name, started.checkpoint_id) == ("pending", "leaf.png", "line-bo-1")
    result = {
        "pages": [
            {"number": 0, "verdict": "accepted", "label": encode(make_label())},
            {"number": 1, "reason": "page_timeout", "detail": "20 s"},
        ],
        "scores": {"cer": 0.25, "wer": 0.5, "edits": 2, "characters": 8},
    }
    with transaction() as session:
        row = session.get_one(TrialRow, started.id)
        assert row.truth_key is not None
        assert store().get(row.truth_key).decode() == "བཀྲ་ཤིས"
        row.status, row.result_key = "finished", store().put(json.dumps(result).encode())
    found = client.trial(started.id)
    assert [(page.number, page.label is None, page.reason) for page in found.pages] == [
        (0, False, None),
        (1, True, "page_timeout"),
    ]
    assert found.scores is not None
    assert (found.scores.edits, found.scores.characters) == (2, 8)


def test_readings_refuse_what_they_cannot_read(http: httpx.Client) -> None:
    def read(data: bytes, name: str, **params: str) -> tuple[int, str]:
        return code(http.post("/v1/trials", params={"name": name, **params}, content=data, headers=BINARY))

    assert read(b"", "a.png") == (422, "empty_file")
    assert read(a_zip({"a.pdf": a_pdf()}), "a.zip") == (415, "unsupported_type")
    assert read(a_png(), "a.png", checkpoint="nobody") == (404, "not_found")
    assert read(a_png(), "a.png", language="no tag") == (422, "invalid_request")
    assert stored(TrialRow) == 0


def test_the_audit_counts_lies_by_document_and_by_font(client: Client) -> None:
    document, pages = make_document(4, name="liar.pdf", corpus="books")
    _, honest = make_document(2, name="honest.pdf", corpus="books")
    fonts = {
        pages[0]: ["AAAAAA+Bad"],
        pages[1]: ["BBBBBB+Bad", "Good"],
        pages[2]: ["Good"],
        honest[0]: ["Good"],
        honest[1]: ["Good"],
    }
    with transaction() as session:
        for page_id, names in fonts.items():
            session.get_one(PageRow, page_id).facts = make_facts(*names)
        session.get_one(PageRow, pages[3]).facts = make_facts(has_text=False)
    give_labels(pages[:2], Outcome.REJECTED)
    give_labels((*pages[2:3], *honest))
    # A reader mends a page; its text layer lied all the same.
    make_checkpoint("line-bo-1")
    give_labels(pages[:1], stop="recognition", checkpoint="line-bo-1")
    found = client.audit("books")
    assert (found.pages, found.with_text, found.lying) == (6, 5, 2)
    assert [(row.name, row.document_id == document, row.with_text, row.lying) for row in found.documents] == [
        ("liar.pdf", True, 3, 2),
        ("honest.pdf", False, 2, 0),
    ]
    assert [(row.name, row.with_text, row.lying, row.share) for row in found.fonts] == [
        ("Bad", 2, 2, 1.0),
        ("Good", 4, 1, 0.25),
    ]
    assert found.documents[0].reasons == {"garbled_characters": 2, "accepted": 1}


def test_the_api_needs_neither_tensors_nor_a_broker_to_start() -> None:
    program = (
        "import flywheel.api, sys; "
        "print([m for m in ('torch', 'celery', 'pymupdf', 'redis', 'models', 'tasks') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_openapi_describes_every_noun() -> None:
    from flywheel.api import app

    operations = [operation for path in app.openapi()["paths"].values() for operation in path.values()]
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert keys.PREFIX in app.openapi()["components"]["securitySchemes"]["HTTPBearer"]["description"]
