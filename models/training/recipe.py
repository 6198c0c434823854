"""Recipes: everything a training run needs to know but the data, read from TOML and frozen.

    load_recipe("line")                       models/training/recipes/line.toml; recipes() lists them
    recipe.with_overrides({"seconds": 60})    the same with some values changed

There are two kinds: `Recipe` trains a recogniser on lines, `PageRecipe` a reader on whole pages; a file's
`unit` says which it is. Unknown keys are refused, wherever they come from.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, ClassVar, Literal, Self, TypeVar

from flywheel.errors import NotFound, SetupError
from models.recognition.network import ARCHITECTURE, NetworkConfig

R = TypeVar("R", bound="Recipe | PageRecipe")


@dataclass(frozen=True)
class Recipe:
    """How a line recogniser is trained. Shares and rates are fractions; times are in seconds."""

    unit: ClassVar[Literal["line", "page"]] = "line"
    architecture: ClassVar[str] = ARCHITECTURE

    name: str = "line"
    network: NetworkConfig = field(default_factory=NetworkConfig)

    # How long: whichever comes first. The schedule follows the nearer of the two ends.
    seconds: float = 180.0  # of training, earlier attempts of a resumed run included
    steps: int = 20_000
    epochs: float = 0.0  # passes over the lines, but no fewer steps than `least_steps`; 0: as `steps` says
    least_steps: int = 1
    target_cer: float = 0.0  # stop early when degraded validation lines are read this well; 0: never

    # How
    batch_pixels: int = 12_000  # of line width in one step: about 16 lines of a book page
    learning_rate: float = 2e-3
    fine_tune_rate: float = 8e-4  # when there is a parent
    weight_decay: float = 0.01
    warm_up: float = 0.12  # share of the run
    clip: float = 1.0  # largest norm of the gradient

    # On what
    generations: int = 1  # pseudo-labels further from a text layer are left out
    degrade: float = 0.85  # share of lines that are made to look scanned
    drawn_share: float = 0.0  # share of lines drawn anew, with a true text in another face
    cache_bytes: int = 1 << 30  # decoded lines kept in memory

    # How it is watched
    evaluate_seconds: float = 15.0  # between looks at the validation lines
    validation_lines: int = 160  # at most, spread over the split
    checkpoint_seconds: float = 60.0  # between complete training checkpoints

    def __post_init__(self) -> None:
        shares = (self.warm_up, self.degrade, self.drawn_share, self.target_cer)
        if not all(0 <= share <= 1 for share in shares):
            raise SetupError(f"recipe {self.name}: shares lie between 0 and 1")
        if self.seconds <= 0 or self.steps < 1 or self.batch_pixels < 1 or self.epochs < 0:
            raise SetupError(f"recipe {self.name}: seconds, steps and batch_pixels are positive")

    def with_overrides(self, values: dict[str, Any]) -> Self:
        """This recipe with some values replaced; `network` may be a table of some of its own values."""
        return _replaced(self, values, network=lambda v: NetworkConfig.of({**self.network.as_dict(), **v}))

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**dataclasses.asdict(self), "network": self.network.as_dict()}


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters (arXiv 2106.09685): matrices whose name ends in one of `targets`. Rank 0: none."""

    rank: int = 0
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """From plain values; raises TypeError or ValueError on unknown or wrong ones."""
        made = cls(**{**values, "targets": tuple(values.get("targets", cls.targets))})
        if made.rank < 0 or not 0 <= made.dropout < 1:
            raise ValueError(f"lora: rank {made.rank}, dropout {made.dropout}")
        return made


