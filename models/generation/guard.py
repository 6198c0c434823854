"""The n-gram guard: a reader that falls into a loop is kept from writing the same n-gram again.

    NgramGuard(size, window, exempt).forbid(logits, history)      all rows at once, on their device

The rule is the one DeepSeek-OCR is served with: whatever token would complete an n-gram that lies wholly
within the last `window` generated tokens cannot be chosen. The prompt does not count.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

NOTHING = -1  # fills a history before the first token


@dataclass(frozen=True)
class NgramGuard:
    """No n-gram of `size` tokens twice within `window` tokens; `exempt` tokens are never forbidden.

    The defaults are those of DeepSeek-OCR, whose exempt tokens are `<td>` and `</td>`, 128821 and 128822.
    Raises ValueError unless 2 <= size <= window.
    """

    size: int = 30
    window: int = 90
    exempt: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if not 2 <= self.size <= self.window:
            raise ValueError(f"an n-gram of {self.size} tokens in a window of {self.window}: 2 <= size <= window")

    def resized(self, size: int | None, window: int | None) -> NgramGuard:
        """The same guard over other sizes; None leaves one as it is."""
        return NgramGuard(size or self.size, window or self.window, self.exempt)

    def history(self, rows: int, device: torch.device) -> Tensor:
        """Of rows without a token yet: (rows, window), int64."""
        return torch.full((rows, self.window), NOTHING, dtype=torch.long, device=device)

    def extended(self, history: Tensor, tokens: Tensor) -> Tensor:
        """`history` (rows, window) after `tokens` (rows); the oldest column leaves."""
        return torch.cat([history[:, 1:], tokens.unsqueeze(1)], dim=1)

    def forbid(self, logits: Tensor, history: Tensor) -> None:
        """Sets `logits` (rows, vocabulary) of forbidden tokens to -inf, in place.

        No row waits for another and nothing is read back, so a CUDA graph can hold it.
        """
        ngrams = history.unfold(1, self.size, 1)  # (rows, window - size + 1, size)
        begun = history[:, None, 1 - self.size :]
        last = ngrams[..., -1]
        forbidden = (ngrams[..., :-1] == begun).all(-1) & (last != NOTHING)
        for token in self.exempt:
            forbidden &= last != token
        ceiling = torch.full_like(last, torch.inf, dtype=logits.dtype).masked_fill_(forbidden, -torch.inf)
        logits.scatter_reduce_(1, last.clamp(min=0), ceiling, "amin")
