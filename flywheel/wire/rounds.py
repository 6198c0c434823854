"""Models of rounds, datasets, checkpoints and promotions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from flywheel.encoding import JsonValue
from flywheel.figures import Comparison, CurvePoint, DatasetCounts, Plan, ReadingSettings, Scores, TrainingProgress
from flywheel.states import PromotionAction, RoundStatus, TrainingPhase
from flywheel.wire.forms import CorpusName, Language, Note, Request, Response


class RoundRequest(Request):
    language: Language
    corpora: list[CorpusName] = Field(default=[], max_length=1000, description="none: every corpus")
    recipe: Annotated[str, Field(pattern=r"^[\w.-]{1,100}$")] = "line"
    overrides: dict[str, JsonValue] = Field(default={}, description="recipe settings to change, by name")


class Round(Response):
    id: int
    language: str
    recipe: str
    status: RoundStatus
    corpora: list[str]
    parent_id: str | None
    checkpoint_id: str | None
    relabelled: int | None
    detail: str | None
    created_at: datetime
    trained_seconds: float | None
    finished_at: datetime | None
    progress: TrainingProgress | None = Field(description="of its training; null before")
    comparison: Comparison | None = Field(description="candidate and baseline; null until they were compared")

    @property
    def phase(self) -> RoundStatus | TrainingPhase:
        """The status, told apart into training and judging while the training stop is at work."""
        if self.status is RoundStatus.TRAINING and self.progress is not None:
            return self.progress.phase
        return self.status


class DatasetInfo(Response):
    id: int
    hash: str
    language: str
    counts: DatasetCounts
    created_at: datetime


class PromotionInfo(Response):
    id: int
    language: str
    action: PromotionAction
    checkpoint_id: str | None
    previous_id: str | None
    round_id: int | None
    comparison: Comparison | None = Field(description="by which a round decided; null where a person did")
    detail: str
    actor: str
    created_at: datetime


class RoundDetail(Round):
    overrides: dict[str, JsonValue]
    plan: Plan | None = Field(description="of a round that was only planned")
    curve: tuple[CurvePoint, ...]
    dataset: DatasetInfo | None
    decisions: list[PromotionInfo]


class Checkpoint(Response):
    id: str
    architecture: str
    language: str | None
    scripts: list[str]
    parent_id: str | None
    round_id: int | None
    dataset_id: int | None
    generation: int
    scores: Scores | None = Field(description="on held-out documents, of one that a round made")
    reading: ReadingSettings | None = Field(description="settings that it was examined by, and reads pages by")
    created_at: datetime
    champion_of: list[str] = Field(description="languages that are read with it now")


class PromotionRequest(Request):
    checkpoint_id: Annotated[str, Field(min_length=1, max_length=200)]
    language: Language | None = Field(default=None, description="default: the checkpoint's own")
    detail: Note = ""


class RollbackRequest(Request):
    language: Language


class Champion(Response):
    """Checkpoint that reads a language now."""

    language: str
    checkpoint_id: str
