"""Commands of the loop: rounds, checkpoints and promotions, and the curve that a round shows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flywheel.cli.plot import curve
from flywheel.cli.rounds import PHASES
from flywheel.client import Client
from flywheel.database import transaction
from flywheel.database.tables import DatasetRow, PromotionRow, RoundRow
from flywheel.figures import (
    Comparison,
    CurvePoint,
    DatasetCounts,
    Difference,
    DocumentEdits,
    Scores,
    SplitCounts,
    TrainingProgress,
    Unit,
)
from flywheel.states import RUNNING_ROUNDS, TrainingPhase
from tests.flywheel.cli.answers import Run, as_json, squeezed
from tests.flywheel.rows import give_labels, make_checkpoint, make_document


def training(unit: Unit, phase: TrainingPhase = TrainingPhase.TRAINING, units: int = 600) -> TrainingProgress:
    """Half of a training of two minutes."""
    return TrainingProgress(
        unit,
        step=70,
        epoch=1,
        seconds=60.0,
        share=0.5,
        units=units,
        loss=1.0,
        learning_rate=1e-3,
        cer=0.2,
        phase=phase,
    )


def a_round(unit: Unit, status: str = "finished", **values: Any) -> int:
    """A round as its workers leave it."""
    points = tuple(CurvePoint(seconds=10.0 * n, cer=0.9 / n**2, step=n) for n in range(1, 8))
    candidate = Scores(0.0213, 0.08, 0.018, 0.025, units=400, characters=9000, edits=192)
    baseline = replace(candidate, cer=0.96)
    counts = DatasetCounts(
        unit,
        units=SplitCounts(1436, 147, 186) if unit is Unit.LINE else SplitCounts(40, 5, 6),
        pages=SplitCounts(40, 5, 6),
        documents=SplitCounts(8, 1, 1),
        dropped={"patch_split": 3},
        replay={"en": 4} if unit is Unit.PAGE else {},
    )
    with transaction() as session:
        dataset = DatasetRow(
            hash=f"dataset {session.query(DatasetRow).count()}", language="bo", manifest_key="k", counts=counts
        )
        session.add(dataset)
        session.flush()
        row = RoundRow(
            **{
                "language": "bo",
                "recipe": "line" if unit is Unit.LINE else "deepseek-ocr-lora",
                "status": status,
                "dataset_id": dataset.id,
                "curve": points,
                "progress": training(unit, TrainingPhase.JUDGING),
                "comparison": Comparison(
                    unit,
                    candidate,
                    baseline,
                    Difference(-0.9, -0.95, -0.8, 0.002),
                    "ppocr-v6-small",
                    candidate_degraded=replace(candidate, cer=0.11),
                    baseline_degraded=replace(baseline, cer_low=None, cer_high=None),
                    by_document=(
                        DocumentEdits("a" * 64, 4000, 30, 3900, 200, 3950),
                        DocumentEdits("b" * 64, 3000, 90, 60, 200, 180),
                        DocumentEdits("c" * 64, 2000, 5, 5, 7, 7),
                    ),
                    look=2,
                    level=0.004,
                ),
                "checkpoint_id": "line-bo-1",
                "relabelled": 12,
                "trained_seconds": 70.0,
                **values,
            }
        )
        session.add(row)
        session.flush()
        session.add(
            PromotionRow(
                language="bo", action="promote", checkpoint_id="line-bo-1", round_id=row.id, actor="round 1"
            )
        )
        return row.id


def test_a_round_is_started_listed_and_cancelled(run: Run) -> None:
    assert "no round yet" in run("round", "list")[1]
    status, _, err = run("round", "start", "--language", "bo")
    assert status == 2
    assert "no accepted label" in err
    _, pages = make_document(1, corpus="books")
    give_labels(pages)
    started = as_json(
        run("round", "start", "-l", "bo", "-c", "books", "--set", "seconds=5", "--set", "drawn_share=0", "--json")
    )
    assert started["overrides"] == {"seconds": 5, "drawn_share": 0}
    assert "patching" in run("round", "list", "--language", "bo")[1]
    assert "patching" in run("round", "show", started["id"])[1]
    assert "cancelled" in run("round", "cancel", started["id"])[1]
    assert run("round", "cancel", started["id"])[0] == 2


@pytest.mark.parametrize("also", [(), ("--dry-run",)])
def test_settings_and_recipes_that_there_are_not_end_with_2_and_say_which_there_are(
    run: Run, also: tuple[str, ...]
) -> None:
    _, pages = make_document(1, corpus="books")
    give_labels(pages)
    for arguments, said in (
        (("--set", "lerning_rate=1"), "recipe line: no setting 'lerning_rate'; there are network, seconds, steps"),
        (("--set", "seconds=soon"), "recipe line: seconds is a number, not 'soon'"),
        (("--recipe", "magic"), "no recipe 'magic'; there are deepseek-ocr-full, deepseek-ocr-lora"),
    ):
        status, out, err = run("round", "start", "-l", "bo", *arguments, *also)
        assert (status, out) == (2, "")
        assert said in squeezed(err)
    with transaction() as session:
        assert session.query(RoundRow).count() == 0


def test_a_finished_round_shows_its_curve_and_its_numbers(run: Run) -> None:
    make_checkpoint("line-bo-1", cer=0.0213)
    round_id = a_round(Unit.LINE)
    status, out, _ = run("round", "show", round_id)
    assert status == 0
    assert "CER on the validation lines" in out
    assert "dataset lines train 1 436, validation 147, heldout 186" in squeezed(out)
    assert "dropped lines patch_split 3" in squeezed(out)
    assert "reader CER 95 % interval WER lines characters" in squeezed(out)
    assert any("\u2801" <= character <= "\u28ff" for character in out)
    assert "line-bo-1 2.13 % 1.80 .. 2.50 % 8.00 % 400 9 000" in squeezed(out)
    assert "line-bo-1, degraded 11.00 % 1.80 .. 2.50 %" in squeezed(out)
    assert "too few documents" in squeezed(out)
    assert "promote" in out
    listed = squeezed(run("round", "list")[1])
    assert "finished 96.00 % 2.13 % 12" in listed
    assert as_json(run("round", "show", round_id, "--json"))["relabelled"] == 12


def test_a_round_says_in_which_documents_it_got_better_and_worse_and_by_which_test(run: Run) -> None:
    make_checkpoint("line-bo-1")
    round_id = a_round(Unit.LINE)
    out = squeezed(run("round", "show", round_id)[1])
    assert "better in 1 and worse in 1 of 3 documents p 0.20%, look 2 at this exam allows 0.40%" in out
    assert "aaaaaaaaaaaa 4 000 7 850 230 -7620" in out
    assert "bbbbbbbbbbbb 3 000 240 290 +50" in out
    assert "cccccccccccc" not in out
    shown = as_json(run("round", "show", round_id, "--json"))
    assert [one["document"][0] for one in shown["comparison"]["by_document"]] == ["a", "b", "c"]
    [listed] = as_json(run("round", "list", "--json"))
    assert (listed["comparison"]["look"], listed["comparison"]["by_document"]) == (2, [])


def test_a_round_of_pages_is_shown_in_pages(run: Run) -> None:
    make_checkpoint("line-bo-1")
    out = squeezed(run("round", "show", a_round(Unit.PAGE))[1])
    assert "CER on the validation pages" in out
    assert "dataset pages train 40, validation 5, heldout 6 documents train 8" in out
    assert "dropped pages patch_split 3" in out
    assert "pages of others en 4" in out
    assert "Held-out pages" in out
    assert "lines" not in out.replace("line-bo-1", "")


def test_a_round_at_work_says_whether_it_trains_or_judges_and_how_fast_in_its_unit(run: Run) -> None:
    make_checkpoint("line-bo-1")
    shown = {}
    for phase in TrainingPhase:
        round_id = a_round(Unit.PAGE, "training", progress=training(Unit.PAGE, phase, units=90))
        shown[phase] = squeezed(run("round", "show", round_id)[1])
        run("round", "cancel", round_id)
    assert "phase training 1.5 pages/s CER 20.00 % 1:00 left" in shown[TrainingPhase.TRAINING]
    assert "phase judging the checkpoint on the held-out pages" in shown[TrainingPhase.JUDGING]


def test_every_phase_that_a_round_is_waited_through_has_words_of_its_own() -> None:
    assert set(PHASES) == {*RUNNING_ROUNDS, *TrainingPhase}
    assert len(set(PHASES.values())) == len(RUNNING_ROUNDS) + 1  # training is a status and a phase


def test_waiting_for_a_round_that_is_cancelled_ends_with_1(
    run: Run, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pages = make_document(1, corpus="books")
    give_labels(pages)

    def cancelled(self: Client, round_id: int) -> Any:
        looked.append(round_id)
        return original(self, round_id) if len(looked) < 2 else client.cancel_round(round_id)

    looked: list[int] = []
    original = Client.round
    monkeypatch.setattr(Client, "round", cancelled)
    status, out, err = run("round", "start", "--language", "bo", "--wait")
    assert status == 1
    assert "cancelled" in out
    assert "Traceback" not in err


def test_checkpoints_are_promoted_and_rolled_back(run: Run) -> None:
    make_checkpoint("line-bo-1", cer=0.2)
    make_checkpoint("line-bo-2", cer=0.1)
    assert "bo is read by line-bo-1 now" in run("promote", "line-bo-1")[1]
    assert as_json(run("promote", "line-bo-2", "--note", "better", "--json"))["previous_id"] == "line-bo-1"
    assert "line-bo-2 bo Tibt 10.00 %" in squeezed(run("checkpoints", "--language", "bo")[1])
    assert "bo is read by line-bo-1 now" in run("rollback", "--language", "bo")[1]
    assert [row["champion_of"] for row in as_json(run("checkpoints", "-l", "bo", "--json"))] == [["bo"], []]
    assert run("promote", "nobody")[0] == 2
    assert run("rollback", "--language", "zh")[0] == 2


def test_a_curve_falls_from_the_top_left_to_the_bottom_right() -> None:
    lines = curve([(20, 0.2), (0, 1.0), (10, 0.6)], width=10, height=4, left="0", right="20")
    drawn = [line[10:] for line in lines[:4]]
    assert [line[:8] for line in lines[:4]] == [" 100.0 %", "        ", "  60.0 %", "  20.0 %"]
    assert all(len(line) == 10 for line in drawn)
    starts = [len(line) - len(line.lstrip("⠀")) for line in drawn]
    assert starts == sorted(starts)
    assert (starts[0], drawn[0][-1], drawn[3][-1] == "⠀") == (0, "⠀", False)
    assert lines[-1].split() == ["0", "20"]


def test_a_curve_that_falls_far_is_drawn_on_a_logarithmic_axis() -> None:
    points = [(float(n), 0.5**n) for n in range(8)]
    lines = curve(points, width=16, height=8, left="", right="")
    middle = float(lines[4].split("%")[0])
    assert 5 < middle < 12  # the geometric mean of 100 % and 0.8 %


@pytest.mark.parametrize("points", [[], [(1.0, 0.5)], [(1.0, 0.5), (1.0, 0.4)]])
def test_too_few_points_are_no_curve(points: list[tuple[float, float]]) -> None:
    assert curve(points, left="", right="") == []
