"""Recipes: everything a training run needs to know but the data, read from TOML and frozen.

    load_recipe("line")                       models/recipes/line.toml; recipes() lists them
    recipe.with_overrides({"seconds": 60})    the same with some values changed

Unknown keys are refused, wherever they come from.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Self

from flywheel.errors import NotFound, SetupError
from models.recognition.network import NetworkConfig


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a line recogniser is trained. Shares and rates are fractions; times are in seconds."""

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

    @classmethod
    def of(cls, name: str, values: dict[str, Any]) -> Self:
        """From plain values as TOML or JSON gives them; raises SetupError on unknown or wrong ones."""
        return cls(name=name).with_overrides(values)

    def with_overrides(self, values: dict[str, Any]) -> Self:
        """This recipe with some values replaced; `network` may be a table of some of its own values."""
        known = {f.name for f in dataclasses.fields(self)} - {"name"}
        if unknown := sorted(set(values) - known):
            raise SetupError(f"recipe {self.name}: unknown keys {', '.join(unknown)}")
        changed = dict(values)
        try:
            if "network" in values:
                changed["network"] = NetworkConfig.of({**self.network.as_dict(), **values["network"]})
            kinds = {f.name: type(getattr(self, f.name)) for f in dataclasses.fields(self)}
            changed |= {k: kinds[k](v) for k, v in changed.items() if kinds[k] in (int, float)}
            return dataclasses.replace(self, **changed)
        except (TypeError, ValueError) as error:
            raise SetupError(f"recipe {self.name}: {error}") from error

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {**dataclasses.asdict(self), "network": self.network.as_dict()}


def recipes() -> list[str]:
    """Names of the recipes that can be loaded."""
    folder = resources.files("models") / "recipes"
    return sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml"))


def load_recipe(name: str) -> Recipe:
    """A recipe by its file's name. Raises NotFound, or SetupError when the file holds unknown keys."""
    if name not in recipes():
        raise NotFound(f"no recipe {name!r}; there are {', '.join(recipes())}")
    path = resources.files("models") / "recipes" / f"{name}.toml"
    return Recipe.of(name, tomllib.loads(path.read_text(encoding="utf-8")))
