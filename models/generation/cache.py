"""Keys and values of many sequences at different lengths, in buffers of fixed shape.

    SlotCache(layers, slots)
    .grow(capacity)                         tokens a slot can hold; keeps what is there
    .enter(slots)                           the next forward pass fills these slots from their start
    .append(positions, length)              the next forward passes add one token to each of the first slots
    .move(source, target, length)           slots change places

A transformers `Cache`: attention calls `update` with new keys and values and gets back what to attend to.
Entering, that is the prompt alone. Appending, it is the first `length` places of every slot, and the caller's
mask hides what lies behind a row's own position. Layout (slots, tokens, heads, dimension), so that a token is
one piece of memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin


@dataclass
class _WritePosition:
    """Position that all layers write to next. Holds no layer, so that dropping a cache frees it at once."""

    capacity: int = 0
    slots: Tensor | None = None  # entering: (prompts,), int64
    positions: Tensor | None = None  # appending: (rows,), int64
    length: int = 0


class SlotCache(Cache):
    """`slots` sequences of up to `capacity` tokens in each of `layers` layers."""

    def __init__(self, layers: int, slots: int) -> None:
        self._position = _WritePosition()
        self._slot_layers = [_SlotLayer(slots, self._position) for _ in range(layers)]
        super().__init__(layers=list(self._slot_layers))

    @property
    def capacity(self) -> int:
        return self._position.capacity

    def grow(self, capacity: int) -> None:
        """Layer by layer, so that old and new stand side by side for one layer only."""
        self._position.capacity = capacity
        for layer in self._slot_layers:
            layer.grow(capacity)

    def enter(self, slots: Tensor) -> None:
        """`slots` (prompts,), int64: where the prompts of the next pass go, whole."""
        self._position.slots, self._position.positions = slots, None

    def append(self, positions: Tensor, length: int) -> None:
        """`positions` (rows,), int64, below `length`: where slot 0 ... rows - 1 put their next token."""
        self._position.slots, self._position.positions, self._position.length = None, positions, length

    def move(self, source: Tensor, target: Tensor, length: int) -> None:
        """The first `length` tokens of the slots `source` to the slots `target`."""
        for layer in self._slot_layers:
            for buffer in layer.buffers:
                buffer[target, :length] = buffer[source, :length]


class _SlotLayer(CacheLayerMixin):
    def __init__(self, slots: int, position: _WritePosition) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots = slots
        self._position = position
        self.buffers: list[Tensor] = []  # keys and values, once the first states tell heads, type and device

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """From states (batch, heads, tokens, dimension)."""
        self.buffers = [self._buffer(states) for states in (key_states, value_states)]
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        if not self.buffers:
            self.lazy_initialization(key_states, value_states)
        keys, values = self.buffers
        return self._written(keys, key_states), self._written(values, value_states)

    def grow(self, capacity: int) -> None:
        for which, buffer in enumerate(self.buffers):
            grown = buffer.new_zeros(self._slots, capacity, *buffer.shape[2:])
            grown[:, : buffer.shape[1]] = buffer
            self.buffers[which] = grown

    def get_seq_length(self) -> int:
        """Prompts enter at position 0; while appending the caller gives positions and mask."""
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0

    def get_max_length(self) -> int:
        return self._position.capacity

    def _buffer(self, states: Tensor) -> Tensor:
        return states.new_zeros(self._slots, self._position.capacity, states.shape[1], states.shape[3])

    def _written(self, buffer: Tensor, states: Tensor) -> Tensor:
        place = self._position
        if place.positions is None:
            buffer[place.slots, : states.shape[2]] = states.transpose(1, 2)
            # What a former sequence left behind is masked, but a NaN of its would come through the mask.
            buffer[place.slots, states.shape[2] :] = 0
            return states
        rows = len(place.positions)
        buffer[torch.arange(rows, device=buffer.device), place.positions] = states[:, :, 0]
        return buffer[:rows, : place.length].transpose(1, 2)
