"""Figures that travel from the stops to people: progress, scores, comparisons, plans, counts.

Each is a frozen dataclass that is a column's JSON in the database (flywheel/encoding.py writes and reads it), a
field of the API's models, and what the client hands out. Error rates are fractions; what is counted is counted in
the recipe's unit, lines or pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from flywheel.document import Outcome
from flywheel.encoding import JsonValue
from flywheel.states import TrainingPhase


class Unit(StrEnum):
    """Unit that a recipe learns from: images of lines, or of whole pages."""

    LINE = "line"
    PAGE = "page"

    @property
    def plural(self) -> str:
        """For people: lines, pages."""
        return f"{self.value}s"


# Training


@dataclass(frozen=True, slots=True)
class TrainingProgress:
    """Progress of a training. Seconds are of training; `cer` is of the last look at the validation samples.

    `units` lines or pages were seen so far. `units_per_second` and `remaining_seconds` follow from the rest.
    """

    unit: Unit
    step: int
    epoch: int
    seconds: float
    share: float  # of the training that is done, 0..1
    units: int
    loss: float  # running mean, nats a character
    learning_rate: float
    cer: float | None = None
    phase: TrainingPhase = TrainingPhase.TRAINING
    units_per_second: float = field(init=False, default=0.0)
    remaining_seconds: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        rate = self.units / self.seconds if self.seconds > 0 else 0.0
        remaining = self.seconds * (1 - self.share) / self.share if self.share > 0 else None
        object.__setattr__(self, "units_per_second", rate)
        object.__setattr__(self, "remaining_seconds", remaining)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One look at the validation samples: CER as they are learned, and as they are where both were read."""

    seconds: float
    cer: float
    step: int = 0
    units: int = 0
    loss: float = 0.0
    cer_clean: float | None = None


# Judging


@dataclass(frozen=True, slots=True)
class ReadingSettings:
    """Settings of a checkpoint's reading: it is examined by these, and reads pages by them.

    `dpi` of the page images; of page readers also `mode` (which says the sides of what they see), `grounded`
    (answers in grounded markdown), and the no-repeat guard: no n-gram of `guard_size` tokens twice within
    `guard_window`. None where there is nothing to choose, and for the reader's own default.
    """

    dpi: float | None = None
    mode: str | None = None
    grounded: bool | None = None
    guard_size: int | None = None
    guard_window: int | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """Error rates as fractions (edits / true characters or words); `cer_low`..`cer_high` is the 95 % interval over
    documents, None where they are too few for one (fewer than six).

    `units` lines or pages were read. `calibration_error` is the ECE of their confidence (0..1), None when no
    confidences were given. Beside the words: `teds` is the mean similarity (0..1) of the truth's `tables`,
    `formula_error` the edits of the tokens of its `formulas`; None where the truth knows none.
    """

    cer: float
    wer: float
    cer_low: float | None
    cer_high: float | None
    units: int
    characters: int
    edits: int
    words: int = 0
    word_edits: int = 0
    documents: int = 0
    calibration_error: float | None = None
    tables: int = 0
    teds: float | None = None
    formulas: int = 0
    formula_error: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """CER of the candidate less CER of the baseline, with its 95 % interval over documents; below 0 is better.

    No interval (None) of fewer than six documents. `p` is the chance that equal readers differ so far in the
    candidate's favour (models/resampling.py, `sign_flip`).
    """

    cer: float
    low: float | None = None
    high: float | None = None
    p: float = 1.0

    @property
    def better(self) -> bool:
        """The whole interval lies below zero."""
        return self.high is not None and self.high < 0

    @property
    def worse(self) -> bool:
        """The whole interval lies above zero."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True, slots=True)
class DocumentEdits:
    """Edits of both readers in one held-out document, on its lines or pages as they are and on degraded copies.

    `document` is the hash of its bytes, `group` the cluster of near-equal documents it counts with ("": it alone).
    """

    document: str
    characters: int
    candidate: int
    baseline: int
    candidate_degraded: int = 0
    baseline_degraded: int = 0
    group: str = ""

    @property
    def lead(self) -> int:
        """Edits that the candidate makes less, both copies together."""
        return self.baseline + self.baseline_degraded - self.candidate - self.candidate_degraded

    @property
    def counted_with(self) -> str:
        """Name of what it is one unit of an exam with."""
        return self.group or self.document


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate held against a baseline on the same held-out lines or pages, and on degraded copies of them.

    `reads_now` is the checkpoint that read the language at the time of comparing, its champion or the built-in
    reader, None where nobody did; `baseline_reader` is the same or else a reader that comes with the service.
    `candidate` and `baseline` are of the lines or pages as they are. `difference` is over both copies, `clean` and
    `degraded` over one. `look` counts the tests that this exam was used for, this one included, and `level` is the
    p value that it allowed; None where no test decided.
    """

    unit: Unit
    candidate: Scores
    baseline: Scores
    difference: Difference
    baseline_reader: str
    reads_now: str | None = None
    candidate_degraded: Scores | None = None
    baseline_degraded: Scores | None = None
    clean: Difference | None = None
    degraded: Difference | None = None
    by_document: tuple[DocumentEdits, ...] = ()
    look: int | None = None
    level: float | None = None

    @property
    def exam_size(self) -> int:
        """Number of documents, near-equal ones counted once."""
        return len({found.counted_with for found in self.by_document})


