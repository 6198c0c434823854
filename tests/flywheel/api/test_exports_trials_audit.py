"""Exports, trials and audits over HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import httpx

from flywheel.client import Client
from flywheel.database import transaction
from flywheel.database.tables import (
    ExportRow,
    PageRow,
    TrialRow,
)
from flywheel.document import Outcome, encode
from tests.flywheel.api.sending import BINARY, code, stored
from tests.flywheel.files import a_pdf, a_png, a_zip, written
from tests.flywheel.rows import (
    give_labels,
    make_checkpoint,
    make_document,
    make_facts,
    make_label,
    store,
)


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
