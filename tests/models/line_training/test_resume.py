"""Training checkpoints are complete or absent, and the furthest complete one is found."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from flywheel.figures import CurvePoint
from models.line_training.resume import (
    MANIFEST,
    TENSORS,
    LineTrainingState,
    newest_state,
    restore_random,
    save_state,
)


def trained(steps: int) -> tuple[torch.nn.Linear, torch.optim.AdamW]:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        network(torch.ones(4, 3)).sum().backward()
        optimiser.step()
    return network, optimiser


def state_at(step: int, job: str = "job") -> LineTrainingState:
    network, optimiser = trained(step)
    return LineTrainingState(
        ("a", "b"), network.state_dict(), optimiser.state_dict(), step=step, seconds=step / 2, job=job
    )


def test_a_state_comes_back_whole(tmp_path: Path) -> None:
    saved = state_at(3)
    saved.curve, saved.epoch, saved.position = [CurvePoint(seconds=1.0, cer=0.5, step=2)], 1, 7
    save_state(tmp_path, saved)
    back = newest_state(tmp_path, "job")
    assert back is not None
    assert (back.step, back.epoch, back.position, back.seconds) == (3, 1, 7, 1.5)
    assert (back.charset, back.curve) == (saved.charset, saved.curve)
    assert all(torch.equal(back.network[k], v) for k, v in saved.network.items())


def test_a_resumed_optimiser_goes_on_exactly_as_the_first_would_have(tmp_path: Path) -> None:
    save_state(tmp_path, state_at(3))
    back = newest_state(tmp_path, "job")
    assert back is not None
    network, optimiser = trained(0)
    network.load_state_dict(back.network)
    optimiser.load_state_dict(back.optimiser)
    optimiser.zero_grad()
    network(torch.ones(4, 3)).sum().backward()
    optimiser.step()
    assert all(torch.equal(network.state_dict()[k], v) for k, v in trained(4)[0].state_dict().items())


def test_torchs_random_state_goes_on_where_it_was(tmp_path: Path) -> None:
    state = state_at(1)
    torch.manual_seed(11)
    save_state(tmp_path, state)
    expected = torch.rand(3)
    torch.manual_seed(99)
    back = newest_state(tmp_path, "job")
    assert back is not None
    restore_random(back, "cpu")
    assert torch.equal(torch.rand(3), expected)


def test_a_damaged_or_unfinished_state_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    for step in (2, 4):
        save_state(tmp_path, state_at(step))
    (tmp_path / ".step-00000006.partial").mkdir()
    tensors = tmp_path / "step-00000004" / TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-3])
    back = newest_state(tmp_path, "job")
    assert back is not None
    assert back.step == 2


def test_only_the_newest_two_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        save_state(tmp_path, state_at(step))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000003", "step-00000004"]


def test_a_directory_that_is_itself_a_state_counts(tmp_path: Path) -> None:
    path = save_state(tmp_path, state_at(5))
    back = newest_state(path, "job")
    assert back is not None
    assert back.step == 5


def test_the_state_of_another_job_is_not_resumed(tmp_path: Path) -> None:
    save_state(tmp_path, state_at(2, job="other"))
    assert newest_state(tmp_path, "job") is None


def test_there_is_no_pickle_in_a_state(tmp_path: Path) -> None:
    path = save_state(tmp_path, state_at(2))
    assert sorted(p.name for p in path.iterdir()) == [MANIFEST, TENSORS]
    assert "sha256" in json.loads((path / MANIFEST).read_text())
    assert newest_state(tmp_path / "nothing here") is None
