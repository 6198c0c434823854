"""Greedy generation in slots: finished sequences leave, waiting prompts take their place.

    Generator(decoder, embed_tokens, lm_head, end=..., guard=..., slots=32)
    .generate(prompts) -> results in the prompts' order      prompts are drawn as slots free up
    .release()                                               gives back the memory kept for the next call

What a result depends on: its own prompt and the weights. A row is computed by operations that treat rows apart
(attention within the slot, the mask and the guard by row, experts by token without a capacity), so another
batch can change it by nothing but the order of floating-point sums, where a matrix product of another shape is
summed by another kernel. In float32 that is about 1e-6 of a logit, and rows are packed to save work. In half
precision it can reach 1e-2 and turn a close decision, so there the shapes stand (`steady`): always all the
slots, prompts in groups of one size. Then the text changes with the number of slots at most.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from models.generation.guard import NgramGuard
from models.generation.slots import DecoderNetwork, Slots

OUT_OF_MEMORY = 2  # cudaErrorMemoryAllocation


@dataclass(frozen=True, eq=False)
class Prompt:
    """One sequence to continue: `embeds` (tokens, width) and the most tokens to add, at least 1 of either.

    Raises ValueError.
    """

    embeds: Tensor
    limit: int

    def __post_init__(self) -> None:
        if self.embeds.ndim != 2 or not len(self.embeds) or self.limit < 1:
            raise ValueError(f"a prompt of shape {tuple(self.embeds.shape)} with a limit of {self.limit}")


@dataclass(frozen=True)
class Generated:
    """`tokens` without the end token, the log-probability of each before the guard, and whether the limit came
    before the end."""

    tokens: list[int]
    log_probabilities: list[float]
    truncated: bool


@dataclass(eq=False)
class _Sequence:
    """A prompt on its way. `length`: its tokens in the cache; `fresh`: its first token is still on the device."""

    order: int
    prompt: Prompt
    tokens: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    length: int = 0
    fresh: bool = True

    def restart(self) -> None:
        self.tokens, self.scores, self.length, self.fresh = [], [], 0, True

    @property
    def missing(self) -> int:
        """Tokens that a limit still allows and no step has made yet."""
        return self.prompt.limit - len(self.tokens) - self.fresh

    def extend(self, tokens: Sequence[int], scores: Sequence[float], end: frozenset[int]) -> Generated | None:
        """Add the tokens of a block of steps; returns the result when they finish it. Tokens behind the end are
        dropped."""
        since, self.fresh = (0 if self.fresh else 1), False
        for token, score in zip(tokens[since:], scores[since:], strict=True):
            if token in end:
                return Generated(self.tokens, self.scores, truncated=False)
            self.tokens.append(token)
            self.scores.append(score)
            if len(self.tokens) == self.prompt.limit:
                return Generated(self.tokens, self.scores, truncated=True)
        return None


@dataclass(frozen=True)
class DecodingOptions:
    """Options that change the speed of decoding and no result.

    `stride`: steps between two reads of the tokens that were made; a finished row runs on until then. `bucket`:
    attention reads, and the cache grows, in multiples of so many tokens. `group`: prompts of one length that
    enter in one pass. `graphs`: CUDA graphs.
    """

    stride: int
    bucket: int
    group: int
    graphs: bool


def decoding_options(weight: Tensor, slots: int) -> DecodingOptions:
    """For a decoder with weights like `weight`. On a CPU, reading tokens is free and a prompt fills the cores.

    Without bfloat16 a grouped product of experts asks the host, and no graph can hold it.
    """
    if weight.device.type == "cuda":
        return DecodingOptions(
            stride=8, bucket=256, group=max(1, slots // 32), graphs=weight.dtype == torch.bfloat16
        )
    return DecodingOptions(stride=1, bucket=64, group=1, graphs=False)


class Generator:
    """Continues prompts greedily. Not for two threads at once.

    `decoder` is a transformers text model with full attention, in `eval` mode; raises ValueError for a windowed
    one. `end` are the tokens that finish a text. `steady` fixes all shapes; by default where weights are
    not float32. `options` are for measurements.

    The device must hold `slots` sequences of the longest one's length: 32 pages of 8,192 tokens are 17 GB of
    DeepSeek-OCR's keys and values, 128 are 66 GB. They are kept for the next call, until `release`.
    """

    def __init__(
        self,
        decoder: Any,
        embed_tokens: Any,
        lm_head: Any,
        *,
        end: frozenset[int],
        guard: NgramGuard | None,
        slots: int = 32,
        steady: bool | None = None,
        options: DecodingOptions | None = None,
    ) -> None:
        if set(getattr(decoder.config, "layer_types", None) or ()) - {"full_attention"}:
            raise ValueError("a decoder with windowed attention cannot be continued in slots")
        if slots < 1:
            raise ValueError(f"{slots} slots")
        self._network = DecoderNetwork(decoder, embed_tokens, lm_head)
        self._end = end
        self._guard = guard
        self._count = slots
        self._steady = self._network.weight.dtype != torch.float32 if steady is None else steady
        self._options = options
        self._slots: Slots | None = None
        self._live: dict[int, _Sequence] = {}

    @property
    def slots(self) -> int:
        """Number of sequences that run at once: as asked for, or as the device's memory was found to hold."""
        return self._count

    def generate(self, prompts: Iterable[Prompt]) -> list[Generated]:
        """Continues every prompt to its end or limit.

        Where the device has not the memory, the slots are halved and what was unfinished starts again; raises
        torch.OutOfMemoryError when one slot is too many. What `prompts` raises goes through.
        """
        source = (_Sequence(order, prompt) for order, prompt in enumerate(prompts))
        waiting: deque[_Sequence] = deque()
        done: dict[int, Generated] = {}
        self._live = {}
        while True:
            # Outside of what is tried below: an error of the prompts' source is not the decoder's.
            waiting.extend(itertools.islice(source, max(0, self._free - len(waiting))))
            if not waiting and not self._live:
                return [done[order] for order in sorted(done)]
            if not self._attempt_round(waiting, done):
                self._halve(waiting)

    def release(self) -> None:
        """Drops cache and graphs. The next call makes them anew."""
        self._slots = None
        self._live = {}
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _free(self) -> int:
        return self._count - len(self._live)

    def _attempt_round(self, waiting: deque[_Sequence], done: dict[int, Generated]) -> bool:
        """One round; False when the device lacked the memory. All that it held is free once this returns."""
        try:
            with torch.inference_mode():
                self._round(waiting, done)
        except (torch.OutOfMemoryError, torch.AcceleratorError) as error:
            self._slots = None  # which may have grown in part
            if self._count == 1 or not _lacks_memory(error):
                raise
            return False
        return True

    def _halve(self, waiting: deque[_Sequence]) -> None:
        """The unfinished go to the front of the queue, in their order."""
        unfinished = sorted([*self._live.values(), *waiting], key=lambda sequence: sequence.order)
        self.release()
        self._count //= 2
        waiting.clear()
        for sequence in unfinished:
            sequence.restart()
            waiting.append(sequence)

    def _round(self, waiting: deque[_Sequence], done: dict[int, Generated]) -> None:
        """Waiting prompts enter, every row is continued by a block of steps, finished rows leave."""
        options = self._options or decoding_options(self._network.weight, self._count)
        if self._slots is None:
            self._slots = Slots(self._network, self._guard, self._count, graphs=options.graphs)
        if self._should_admit(waiting, options):
            self._admit(self._slots, waiting, options)
        rows = self._rows_to_compute(self._slots, options)
        steps = min(options.stride, max(sequence.missing for sequence in self._live.values()))
        longest = max(sequence.length for sequence in self._live.values())
        length = self._with_capacity(self._slots, longest + steps, options)
        tokens, scores = self._slots.advance(rows, length, steps)
        for row, sequence in list(self._live.items()):
            sequence.length += steps
            finished = sequence.extend(tokens[row], scores[row], self._end)
            if finished:
                done[sequence.order] = finished
                del self._live[row]

    def _should_admit(self, waiting: deque[_Sequence], options: DecodingOptions) -> bool:
        """True to let prompts in now: a group is complete, or no more will come, or no row is held up."""
        entering = min(len(waiting), self._free)
        return entering > 0 and (entering >= options.group or len(waiting) < self._free or not self._live)

    def _admit(self, slots: Slots, waiting: deque[_Sequence], options: DecodingOptions) -> None:
        """Fills free slots from the front of the queue, neighbours of one length together."""
        free = [row for row in range(self._count) if row not in self._live]
        entering = itertools.islice(waiting, len(free))
        self._with_capacity(
            slots, max(len(sequence.prompt.embeds) for sequence in entering) + options.stride, options
        )
        while free and waiting:
            length = len(waiting[0].prompt.embeds)
            group: dict[int, _Sequence] = {}
            while free and waiting and len(group) < options.group and len(waiting[0].prompt.embeds) == length:
                group[free.pop(0)] = waiting.popleft()
            self._live |= group  # before they enter: should memory fail, they are among the unfinished
            self._enter(slots, group, options)

    def _enter(self, slots: Slots, group: dict[int, _Sequence], options: DecodingOptions) -> None:
        weight = self._network.weight
        rows = list(group)
        embeds = [group[row].prompt.embeds.to(weight.device, weight.dtype) for row in rows]
        if self._steady:  # a group of one size, whoever is in it
            rows += rows[-1:] * (options.group - len(rows))
            embeds += embeds[-1:] * (options.group - len(embeds))
        slots.enter(rows, torch.stack(embeds))
        for sequence in group.values():
            sequence.length = len(sequence.prompt.embeds)

    def _rows_to_compute(self, slots: Slots, options: DecodingOptions) -> int:
        """Number of slots to compute; unless all of them, the live ones are packed to the front first."""
        if self._steady:
            return self._count
        rows = len(self._live)
        if options.graphs:  # a graph for each number of rows: powers of two
            rows = min(self._count, 1 << (rows - 1).bit_length())
        holes = [row for row in range(rows) if row not in self._live]
        beyond = [row for row in self._live if row >= rows]
        if beyond:
            target = holes[: len(beyond)]
            slots.move(beyond, target, max(self._live[row].length for row in beyond))
            for old, new in zip(beyond, target, strict=True):
                self._live[new] = self._live.pop(old)
        return rows

    def _with_capacity(self, slots: Slots, tokens: int, options: DecodingOptions) -> int:
        """`tokens` rounded up to buckets, with a cache that holds as many."""
        length = -(-tokens // options.bucket) * options.bucket
        if length > slots.capacity:
            slots.grow(length)
        return length


def _lacks_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or getattr(error, "error_code", None) == OUT_OF_MEMORY
