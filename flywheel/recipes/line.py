"""Recipe of a recogniser of lines, and the shape of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from flywheel.encoding import JsonValue, from_json, to_json
from flywheel.figures import Unit
from flywheel.recipes.settings import check, with_changes


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Shape of the network. `height` in pixels, a multiple of 16; `widths` are channels of the four
    2-D stages; `dilations` one 1-D block each, of `kernel` frames."""

    height: int = 48
    widths: tuple[int, ...] = (16, 32, 64, 128)
    dimension: int = 192
    kernel: int = 3
    dilations: tuple[int, ...] = (1, 1, 1, 1, 1)
    dropout: float = 0.05

    def __post_init__(self) -> None:
        if self.height % 16 or len(self.widths) != 4 or self.kernel % 2 == 0:
            raise ValueError(f"no network has the shape {self}")
        check(self, positive="height widths dimension kernel dilations", shares="dropout", most=4096)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """From a checkpoint's plain values; raises ValueError on unknown or wrong ones."""
        return from_json(cls, values, known_only=True)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dict(to_json(self))


@dataclass(frozen=True)
class LineRecipe:
    """Training of a line recogniser. Shares and rates are fractions; times are in seconds."""

    unit: ClassVar[Unit] = Unit.LINE
    architecture: ClassVar[str] = "line-conv-ctc"
    replay_share: ClassVar[float] = 0.0  # lines of other languages are not learned from

    name: str = "line"
    network: NetworkConfig = field(default_factory=NetworkConfig)

    # How long: whichever comes first. The schedule follows the nearer of the two ends.
    seconds: float = 180.0  # of training, earlier attempts of a resumed run included
    steps: int = 20_000
    epochs: float = 0.0  # passes over the lines, but no fewer steps than `least_steps`; 0: as `steps` says
    least_steps: int = 1
    # Without a parent: end early, after a pass over the data and the warm-up, once degraded validation lines
    # are read this well; the rate is annealed first (models/training/schedule.py). 0: never.
    target_cer: float = 0.0

    # How
    batch_pixels: int = 12_000  # of line width in one step: about 16 lines of a book page
    learning_rate: float = 2e-3
    fine_tune_rate: float = 8e-4  # when there is a parent
    weight_decay: float = 0.01
    warm_up: float = 0.12  # share of the run
    clip: float = 1.0  # largest norm of the gradient

    # On what
    generations: int = 1  # readings of a first champion may teach, readings of its pupils not
    least_confidence: float = 0.85  # of a reading's line: measured, 99 % of good lines and 4 % of bad ones have it
    degrade: float = 0.85  # share of lines that are made to look scanned
    drawn_share: float = 0.0  # share of lines drawn anew, with a true text in another face
    cache_bytes: int = 1 << 30  # decoded lines kept in memory

    # How it is watched
    evaluate_seconds: float = 15.0  # between looks at the validation lines
    validation_lines: int = 160  # at most, spread over the split
    checkpoint_seconds: float = 60.0  # between complete training checkpoints

    def __post_init__(self) -> None:
        check(
            self,
            positive="seconds steps least_steps batch_pixels learning_rate fine_tune_rate clip validation_lines",
            not_negative="epochs weight_decay generations cache_bytes evaluate_seconds checkpoint_seconds",
            shares="warm_up least_confidence degrade drawn_share target_cer",
        )

    def with_overrides(self, values: Mapping[str, JsonValue]) -> Self:
        """This recipe with some values replaced; `network` may be a table of some of its own values.
        Raises Rejected(BAD_SETTINGS)."""
        return with_changes(self, self.name, values)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dict(to_json(self))
