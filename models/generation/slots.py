"""The rows of a generation on their device: the last token of each, its position, its history, its cache.

    Slots(network, guard, count, graphs=...)
    .enter(rows, embeds)                prompts of one length go into free slots; their first token is chosen
    .advance(rows, length, steps)       every one of the first `rows` slots is continued by `steps` tokens
    .move(source, target, length)       sequences change slots

Which slot holds what, and who is done, is the caller's business (generator.py): a slot without a sequence is
computed like any other, and no operation here lets one row see another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.generation.cache import SlotCache
from models.generation.guard import NgramGuard

Rows = slice | Tensor


@dataclass(frozen=True)
class DecoderNetwork:
    """A decoder (a transformers text model), its token embedding, and the projection to the vocabulary."""

    decoder: Any
    embed_tokens: Callable[[Tensor], Tensor]
    lm_head: Callable[[Tensor], Tensor]

    @property
    def weight(self) -> Tensor:
        """Any weight: its device and type are those of the computation."""
        weight: Tensor = next(self.decoder.parameters())
        return weight


class Slots:
    """`count` rows. With `graphs`, a decoding step is captured once for each of its shapes and replayed."""

    def __init__(self, network: DecoderNetwork, guard: NgramGuard | None, count: int, *, graphs: bool) -> None:
        device = network.weight.device
        self._network = network
        self._guard = guard
        self._cache = SlotCache(network.decoder.config.num_hidden_layers, count)
        self._tokens = torch.zeros(count, dtype=torch.long, device=device)
        self._scores = torch.zeros(count, dtype=torch.float32, device=device)
        self._positions = torch.zeros(count, dtype=torch.long, device=device)
        self._history = guard.history(count, device) if guard else torch.empty(count, 0, device=device)
        self._graphs: dict[tuple[int, int], torch.cuda.CUDAGraph] | None = {} if graphs else None

    @property
    def capacity(self) -> int:
        return self._cache.capacity

    def grow(self, capacity: int) -> None:
        """Room for `capacity` tokens a slot. Graphs hold the old addresses, so they go."""
        if self._graphs:
            self._graphs.clear()
        self._cache.grow(capacity)

    def enter(self, rows: Sequence[int], embeds: Tensor) -> None:
        """Prompts (prompts, tokens, width) into the slots `rows`; one named twice gets the same prompt twice."""
        index = torch.tensor(rows, device=self._tokens.device)
        self._cache.enter(index)
        places = torch.arange(embeds.shape[1], device=embeds.device).unsqueeze(0)
        hidden = self._forward(embeds, places, None)
        if self._guard:
            self._history[index] = self._guard.history(len(rows), index.device)
        self._positions[index] = embeds.shape[1]
        self._choose(hidden[:, -1], index)

    def advance(self, rows: int, length: int, steps: int) -> tuple[list[list[int]], list[list[float]]]:
        """Tokens and their log-probabilities, [rows][1 + steps]: first the ones chosen before, then the new.

        `length` places are attended to; it must exceed every sequence's position by `steps`. The device
        is waited for once, at the end.
        """
        tokens, scores = [self._tokens[:rows].clone()], [self._scores[:rows].clone()]
        for _ in range(steps):
            self._run(rows, length)
            tokens.append(self._tokens[:rows].clone())
            scores.append(self._scores[:rows].clone())
        return torch.stack(tokens, dim=1).tolist(), torch.stack(scores, dim=1).tolist()

    def move(self, source: Sequence[int], target: Sequence[int], length: int) -> None:
        """The sequences in the slots `source`, none longer than `length`, into the slots `target`."""
        old, new = (torch.tensor(rows, device=self._tokens.device) for rows in (source, target))
        self._cache.move(old, new, length)
        for state in self._state():
            state[new] = state[old]

    def _state(self) -> tuple[Tensor, ...]:
        return self._tokens, self._scores, self._positions, self._history

    def _run(self, rows: int, length: int) -> None:
        if self._graphs is None:
            self._step(rows, length)
            return
        if (rows, length) not in self._graphs:
            self._graphs[rows, length] = self._captured(rows, length)
        self._graphs[rows, length].replay()

    def _captured(self, rows: int, length: int) -> torch.cuda.CUDAGraph:
        """A step runs once for real, on another stream as torch.cuda.graph asks, and is taken back: libraries set
        themselves up at their first call, which a capture would not survive. The keys and values it wrote are
        those the replay writes again."""
        before = [state.clone() for state in self._state()]
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self._step(rows, length)
        torch.cuda.current_stream().wait_stream(aside)
        for state, value in zip(self._state(), before, strict=True):
            state.copy_(value)
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        with torch.cuda.graph(graph, pool=pool):
            self._step(rows, length)
        return graph

    def _step(self, rows: int, length: int) -> None:
        """One token more for the first `rows` slots, in place and without a word to the host."""
        tokens, positions = self._tokens[:rows], self._positions[:rows]
        positions.clamp_(max=length - 1)  # of slots without a sequence, which count on
        self._cache.append(positions, length)
        embeds = self._network.embed_tokens(tokens).unsqueeze(1)
        hidden = self._forward(embeds, positions.unsqueeze(1), _mask(positions, length, embeds.dtype))
        self._choose(hidden[:, -1], slice(0, rows))
        positions += 1

    def _forward(self, embeds: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        with _attention(embeds.device, decoding=mask is not None):
            hidden: Tensor = self._network.decoder(
                inputs_embeds=embeds,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=self._cache,
                use_cache=True,
            ).last_hidden_state
        return hidden

    def _choose(self, hidden: Tensor, rows: Rows) -> None:
        """The likeliest token that the guard lets pass, for each of `rows`; scored by the raw distribution."""
        logits = self._network.lm_head(hidden).float()
        total = logits.logsumexp(-1)
        if self._guard:
            self._guard.forbid(logits, self._history[rows])
        best = logits.max(-1)
        self._tokens[rows] = best.indices
        self._scores[rows] = best.values - total
        if self._guard:
            self._history[rows] = self._guard.extended(self._history[rows], best.indices)


def _mask(positions: Tensor, length: int, dtype: torch.dtype) -> Tensor:
    """Additive, (rows, 1, 1, length): a row sees its places up to its position. Both `sdpa` and `eager` add it."""
    hidden = torch.arange(length, device=positions.device) > positions.unsqueeze(1)
    mask = torch.zeros(hidden.shape, dtype=dtype, device=positions.device)
    return mask.masked_fill_(hidden, torch.finfo(dtype).min)[:, None, None]


def _attention(device: torch.device, *, decoding: bool) -> AbstractContextManager[None]:
    """While decoding on CUDA, kernels that do not split a row's keys by how many there are: how long the
    neighbours are must not change the order of a row's sums."""
    if device.type == "cuda" and decoding:
        return sdpa_kernel([SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])
    return nullcontext()
