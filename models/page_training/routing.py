"""Balance loss of the routers of a mixture of experts, as the decoder's authors train them.

    balance = RouterBalance(network, weight)      of all routers of a network
    with balance.collecting(attention_mask):      one forward pass
        ...
    balance.loss()                                to be added to that pass's loss
    balance.forget()                              after its backward pass

A router that is trained for the words alone sends ever more tokens to the experts that it favours, which learn
ever more; the rest is lost. DeepSeek's own gate (DeepSeek-V2, arXiv 2405.04434, section 2.2.3; `MoEGate` of the
published code with `seq_aux`, which is its default, and `aux_loss_alpha` 0.001) adds for each layer and sequence

    alpha * sum over experts of  (share of the tokens sent to it * experts)  *  (mean of its score),

with softmax scores, k experts a token, and shares of k * tokens: it is alpha when all experts get the same. The
authors count all places of a sequence; here padding does not count, for no page should be routed by its
neighbours' length. Of a network without experts there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers.models.deepseek_ocr2.modeling_deepseek_ocr2 import DeepseekOcr2TextTopkRouter

MEMORY = 0.95  # of the running mean that is reported


def routers_of(network: nn.Module) -> list[DeepseekOcr2TextTopkRouter]:
    """The routers of a network; none of one without experts."""
    return [module for module in network.modules() if isinstance(module, DeepseekOcr2TextTopkRouter)]


class RouterBalance:
    """Loss of all routers' last pass, times `weight`. `mean`: its running mean by layer without the weight, 1 when
    all experts get the same; None before the first pass."""

    def __init__(self, routers: Sequence[nn.Module], weight: float) -> None:
        self._weight = weight
        self._mask: Tensor | None = None
        self._is_collecting = False
        self._losses: list[Tensor] = []
        self.mean: float | None = None
        for router in routers:
            router.register_forward_hook(self._collect)

    @contextmanager
    def collecting(self, mask: Tensor) -> Iterator[None]:
        """One forward pass over sequences with this attention mask (sequences, places). Layers that keep nothing
        for their gradients are computed again in the backward pass: alike, but not counted twice."""
        self._losses, self._mask, self._is_collecting = [], mask, True
        try:
            yield
        finally:
            self._is_collecting = False

    def loss(self) -> Tensor:
        """The weighted loss of the pass, summed over layers."""
        losses = torch.stack(self._losses)
        found = float(losses.detach().mean())
        self.mean = found if self.mean is None else MEMORY * self.mean + (1 - MEMORY) * found
        return self._weight * losses.sum()

    def forget(self) -> None:
        """Pass over what the routers do until the next collecting, such as reading."""
        self._losses, self._mask = [], None

    def _collect(self, _router: Any, _given: Any, output: tuple[Tensor, Tensor, Tensor]) -> None:
        if self._mask is not None:
            logits, _weights, chosen = output
            found = imbalance(logits, chosen, self._mask)
            if self._is_collecting:
                self._losses.append(found)


def imbalance(logits: Tensor, chosen: Tensor, mask: Tensor) -> Tensor:
    """Mean over sequences of the sum above, without alpha.

    `logits` (sequences * places, experts), `chosen` (sequences * places, k) experts of each token, `mask`
    (sequences, places) with 1 for tokens that count.
    """
    sequences, places = mask.shape
    experts, k = logits.shape[-1], chosen.shape[-1]
    counted = mask.to(logits.device, torch.float32)
    size = counted.sum(dim=1, keepdim=True).clamp(min=1)
    scores = logits.float().softmax(dim=-1).view(sequences, places, experts)
    means = (scores * counted[..., None]).sum(dim=1) / size
    sent = counted.new_zeros(sequences, experts)
    sent.scatter_add_(1, chosen.view(sequences, places * k), counted.repeat_interleave(k, dim=1))
    return (sent * (experts / (k * size)) * means).sum(dim=1).mean()
