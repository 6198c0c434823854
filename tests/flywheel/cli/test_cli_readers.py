"""Readers by name and mode, workers, plans and the compression study, through API and command line."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from flywheel.client import Client
from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, RoundRow, ShardRow, TrialRow
from flywheel.document import Outcome, encode
from flywheel.errors import ApiError
from flywheel.figures import Durations, Outlook, Plan, Rates, TokenReport, Unit
from flywheel.loop import rounds
from flywheel.settings import settings
from flywheel.work.workers import DeviceFacts, write_status
from tests.flywheel.cli.answers import Run, answer_trials, as_json, squeezed
from tests.flywheel.files import a_png, written
from tests.flywheel.rows import give_labels, make_checkpoint, make_document, make_label, store

PLAN = Plan(
    unit=Unit.PAGE,
    outlook=Outlook(
        documents=3,
        pages=40,
        lines=900,
        pages_to_cut=40,
        pages_to_relabel=1200,
        reads_now="line-bo-3",
        rates=Rates(cutting=4.0, relabelling=2.0),
    ),
    parent=None,
    seconds=Durations(cutting=10.0, training=None, training_at_most=3600.0, relabelling=600.0),
    tokens=TokenReport(
        texts=40,
        characters=10_000,
        syllables=3_200,
        tokens=29_000,
        byte_share=0.97,
        unknown_share=0.0,
        normaliser="none",
        changed_share=0.0,
        normal_form="NFC",
        stacks=210,
        split_stacks=209,
        split_examples=(("བསྒྲ", 12),),
        unseen_stacks=1,
        unseen_examples=(("ཧཱུྃ", 2),),
    ),
)


def test_a_reader_is_named_with_its_mode_and_asked_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = {"number": 0, "verdict": "accepted", "label": encode(make_label()), "vision_tokens": 256}
    answer_trials(monkeypatch, {"leaf.png": {"pages": [page], "scores": None}})
    leaf = written(tmp_path, "leaf.png", a_png())
    found = as_json(run("read", leaf, "--reader", "deepseek-ocr", "--mode", "gundam", "--json"))
    assert (found["checkpoint_id"], found["mode"]) == ("deepseek-ocr", "gundam")
    assert found["pages"][0]["vision_tokens"] == 256
    with transaction() as session:
        assert session.get_one(TrialRow, found["id"]).mode == "gundam"


def test_readers_and_modes_that_do_not_go_together_are_refused(run: Run, client: Client, tmp_path: Path) -> None:
    leaf = written(tmp_path, "leaf.png", a_png())
    for arguments, said in (
        (("--reader", "tesseract"), "no reader 'tesseract'"),
        (("--reader", "got-ocr2", "--checkpoint", "line-bo-1"), "give one of them"),
        (("--reader", "deepseek-ocr", "--mode", "huge"), "tiny, small, base, large"),
        (("--reader", "got-ocr2", "--mode", "base"), "got-ocr2 has no modes"),
        (("--mode", "base"), "name the checkpoint"),
    ):
        status, out, err = run("read", leaf, *arguments)
        assert (status, out) == (2, "")
        assert said in squeezed(err)
    with transaction() as session:
        session.add(CheckpointRow(id="deepseek-ocr-lora-bo-7", architecture="deepseek-ocr", scripts=["Tibt"]))
    assert client.start_trial(leaf, checkpoint="deepseek-ocr-lora-bo-7", mode="tiny").mode == "tiny"


def test_workers_are_listed_with_their_device_and_for_whom_they_wait(run: Run) -> None:
    busy = DeviceFacts("cuda:0", "H200", 70_000_000_000, 140_000_000_000, 0.93)
    with transaction() as session:
        write_status(session, "node-1:17", "train@node-1", busy, "training of round 7", None)
        write_status(session, "node-1:18", "gpu@node-1", busy, None, "training of round 7 has cuda:0")
    out = squeezed(run("status")[1])
    assert "train@node-1 17 cuda:0 H200 70.0 GB of 140.0 GB 93 % training of round 7" in out
    assert "waits: training of round 7 has cuda:0" in out
    found = as_json(run("status", "--json"))["workers"]
    assert [worker["waiting_for"] for worker in found] == ["training of round 7 has cuda:0", None]


def answer_plans(monkeypatch: pytest.MonkeyPatch, plan: Plan) -> None:
    """Play the planning worker."""
    original = Client.round

    def planned(self: Client, round_id: int) -> Any:
        with transaction() as session:
            row = session.get_one(RoundRow, round_id)
            row.status, row.plan = "planned", plan
        return original(self, round_id)

    monkeypatch.setattr(Client, "round", planned)


def test_a_plan_tells_what_a_round_would_do_and_starts_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pages = make_document(2, corpus="books")
    give_labels(pages)
    answer_plans(monkeypatch, PLAN)
    status, out, _ = run("round", "start", "-l", "bo", "--recipe", "deepseek-ocr-lora", "--dry-run")
    said = squeezed(out)
    assert status == 0
    assert "900 lines on 40 pages of 3 documents" in said
    assert "begins with the published weights" in said
    assert "reads anew 1 200 pages" in said
    assert "relabelling 10:00" in said
    assert "tokens a character 2.90 dear" in said
    assert "བསྒྲ 12" in said
    assert "nothing was started" in said
    with transaction() as session:
        assert [shard.stop for shard in session.query(ShardRow).filter(ShardRow.round_id.is_not(None))] == [
            "planning"
        ]


def test_a_plan_is_refused_like_the_round_itself_and_hinders_none(client: Client) -> None:
    with pytest.raises(ApiError, match="no accepted label"):
        client.plan_round("bo")
    _, pages = make_document(2, corpus="books")
    give_labels(pages)
    with pytest.raises(ApiError, match="no recipe 'magic'"):
        client.plan_round("bo", recipe="magic")
    with pytest.raises(ApiError, match="no corpus 'nowhere'"):
        client.plan_round("bo", ["nowhere"])
    planned = client.plan_round("bo", ["books"])
    assert client.cancel_round(client.plan_round("bo").id).status == "cancelled"
    assert planned.status == "planning"
    assert client.start_round("bo", ["books"]).status == "patching"
    assert client.plan_round("bo").status == "planning"


def test_a_plan_does_not_count_as_the_last_round(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    _, pages = make_document(2, corpus="books")
    give_labels(pages, lines=30)
    client.plan_round("bo")
    monkeypatch.setenv("FLYWHEEL_ROUND_MIN_LINES", "50")
    settings.cache_clear()
    with transaction() as session:
        assert rounds.languages_to_train(session, settings()) == ["bo"]


def truth(tmp_path: Path, *names: str) -> Path:
    folder = tmp_path / "truth"
    folder.mkdir()
    for name in names:
        written(folder, f"{name}.png", a_png())
        (folder / f"{name}.txt").write_text("བཀྲ་ཤིས", encoding="utf-8")
    return folder


def study_of(monkeypatch: pytest.MonkeyPatch, precision: dict[str, float]) -> None:
    """Play a reader whose precision depends on its mode."""
    original = Client.trial
    tokens = {"tiny": 64, "small": 100, "base": 256}

    def trial(self: Client, trial_id: int) -> Any:
        with transaction() as session:
            row = session.get_one(TrialRow, trial_id)
            mode = str(row.mode)
            page = {"number": 0, "label": encode(make_label()), "vision_tokens": tokens[mode], "text_tokens": 640}
            length = 640 if row.name == "a.png" else 1240
            scores = {"cer": 1 - precision[mode], "wer": 1, "edits": 1, "characters": 9, "truth_tokens": length}
            row.status = "finished"
            row.result_key = store().put(json.dumps({"pages": [page], "scores": scores}).encode())
        return original(self, trial_id)

    monkeypatch.setattr(Client, "trial", trial)


def test_the_compression_study_tells_precision_by_mode_and_draws_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_of(monkeypatch, {"tiny": 0.6, "small": 0.97})
    folder, plot = truth(tmp_path, "a", "b"), tmp_path / "study.svg"
    call = ("evaluate", "--checkpoint", "deepseek-ocr", "--modes", "tiny,small", folder)
    found = as_json(run(*call, "--plot", plot, "--json"))
    by_mode = {(point["file"], point["mode"]): point for point in found["files"]}
    assert by_mode["a.png", "tiny"]["compression"] == 10.0
    assert by_mode["b.png", "small"]["compression"] == 12.4
    assert found["unread"] == []
    first = found["groups"][0]
    assert (first["text_tokens"], first["files"]) == ([600, 800], 1)
    assert first["modes"]["small"]["precision"] == pytest.approx(0.97)
    dots = ET.parse(plot).getroot().findall("{http://www.w3.org/2000/svg}circle")  # made here
    assert len(dots) == 4 + 2  # a dot a file and mode, and the legend's
    assert "600-800 1 60.00 % 10.0x 97.00 % 6.4x" in squeezed(run(*call)[1])


def test_a_study_of_nothing_or_of_unknown_modes_is_refused(run: Run, tmp_path: Path) -> None:
    folder = truth(tmp_path, "a")
    call = ("evaluate", "--checkpoint", "deepseek-ocr", folder)
    assert "no mode 'huge'" in squeezed(run(*call, "--modes", "tiny,huge")[2])
    assert "--plot draws the study" in squeezed(run(*call, "--plot", tmp_path / "a.svg")[2])
    assert make_checkpoint("line-bo-1") == "line-bo-1"
    status, _, err = run("evaluate", "--checkpoint", "line-bo-1", "--modes", "tiny", folder)
    assert status == 2
    assert "line-bo-1 has no modes" in squeezed(err)


def test_rejected_labels_are_what_the_plan_compares_with(client: Client) -> None:
    """Stacks that only unread pages show come from labels that were not accepted."""
    from flywheel.loop import planning

    _, pages = make_document(3, corpus="books")
    give_labels(pages[:2])
    make_checkpoint("line-bo-1")
    give_labels(pages[2:], Outcome.REJECTED, stop="recognition", checkpoint="line-bo-1", generation=1)
    planned = client.plan_round("bo")
    with transaction() as session:
        row = session.get_one(RoundRow, planned.id)
        outlook = planning.outlook(session, row)
        teaching, others = planning.sample(session, row)
        assert (outlook.pages, outlook.lines, outlook.documents) == (2, 2, 1)
        assert (outlook.pages_to_cut, outlook.pages_to_relabel, outlook.reads_now) == (2, 1, None)
        assert ({label.page_id for label in teaching}, [label.page_id for label in others]) == (
            set(pages[:2]),
            [pages[2]],
        )
