"""Command line: its output as text and as JSON, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flywheel import cli
from flywheel.client import Client
from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, ExportRow
from flywheel.document import Outcome, encode
from flywheel.errors import ApiError
from tests.flywheel.cli.answers import Run, answer_trials, as_json, squeezed
from tests.flywheel.files import a_pdf, a_png, a_zip, open_document, written
from tests.flywheel.rows import give_labels, make_checkpoint, make_document, make_facts, make_label, store


def every_command() -> Iterator[list[str]]:
    for command in cli.app.registered_commands:
        assert command.callback is not None
        yield [command.callback.__name__]
    for group in cli.app.registered_groups:
        assert group.typer_instance is not None
        for command in group.typer_instance.registered_commands:
            assert command.callback is not None
            yield [str(group.name), command.name or command.callback.__name__]


def test_the_commands_are_those_that_scripts_outside_call() -> None:
    assert {" ".join(command) for command in every_command()} == {
        *("demo", "up", "down", "status", "submit", "queues", "corpora", "pages", "page", "read", "audit"),
        *("round start", "round list", "round show", "round cancel", "checkpoints", "promote", "rollback"),
        *("evaluate", "export", "keys create", "keys list", "keys revoke"),
    }


@pytest.mark.parametrize("command", list(every_command()), ids=" ".join)
def test_every_command_explains_itself_and_takes_json(bare: Run, command: list[str]) -> None:
    status, out, _ = bare(*command, "--help")
    assert status == 0
    assert "--json" in out
    assert "--data-dir" in out


def test_help_answers_at_once() -> None:
    program = (
        "import sys; sys.argv = ['flywheel', '--help']\n"
        "from flywheel import cli\n"
        "try: cli.main()\n"
        "finally: print(sorted({'httpx', 'fastapi', 'sqlalchemy', 'torch'} & set(sys.modules)), file=sys.stderr)"
    )
    best = 9.0
    for _ in range(3):
        before = os.times()
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        after = os.times()
        taken = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, taken)
    assert done.stderr.strip() == "[]"
    assert "flywheel submit books/" in done.stdout
    assert best < 1.5  # seconds of a core, whatever else it does; 0.4 s on an idle one


@pytest.mark.parametrize(
    "args",
    [
        ("nonsense",),
        ("submit",),
        ("submit", "/no/such/file", "--corpus", "books"),
        ("submit", "{empty}", "--corpus", "books"),
        ("pages",),
        ("page", "first"),
        ("page", "0"),
        ("round", "start"),
        ("round", "start", "--language", "bo", "--set", "steps"),
        ("export", "books", "--format", "docx", "--to", "out"),
        ("evaluate", "--checkpoint", "a", "{empty}"),
        ("rollback",),
        ("keys", "create"),
    ],
)
def test_a_wrong_call_ends_with_2(bare: Run, tmp_path: Path, args: tuple[str, ...]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    status, _, err = bare(*(arg.format(empty=empty) for arg in args))
    assert status == 2
    assert err
    assert "Traceback" not in err


def test_what_does_not_exist_ends_with_2_and_says_where_to_look(run: Run) -> None:
    status, out, err = run("pages", "nowhere")
    assert (status, out) == (2, "")
    assert "no corpus is called 'nowhere'" in err
    assert "flywheel corpora" in err
    status, _, err = run("page", 4711, "--json")
    assert (status, json.loads(err)["error"]["code"]) == (2, "not_found")


def test_without_a_stack_every_command_says_how_to_start_one(
    bare: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = bare("corpora", "--data-dir", tmp_path)
    assert status == 1
    assert "flywheel up --data-dir" in err
    monkeypatch.setenv("FLYWHEEL_DATA_DIR", str(tmp_path))
    assert bare("queues")[0] == 1
    status, out, _ = bare("status")
    assert status == 1
    assert "never started" in out
    assert as_json((0, *bare("status", "--json")[1:]))["state"] == "stopped"


def test_a_server_that_is_gone_ends_with_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flywheel.client.connection.FIRST_PAUSE", 0.001)
    monkeypatch.setenv("FLYWHEEL_API_URL", "http://127.0.0.1:1")
    status, _, err = run("corpora")
    assert status == 1
    assert "flywheel up" in err


def test_a_wrong_or_missing_key_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_API_KEY", "fw_0_0")
    assert "FLYWHEEL_API_KEY is not a key of this server" in squeezed(run("corpora")[2])
    monkeypatch.delenv("FLYWHEEL_API_KEY")
    status, _, err = run("corpora")
    assert status == 1
    assert "FLYWHEEL_API_KEY is not" in err


def test_a_folder_goes_in_and_repeats_and_refusals_are_told(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "books"
    written(folder, "a.pdf", a_pdf("a"))
    written(folder, "deeper/copy of a.pdf", a_pdf("a"))
    written(folder, "leaf.png", a_png())
    written(folder, "fake.pdf", b"<!DOCTYPE html><html></html>")
    written(folder, ".hidden.pdf", a_pdf("hidden"))
    written(folder, "notes.txt", b"not for us")
    status, out, _ = run("submit", folder, "--corpus", "books", "--language", "bo")
    assert status == 1  # one file was refused
    assert "not_pdf" in out
    assert "2 submitted 1 duplicate 1 refused" in squeezed(out)
    with transaction() as session:
        assert {row.language for row in session.query(DocumentRow)} == {"bo"}
    again = run("submit", folder / "a.pdf", folder / "leaf.png", "--corpus", "books")
    assert again[0] == 0
    assert "2 duplicate" in squeezed(again[1])


def test_submitting_tells_every_file_in_json(run: Run, tmp_path: Path) -> None:
    archive = written(tmp_path, "all.zip", a_zip({"a.pdf": a_pdf("a"), "b.png": a_png(), "c.txt": b"text"}))
    status, out, _ = run("submit", archive, "--corpus", "books", "--json")
    found = json.loads(out)
    assert status == 1
    assert found["summary"] is None
    assert [(row["status"], row["reason"]) for row in found["files"]] == [
        ("submitted", None),
        ("submitted", None),
        ("refused", "unsupported_type"),
    ]


def test_waiting_ends_when_every_page_has_settled_and_explains_them(
    run: Run, tmp_path: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0

    def summary(self: Client, corpus: str) -> Any:
        """Play the worker between two calls of the client."""
        nonlocal looked
        looked += 1
        if looked == 2:
            pages = open_document(next(client.documents("books")).id, 3)
            give_labels(pages[:1])
            give_labels(pages[1:2], Outcome.REJECTED)
        if looked == 3:
            pages = tuple(page.id for page in client.pages("books", state="pending"))
            give_labels(pages)
        return original(self, corpus)

    original = Client.summary
    monkeypatch.setattr(Client, "summary", summary)
    path = written(tmp_path, "a.pdf", a_pdf())
    status, out, err = run("submit", path, "--corpus", "books", "--wait")
    assert (status, looked) == (0, 3)
    assert "3: 3 labelled, 0 waiting, 0 quarantined, 0 pending" in squeezed(out)
    assert "private-use, control or replacement characters in the text layer" in squeezed(out)
    assert "labelling" in err


def test_corpora_and_pages_are_listed_and_explained(run: Run) -> None:
    assert "no corpus yet" in run("corpora")[1]
    _, pages = make_document(3, corpus="books", name="[bold]tricky[/].pdf")
    give_labels(pages[:2], Outcome.REJECTED)
    assert as_json(run("corpora", "--json"))[0]["pages"] == 3
    status, out, _ = run("pages", "books")
    assert status == 0
    assert "garbled_characters" in out
    assert "[bold]tricky[/].pdf" in out
    assert "1 pending" in squeezed(out)
    rejected = as_json(run("pages", "books", "--verdict", "rejected", "--json"))
    assert [page["id"] for page in rejected["pages"]] == list(pages[:2])
    assert rejected["summary"]["pages"]["submitted"] == 3
    assert "there are more" in run("pages", "books", "--limit", 1)[1]
    assert "no page fits" in run("pages", "books", "--reason", "blank")[1]


def test_one_page_is_shown_with_labels_lineage_text_and_picture(run: Run, tmp_path: Path, client: Client) -> None:
    assert (
        run("submit", written(tmp_path, "a.pdf", a_pdf()), "-c", "books", "-l", "bo", "--rights", "CC0 1.0")[0]
        == 0
    )
    [document] = client.documents("books")
    (page_id,) = open_document(document.id, facts=make_facts("Jomolhari"))
    make_checkpoint("line-bo-1")
    give_labels((page_id,), Outcome.REJECTED)
    give_labels((page_id,), stop="recognition", checkpoint="line-bo-1")
    status, out, err = run("page", page_id, "--image", tmp_path / "page.png")
    assert status == 0
    for word in ("Jomolhari", "CC0 1.0", "line-bo-1", "Lineage", "Labels", make_label().text, "a.pdf, page 1"):
        assert word in out
    assert "page.png" in err
    run("page", page_id, "--image", tmp_path / "page.jpg")
    for path, kind in ((tmp_path / "page.png", "PNG"), (tmp_path / "page.jpg", "JPEG")):
        with Image.open(path) as picture:
            assert (picture.format, picture.width > 300) == (kind, True)
    found = as_json(run("page", page_id, "--json"))
    assert [label["current"] for label in found["labels"]] == [False, True]
    assert found["label"] == encode(client.page_label(page_id))


def test_queues_show_open_work_and_idleness(run: Run, tmp_path: Path, client: Client) -> None:
    assert "idle" in run("queues")[1]
    client.submit("books", written(tmp_path, "a.pdf", a_pdf()))
    assert "cpu ingest 1 0 0" in squeezed(run("queues")[1])
    assert as_json(run("queues", "--json"))[0]["stop"] == "ingest"


def test_the_audit_shows_who_lies(run: Run) -> None:
    _, pages = make_document(2, corpus="books", name="liar.pdf")
    assert "none of the 2 pages has a text layer" in run("audit", "books")[1]
    with transaction() as session:
        from flywheel.database.tables import PageRow

        for page_id in pages:
            session.get_one(PageRow, page_id).facts = make_facts("ABCDEF+TibetanMachine")
    give_labels(pages[:1], Outcome.REJECTED)
    give_labels(pages[1:])
    status, out, _ = run("audit", "books")
    assert status == 0
    assert "liar.pdf 2 1 50%" in squeezed(out)
    assert "TibetanMachine 2 1 50%" in squeezed(out)
    assert as_json(run("audit", "books", "--json"))["lying"] == 1


def test_a_file_is_read_to_text_and_to_labels(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = {"number": 0, "verdict": "accepted", "label": encode(make_label("བཀྲ་ཤིས"))}
    other = {"number": 1, "verdict": "accepted", "label": encode(make_label("བདེ་ལེགས"))}
    answer_trials(monkeypatch, {"leaf.png": {"pages": [page, other], "scores": None}})
    path = written(tmp_path, "leaf.png", a_png())
    status, out, _ = run("read", path, "--language", "bo")
    assert (status, out) == (0, "བཀྲ་ཤིས\n\fབདེ་ལེགས\n")
    assert as_json(run("read", path, "--json"))["pages"][0]["label"] == page["label"]


def test_a_page_that_could_not_be_read_ends_with_1_and_its_reason(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = {"number": 0, "reason": "no_reader", "detail": "no promoted checkpoint"}
    answer_trials(monkeypatch, {"leaf.png": {"pages": [failure], "scores": None}})
    status, out, err = run("read", written(tmp_path, "leaf.png", a_png()))
    assert (status, out) == (1, "")
    assert "no_reader" in err


def test_evaluation_sums_edits_over_characters(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_checkpoint("line-bo-1")
    for name in ("a.png", "b.pdf"):
        written(tmp_path, name, a_png() if name == "a.png" else a_pdf())
        written(tmp_path, f"{name[0]}.txt", "བཀྲ་ཤིས".encode())
    written(tmp_path, "alone.png", a_png(3))
    label = encode(make_label())

    def read(edits: int, characters: int) -> dict[str, Any]:
        scores = {"cer": edits / characters, "wer": 0.5, "edits": edits, "characters": characters}
        return {"pages": [{"number": 0, "label": label}], "scores": scores | {"word_edits": 1, "words": 2}}

    answer_trials(monkeypatch, {"a.png": read(1, 10), "b.pdf": read(9, 190)})
    status, out, _ = run("evaluate", "--checkpoint", "line-bo-1", tmp_path)
    assert status == 0
    assert "a.png 10.00 % 50.00 % 1 10" in squeezed(out)
    assert "in all 2 5.00 % 50.00 % 10 200" in squeezed(out)
    found = as_json(run("evaluate", "--checkpoint", "line-bo-1", tmp_path, "--json"))
    assert (found["total"]["cer"], found["total"]["edits"], len(found["files"])) == (0.05, 10, 2)
    assert run("evaluate", "--checkpoint", "nobody", tmp_path)[0] == 2


def finish_exports(monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
    """Play the export worker: an export is finished with the files of `directory` before it is fetched."""
    original = Client.export

    def export(self: Client, export_id: int) -> Any:
        with transaction() as session:
            row = session.get_one(ExportRow, export_id)
            row.status, row.rows, row.tree_key = "finished", 2, store().put_tree(directory)
        return original(self, export_id)

    monkeypatch.setattr(Client, "export", export)


def an_export(directory: Path, *, lie: bool = False) -> Path:
    import hashlib

    path = written(directory, "data/rows.jsonl", b'{"row": 1}\n{"row": 2}\n')
    digest = "0" * 64 if lie else hashlib.sha256(path.read_bytes()).hexdigest()
    entry = {"name": "data/rows.jsonl", "bytes": path.stat().st_size, "sha256": digest}
    written(directory, "manifest.json", json.dumps({"rows": 2, "files": [entry]}).encode())
    return directory


def test_an_export_arrives_whole_and_may_be_repeated(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_document(1, corpus="books")
    finish_exports(monkeypatch, an_export(tmp_path / "made"))
    out_dir = tmp_path / "out"
    status, out, _ = run("export", "books", "--format", "jsonl", "--to", out_dir)
    assert status == 0
    assert "2 rows" in out
    assert (out_dir / "data/rows.jsonl").read_bytes() == b'{"row": 1}\n{"row": 2}\n'
    found = as_json(run("export", "books", "--format", "jsonl", "--to", out_dir, "--json"))
    assert (found["rows"], [file["path"] for file in found["files"]]) == (2, ["data/rows.jsonl", "manifest.json"])


def test_an_export_that_does_not_match_its_manifest_ends_with_1(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_document(1, corpus="books")
    finish_exports(monkeypatch, an_export(tmp_path / "made", lie=True))
    status, _, err = run("export", "books", "--to", tmp_path / "out")
    assert status == 1
    assert "does not match the manifest" in squeezed(err)


def test_an_export_never_lands_among_other_files(run: Run, tmp_path: Path) -> None:
    make_document(1, corpus="books")
    written(tmp_path, "precious.txt", b"mine")
    status, _, err = run("export", "books", "--to", tmp_path)
    assert status == 2
    assert "not an export's" in squeezed(err)
    assert run("queues")[1].startswith("idle")  # refused before anything was started


def test_keys_are_made_listed_and_revoked(run: Run, server_url: str) -> None:
    status, out, err = run(
        "keys", "create", "--scope", "read", "--scope", "submit", "--name", "scanner", "--days", 3
    )
    assert status == 0
    assert "cannot be shown again" in err
    key = out.strip()
    with Client(server_url, key) as limited:
        assert limited.corpora() == []
        with pytest.raises(ApiError, match="scope"):
            limited.keys()
    key_id = key.split("_")[1]
    assert "scanner read submit" in squeezed(run("keys", "list")[1])
    assert as_json(run("keys", "revoke", key_id, "--json")) == {"id": key_id, "revoked": True}
    assert "revoked" in run("keys", "list")[1]
    assert run("keys", "create", "--scope", "everything")[0] == 2
