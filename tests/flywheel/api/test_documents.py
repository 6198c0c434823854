"""Documents: submitted over HTTP, listed, and every bad file refused without a trace."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from flywheel.client import Client
from flywheel.database import transaction
from flywheel.database.tables import (
    DocumentRow,
    ShardRow,
)
from flywheel.settings import settings
from flywheel.work.queues import queue_depths
from tests.flywheel.api.sending import BINARY, code, nothing_was_kept, send, stored
from tests.flywheel.files import a_pdf, a_png, a_zip
from tests.flywheel.rows import (
    store,
)


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


def test_rights_are_kept_with_a_document_and_a_file_sent_again_only_adds_missing_ones(http: httpx.Client) -> None:
    send(http, a_pdf("plain"), "plain.pdf")
    send(http, a_pdf("owned"), "owned.pdf", rights="CC BY 4.0")
    for name in ("plain", "owned"):
        assert send(http, a_pdf(name), f"{name}.pdf", rights="© the monks").json()["duplicate"]
    found = http.get("/v1/corpora/books/documents").json()["items"]
    assert [item["rights"] for item in found] == ["© the monks", "CC BY 4.0"]


def test_a_form_carries_rights_which_are_checked_like_the_querys(http: httpx.Client) -> None:
    def sent(rights: str) -> httpx.Response:
        files = {"file": ("leaf.png", a_png(), "image/png")}
        return http.post("/v1/corpora/books/documents", files=files, data={"rights": rights})

    assert code(sent("x" * 1001)) == (422, "invalid_request")
    assert code(sent("a\x00b")) == (422, "invalid_text")
    assert code(send(http, a_pdf(), rights="x" * 1001)) == (422, "invalid_request")
    assert nothing_was_kept()
    document_id = sent("public domain").json()["documents"][0]["document_id"]
    assert http.get(f"/v1/documents/{document_id}").json()["rights"] == "public domain"


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
