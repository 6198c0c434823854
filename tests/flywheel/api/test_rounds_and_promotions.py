"""Rounds and promotions over HTTP."""

from __future__ import annotations

from dataclasses import replace

import httpx

from flywheel.client import Client
from flywheel.database import transaction
from flywheel.database.tables import (
    RoundRow,
)
from flywheel.figures import CurvePoint, TrainingProgress, Unit
from tests.flywheel.api.sending import code
from tests.flywheel.rows import (
    give_labels,
    make_checkpoint,
    make_comparison,
    make_document,
)


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
    assert client.rounds()[0].comparison == replace(compared, by_document=())
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
