"""Bad requests and servers that do not answer: status and code of each."""

from __future__ import annotations

from contextlib import ExitStack

import httpx
import pytest

from flywheel.database import engine
from flywheel.database.tables import (
    DocumentRow,
    RoundRow,
)
from flywheel.settings import settings
from tests.flywheel.api.sending import code, send, stored
from tests.flywheel.files import a_pdf
from tests.flywheel.rows import (
    make_document,
)

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
