"""Routers of experts are trained with the authors' balance loss, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from models.page_training.routing import RouterBalance, imbalance, routers_of
from models.readers.deepseek_ocr import weights
from models.trainers import train
from tests.models.page_training.datasets import dataset
from tests.models.page_training.jobs import SPLITS, job, pages
from tests.models.tiny import tiny_deepseek_ocr


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_deepseek_ocr(tmp_path_factory.mktemp("base") / "tiny", hidden=32, layers=3)


def published(scores: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """The published gate's auxiliary loss of one sequence, (places, experts) and (places, k), with alpha 1."""
    places, experts = scores.shape
    one_hot = functional.one_hot(chosen.reshape(-1), experts).float().sum(0)
    return (one_hot * experts / (places * chosen.shape[1]) * scores.mean(dim=0)).sum()


def test_the_loss_is_the_published_one_and_padding_does_not_count() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2 * 7, 5)
    chosen = logits.topk(2).indices
    mask = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    scores = logits.softmax(-1).view(2, 7, 5)
    wanted = (published(scores[0], chosen[:7]) + published(scores[1, :4], chosen[7:11])) / 2
    assert imbalance(logits, chosen, mask) == pytest.approx(float(wanted))
    even = torch.zeros(4, 4)
    assert imbalance(even, torch.arange(4)[:, None], torch.ones(1, 4)) == pytest.approx(1.0)
    skewed = torch.tensor([[9.0, 0, 0, 0]] * 4)
    assert imbalance(skewed, torch.zeros(4, 1, dtype=torch.long), torch.ones(1, 4)) > 3.9


@pytest.mark.parametrize("again", [False, True], ids=["kept", "computed again"])
def test_the_routers_gradient_is_that_of_the_words_and_of_the_balance(base: Path, again: bool) -> None:
    ids, mask = torch.arange(3, 33)[None].repeat(2, 1), torch.ones(2, 30, dtype=torch.long)
    mask[1, 20:] = 0

    def gradients(weight: float | None, *, words: float) -> list[torch.Tensor]:
        network = weights.load(base).train()
        if again:
            network.activation_checkpointing_enable({"use_reentrant": False})
        routers = routers_of(network)
        balance = RouterBalance(routers, weight or 0.0)
        with balance.collecting(mask):
            loss = words * network(input_ids=ids, attention_mask=mask, labels=ids).loss
        (loss if weight is None else loss + balance.loss()).backward()
        return [router.weight.grad.clone() for router in routers]

    both, alone, balanced = gradients(0.5, words=1.0), gradients(None, words=1.0), gradients(0.5, words=0.0)
    assert len(both) == 2
    assert all(float(gradient.abs().max()) > 1e-6 for gradient in balanced)
    assert all(torch.allclose(b, a + c, atol=1e-6) for b, a, c in zip(both, alone, balanced, strict=True))


def routers_in(directory: Path) -> list[torch.Tensor]:
    return [router.weight.detach() for router in routers_of(weights.load(directory))]


def test_a_recipe_without_balance_leaves_the_routers_as_they_are_and_one_with_it_says_how_even_they_are(
    tmp_path: Path, base: Path
) -> None:
    data = dataset(tmp_path / "data", pages(), SPLITS)
    asked = job(tmp_path, data, base, router_balance=0.0, gradient_checkpointing=True)
    still = train(asked)
    assert all(map(torch.equal, routers_in(base), routers_in(still.directory)))
    assert still.manifest.scores["router_balance"] is None
    balanced = replace(asked, recipe=asked.recipe.with_overrides({"router_balance": 0.001}))
    moved = train(replace(balanced, out=tmp_path / "moved", resume=tmp_path / "fresh"))
    assert not any(map(torch.equal, routers_in(base), routers_in(moved.directory)))
    assert 1.0 <= moved.manifest.scores["router_balance"] < 4.0


def test_a_strong_balance_spreads_the_tokens_over_the_experts(tmp_path: Path, base: Path) -> None:
    data = dataset(tmp_path / "data", pages(), SPLITS)
    shares = {}
    for weight in (1e-9, 1.0):
        asked = job(tmp_path, data, base, router_balance=weight, steps=40, learning_rate=3e-3)
        asked = replace(asked, out=tmp_path / f"{weight}", resume=tmp_path / f"r{weight}")
        shares[weight] = train(asked).manifest.scores["router_balance"]
    assert shares[1.0] < shares[1e-9]