# Datasets


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """Number of lines, pages or documents in each split."""

    train: int = 0
    validation: int = 0
    heldout: int = 0

    @property
    def total(self) -> int:
        return self.train + self.validation + self.heldout


@dataclass(frozen=True, slots=True)
class DatasetCounts:
    """Contents of a frozen dataset in its language; of what is not trained on, what examines. `dropped` patches by
    reason; `replay` is pages of other languages, by language, which are trained on beside it.

    `groups` counts near-equal documents once (None: not told); `near_training` pages were left out of the exam, as
    they are near-equal to pages learned from; `advice` says what would make a small exam larger.
    """

    unit: Unit
    units: SplitCounts
    pages: SplitCounts
    documents: SplitCounts
    dropped: Mapping[str, int] = field(default_factory=dict)
    replay: Mapping[str, int] = field(default_factory=dict)
    groups: SplitCounts | None = None
    near_training: int = 0
    advice: str = ""


# Plans


@dataclass(frozen=True, slots=True)
class Rates:
    """Speeds measured on earlier rounds, a second; None where none was measured."""

    cutting: float | None = None  # pages cut into lines, or taken whole
    training: float | None = None  # lines or pages seen
    relabelling: float | None = None  # pages read


@dataclass(frozen=True, slots=True)
class Outlook:
    """Labels that a round of a language would learn from, and pages that it would read anew. `reads_now` is the
    reader that it would be held against; None where nobody reads the language."""

    documents: int
    pages: int
    lines: int
    pages_to_cut: int
    pages_to_relabel: int
    rates: Rates
    reads_now: str | None = None


@dataclass(frozen=True, slots=True)
class Durations:
    """Seconds of a round's phases at the rates measured before; None where nothing was measured."""

    cutting: float | None
    training: float | None
    training_at_most: float
    relabelling: float | None


@dataclass(frozen=True, slots=True)
class TokenReport:
    """Report on a tokenizer and some texts (models/training/tokens.py). Counts over all texts; shares of 1.

    `normaliser` is what the tokenizer does to a text first; `normal_form` what the texts are in. Stacks come with
    how often they occur, the most frequent first.
    """

    texts: int
    characters: int  # without white space
    syllables: int
    tokens: int
    byte_share: float  # of tokens that are no character by themselves
    unknown_share: float
    normaliser: str
    changed_share: float  # of texts that do not come back from the tokenizer as they went in
    normal_form: str
    stacks: int  # different ones
    split_stacks: int  # different ones that are cut in two or more tokens
    split_examples: tuple[tuple[str, int], ...] = ()
    unseen_stacks: int = 0  # in texts to be read later, but in none of these
    unseen_examples: tuple[tuple[str, int], ...] = ()
    tokens_per_character: float = field(init=False, default=0.0)
    tokens_per_syllable: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        by_character = self.tokens / self.characters if self.characters else 0.0
        by_syllable = self.tokens / self.syllables if self.syllables else 0.0
        object.__setattr__(self, "tokens_per_character", by_character)
        object.__setattr__(self, "tokens_per_syllable", by_syllable)


@dataclass(frozen=True, slots=True)
class Plan:
    """A round told before it is started: what it would learn from and begin with, and how long it takes."""

    unit: Unit
    outlook: Outlook
    parent: str | None
    seconds: Durations
    tokens: TokenReport


# Exports


@dataclass(frozen=True, slots=True)
class ExportProgress:
    """Rows of an export that are written `of` the pages there are.

    `left_out`: without an image or a label, or for one of the `reasons` (code -> pages).
    """

    rows: int
    of: int
    left_out: int = 0
    reasons: dict[str, int] = field(default_factory=dict)


# Trials


@dataclass(frozen=True, slots=True)
class TrialScores:
    """Error rates of one file against its true text, with the counts they are made of: files can be summed.

    `teds` is the mean similarity (0..1) of the truth's `tables`, `formula_error` the edits of the tokens of its
    `formulas`; None where the truth has none.
    """

    cer: float
    wer: float
    edits: int
    characters: int
    word_edits: int | None = None
    words: int | None = None
    truth_tokens: int | None = None  # of the true text, by the reader's own tokenizer
    tables: int = 0
    teds: float | None = None
    formulas: int = 0
    formula_error: float | None = None


@dataclass(frozen=True, slots=True)
class TrialPage:
    """A page that was read, or why it was not: `reason`, `detail`.

    `label` is as flywheel.document.encode writes it, `verdict` the gate's on it. Tokens are of the page's image
    and of the reader's answer, for readers that count so.
    """

    number: int  # 0-based
    label: dict[str, JsonValue] | None = None
    verdict: Outcome | None = None
    reason: str | None = None
    detail: str | None = None
    vision_tokens: int | None = None
    text_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class TrialResult:
    """Result of a trial: every page, and scores where a true text was given."""

    pages: tuple[TrialPage, ...]
    scores: TrialScores | None = None
    checkpoint: str | None = None