@dataclass(frozen=True)
class PageRecipe:
    """How a page reader is fine-tuned. Shares and rates are fractions; times are in seconds.

    `architecture` is the kind of reader; a run without a parent begins with the published weights of it. With
    adapters (`lora`) all else stays as it is; without, `frozen` names the parts that do: sam, compressor, clip,
    projector, decoder, head of DeepSeek-OCR; vision, projector, decoder, head of GOT-OCR2.0.
    """

    unit: ClassVar[Literal["line", "page"]] = "page"

    name: str = "deepseek-ocr-lora"
    architecture: str = "deepseek-ocr"
    mode: str = "base"  # how pages are looked at, while learning and when the result is judged
    frozen: tuple[str, ...] = ()
    lora: Lora = field(default_factory=Lora)

    # How long: whichever comes first. The schedule follows the nearer of the two ends.
    seconds: float = 172_800.0  # of training, earlier attempts of a resumed run included
    steps: int = 100_000
    epochs: float = 2.0  # passes over the pages; 0: as `steps` says
    target_cer: float = 0.0  # stop early when validation pages are read this well; 0: never

    # How
    batch: int = 8  # pages in one pass of one process
    accumulation: int = 1  # passes in one step
    learning_rate: float = 3e-5  # DeepSeek-OCR, section 3.5.2
    weight_decay: float = 0.0
    warm_up: float = 0.03  # share of the run
    clip: float = 1.0  # largest norm of the gradient
    bf16: bool = True  # where the device computes in it
    gradient_checkpointing: bool = True  # less memory for a third more time

    # On what
    fine_share: float = 0.5  # of pages with a known layout: how often they are learned as grounded markdown
    replay_share: float = 0.1  # pages of other languages for each of the language's own
    generations: int = 1  # pseudo-labels further from a text layer are left out
    degrade: float = 0.5  # share of pages that are made to look scanned
    blind: float = 0.0  # share of the answer's tokens hidden from the decoder, so that it has to look at the page
    length: int = 8192  # most tokens of prompt and answer; a longer answer is cut, and its end not learned

    # How it is watched
    evaluate_seconds: float = 600.0  # between looks at the validation pages
    validation_pages: int = 32  # at most, spread over the split
    checkpoint_seconds: float = 900.0  # between complete training checkpoints

    def __post_init__(self) -> None:
        shares = (self.warm_up, self.fine_share, self.degrade, self.target_cer, self.blind)
        if not all(0 <= share <= 1 for share in shares) or self.replay_share < 0:
            raise SetupError(f"recipe {self.name}: shares lie between 0 and 1")
        if min(self.seconds, self.steps, self.batch, self.accumulation, self.length) <= 0 or self.epochs < 0:
            raise SetupError(f"recipe {self.name}: seconds, steps, batch, accumulation and length are positive")

    def with_overrides(self, values: dict[str, Any]) -> Self:
        """This recipe with some values replaced; `lora` may be a table of some of its own values."""
        return _replaced(
            self, values, lora=lambda v: Lora.of({**dataclasses.asdict(self.lora), **v}), frozen=tuple
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return dataclasses.asdict(self)


def _replaced(recipe: R, values: dict[str, Any], **readers: Callable[[Any], Any]) -> R:
    """`recipe` with values as TOML or JSON gives them; raises SetupError on unknown or wrong ones."""
    known = {f.name for f in dataclasses.fields(recipe)} - {"name"}
    if unknown := sorted(set(values) - known):
        raise SetupError(f"recipe {recipe.name}: unknown keys {', '.join(unknown)}")
    try:
        changed = {name: _read(recipe, name, value, readers) for name, value in values.items()}
        return dataclasses.replace(recipe, **changed)
    except (TypeError, ValueError) as error:
        raise SetupError(f"recipe {recipe.name}: {error}") from error


def _read(recipe: Recipe | PageRecipe, name: str, value: Any, readers: dict[str, Callable[[Any], Any]]) -> Any:
    """One value in the type of the field's default."""
    if name in readers:
        return readers[name](value)
    kind = type(getattr(recipe, name))
    if kind is bool and not isinstance(value, bool):
        raise TypeError(f"{name} is true or false, not {value!r}")
    return kind(value) if kind in (int, float) else value


def recipes() -> list[str]:
    """Names of the recipes that can be loaded."""
    folder = resources.files("models.training") / "recipes"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe | PageRecipe:
    """A recipe by its file's name. Raises NotFound, or SetupError when the file holds unknown keys."""
    if name not in recipes():
        raise NotFound(f"no recipe {name!r}; there are {', '.join(recipes())}")
    path = resources.files("models.training") / "recipes" / f"{name}.toml"
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    kind = PageRecipe if values.pop("unit") == "page" else Recipe
    return kind(name=name).with_overrides(values)
