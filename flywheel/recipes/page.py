"""Recipe of a reader of whole pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from flywheel.encoding import JsonValue, to_json
from flywheel.figures import Unit
from flywheel.recipes.settings import check, refusal, with_changes

# Architectures that can be fine-tuned, and the parts of each that may stay as they are
# (tests/models/page_training holds them against the networks).
PARTS = {
    "deepseek-ocr": ("sam", "compressor", "clip", "projector", "decoder", "head"),
    "got-ocr2": ("vision", "projector", "decoder", "head"),
}


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (arXiv 2106.09685): matrices whose name ends in one of `targets`. Rank 0: none."""

    rank: int = 0
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

    def __post_init__(self) -> None:
        check(self, positive="alpha", not_negative="rank", shares="dropout", most=65_536)
        if not self.targets:
            raise ValueError("targets of lora: there are none")


@dataclass(frozen=True)
class PageRecipe:
    """Fine-tuning of a page reader. Shares and rates are fractions; times are in seconds.

    `architecture` is the kind of reader; a run without a parent begins with the published weights of it. With
    adapters (`lora`) all else stays as it is; without, `frozen` names the parts that do, see PARTS.
    """

    unit: ClassVar[Unit] = Unit.PAGE

    name: str = "deepseek-ocr-lora"
    architecture: str = "deepseek-ocr"
    mode: str = "base"  # how pages are looked at, while learning and when the result is judged
    frozen: tuple[str, ...] = ()
    lora: Lora = field(default_factory=Lora)

    # How long: whichever comes first. The schedule follows the nearer of the two ends.
    seconds: float = 172_800.0  # of training, earlier attempts of a resumed run included
    steps: int = 100_000
    epochs: float = 2.0  # passes over the pages; 0: as `steps` says
    # Without a parent: end early, after a pass over the data and the warm-up, once validation pages
    # are read this well; the rate is annealed first (models/training/schedule.py). 0: never.
    target_cer: float = 0.0

    # How
    batch: int = 8  # pages in one pass of one process
    accumulation: int = 1  # passes in one step
    learning_rate: float = 3e-5  # DeepSeek-OCR, section 3.5.2
    weight_decay: float = 0.0
    warm_up: float = 0.03  # share of the run
    clip: float = 1.0  # largest norm of the gradient
    bf16: bool = True  # where the device computes in it
    gradient_checkpointing: bool = True  # less memory for a third more time
    # Weight of the loss that keeps the experts of a decoder in use (models/page_training/routing.py), where the
    # decoder is trained as a whole; 0: what chooses the experts stays as it is.
    router_balance: float = 0.001  # DeepSeek-V2's aux_loss_alpha

    # On what
    fine_share: float = 0.5  # of pages with a known layout: how often they are learned as grounded markdown
    replay_share: float = 0.1  # pages of other languages for each of the language's own, against forgetting
    generations: int = 1  # readings of a first champion may teach, readings of its pupils not
    degrade: float = 0.5  # share of pages that are made to look scanned
    blind: float = 0.0  # share of the answer's tokens hidden from the decoder, so that it has to look at the page
    length: int = 8192  # most tokens of prompt and answer; a longer answer is cut, and its end not learned

    # How it is watched
    evaluate_seconds: float = 600.0  # between looks at the validation pages
    validation_pages: int = 32  # at most, spread over the split
    checkpoint_seconds: float = 900.0  # between complete training checkpoints

    def __post_init__(self) -> None:
        check(
            self,
            positive="seconds steps batch accumulation learning_rate clip length validation_pages",
            not_negative="epochs weight_decay router_balance generations evaluate_seconds checkpoint_seconds",
            shares="warm_up fine_share degrade target_cer blind",
        )
        check(self, not_negative="replay_share", most=100)
        if self.architecture not in PARTS:
            raise refusal(self.name, f"{self.architecture!r} cannot be fine-tuned; there are {', '.join(PARTS)}")
        if unknown := sorted(set(self.frozen) - set(PARTS[self.architecture])):
            parts = ", ".join(PARTS[self.architecture])
            raise refusal(self.name, f"no part {unknown[0]!r} to freeze; there are {parts}")

    def with_overrides(self, values: Mapping[str, JsonValue]) -> Self:
        """This recipe with some values replaced; `lora` may be a table of some of its own values.
        Raises Rejected(BAD_SETTINGS)."""
        return with_changes(self, self.name, values)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dict(to_json(self))
