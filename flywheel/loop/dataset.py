"""Frozen datasets: the patches or pages that a round learns from, and those it is judged by.

A dataset is a manifest: the files (each a content-addressed Parquet blob), the side of every document
(flywheel/loop/sides.py) and the labels that may examine. Its hash is the manifest's. Only text layers and
people examine: a reading that a person confirmed teaches, but its words are still a reader's. A page of an exam
that is also among the pages learned from, a form or a licence, is left out of it. Where pages are learned, a share
of them is of other languages: they are trained on, and are in no exam.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Select, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from flywheel.database.tables import DatasetDocumentRow, DocumentRow, LabelRow, PageRow, PatchSetRow
from flywheel.document import TRUE_ORIGINS, Outcome, TextOrigin
from flywheel.encoding import JsonValue, to_json
from flywheel.errors import Rejected
from flywheel.figures import DatasetCounts, SplitCounts, Unit
from flywheel.loop.languages import in_language
from flywheel.loop.likeness import LikePages, SignedPage
from flywheel.loop.sides import ENOUGH, History, split
from flywheel.loop.teaching import labels_that_teach, may_replay, patches_of, spread, teaching_labels
from flywheel.reasons import Reason
from flywheel.states import Split

FEWEST = 3  # groups of documents: one to learn from, one to watch, one to be examined by
UNLIKE = LikePages.of(())


@dataclass(frozen=True, slots=True)
class PatchSource:
    """The patches of one page, or the page itself: its document's hash, the label that is carried, and the
    blob it lies in. `units` is how many there are, 0 or 1 of a page; `language` the document's; `origin` of the
    label's words."""

    document: str
    page_id: int
    label_id: int
    generation: int
    blob_key: str
    units: int
    dropped: dict[str, int]
    language: str = ""
    origin: TextOrigin = TextOrigin.TEXT_LAYER

    @property
    def true_units(self) -> int:
        """Units that may examine: no reader wrote their text."""
        return self.units if self.origin in TRUE_ORIGINS else 0


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A Parquet file of a dataset: its name in the dataset's directory, its key in the store and its hash."""

    name: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """Content of a dataset. `splits` names the side of every document by its hash, `groups` the group of
    near-equal documents that it is in (named after one of them), `replay` the language of those
    of other languages; `generation` is the highest of the `labels` (ids), and `exam_labels` those among them whose
    text may examine, on whichever side they stand."""

    language: str
    unit: Unit
    files: tuple[DatasetFile, ...]
    labels: tuple[int, ...]
    generation: int
    splits: dict[str, str]
    replay: dict[str, str]
    exam_labels: tuple[int, ...] = ()
    groups: dict[str, str] = field(default_factory=dict)
    version: int = 2

    @property
    def hash(self) -> str:
        """Names the dataset by what is in it."""
        return hashlib.sha256(_canonical(to_json(self))).hexdigest()

    @property
    def data(self) -> bytes:
        """The manifest as it is stored, its hash with it."""
        return _canonical({**to_json(self), "hash": self.hash})


@dataclass(frozen=True, slots=True)
class Frozen:
    """A manifest, and counts for people."""

    manifest: DatasetManifest
    counts: DatasetCounts


def sources(
    session: Session,
    language: str,
    corpora: Sequence[str],
    *,
    generations: int,
    unit: Unit,
) -> list[PatchSource]:
    """Patch sets of the accepted labels that teach a language; pseudo-labels up to a generation."""
    return _sources(session, teaching_labels(language, corpora, generations), unit)


def replay(session: Session, language: str, count: int, *, unit: Unit) -> list[PatchSource]:
    """Up to `count` patch sets of other languages, of each as many, the newest: from text layers and people,
    and of no document that an exam of its own language could hold."""
    cut = select(PatchSetRow.label_id).where(patches_of(unit), PatchSetRow.units > 0)
    labels = labels_that_teach(0).where(
        DocumentRow.language.is_not(None),
        ~in_language(language),
        may_replay(),
        LabelRow.page_id.in_(_pages_of(cut)),
    )
    found: dict[str, list[PatchSource]] = {}
    newest_first = sorted(_sources(session, labels, unit), key=lambda s: (s.language, -s.label_id))
    for source in newest_first:
        if source.units:
            found.setdefault(source.language, []).append(source)
    return spread(found, count)


def like_pages(session: Session, hashes: Collection[str]) -> LikePages:
    """All the pages of these documents (by hash) that ever became patches."""
    return LikePages.of(signed_pages(session, hashes))


def signed_pages(session: Session, hashes: Collection[str]) -> list[SignedPage]:
    """Signatures of all the pages of these documents (by hash) that ever became patches."""
    known = func.any(bindparam(None, sorted(hashes), type_=ARRAY(Text), unique=True))
    rows = session.execute(
        select(DocumentRow.sha256, PageRow.id, PatchSetRow.likeness)
        .join(PageRow, PageRow.document_id == DocumentRow.id)
        .join(LabelRow, LabelRow.page_id == PageRow.id)
        .join(PatchSetRow, PatchSetRow.label_id == LabelRow.id)
        .where(DocumentRow.sha256 == known, PatchSetRow.likeness.is_not(None))
        .distinct()
        .order_by(DocumentRow.sha256, PageRow.id, PatchSetRow.likeness)
    )
    return [SignedPage(document, page, row) for document, page, row in rows if row is not None]


def list_documents(session: Session, dataset_id: int, splits: Mapping[str, str]) -> None:
    """Write down the side of every document of a dataset, for the rounds to come. Once is enough."""
    rows = [{"dataset_id": dataset_id, "sha256": sha256, "split": str(side)} for sha256, side in splits.items()]
    if rows:
        session.execute(insert(DatasetDocumentRow).on_conflict_do_nothing(), rows)


def _pages_of(labels: Select[int]) -> Select[int]:
    return select(LabelRow.page_id).where(LabelRow.id.in_(labels))


def _sources(session: Session, labels: Select[LabelRow], unit: Unit) -> list[PatchSource]:
    current = labels.subquery()
    found = session.execute(
        select(
            DocumentRow.sha256,
            PageRow.id,
            current.c.id,
            current.c.generation,
            PatchSetRow.blob_key,
            PatchSetRow.units,
            PatchSetRow.dropped,
            DocumentRow.language,
            current.c.origin,
        )
        .join(PatchSetRow, (PatchSetRow.label_id == current.c.id) & patches_of(unit))
        .join(PageRow, PageRow.id == current.c.page_id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(current.c.verdict == Outcome.ACCEPTED)
        .order_by(DocumentRow.sha256, PageRow.number, PageRow.id)
    ).all()
    return [PatchSource(*row) for row in found]


def freeze(
    language: str,
    found: Sequence[PatchSource],
    *,
    unit: Unit,
    replayed: Sequence[PatchSource] = (),
    past: History | None = None,
    pages: LikePages = UNLIKE,
) -> Frozen:
    """The dataset of these sources, after the `past` of the checkpoints it is to be judged beside.

    `pages` are the signatures of the sources and of what these checkpoints learned from. Documents that have
    nothing but a reader's labels are trained on. So are the `replayed`, of other languages, but for
    near-equals of documents that are not; a document of both counts as the language's own.

    Raises Rejected(NO_LINES) when there is too little to split by document, or nothing left to examine by or to
    learn from.
    """
    past = past or History()
    groups, units = named_after(pages.groups(), past.examined), Counter[str]()
    for source in found:
        if source.units:
            units[source.document] += source.true_units
    _check_size(units, groups, unit)
    splits = split(units, groups, past)
    used = [source for source in found if source.units]
    kept = {groups.get(d, d) for d, side in splits.items() if side != Split.TRAIN}
    foreign = [s for s in replayed if s.units and s.document not in units]
    foreign = [s for s in foreign if groups.get(s.document, s.document) not in kept]
    every = splits | {source.document: Split.TRAIN for source in foreign}
    exam = _exam_labels(used, every, past, pages)
    _check_sides(used, splits, exam, past, unit)
    manifest = DatasetManifest(
        language=language,
        unit=unit,
        files=tuple(map(_file, sorted({source.blob_key for source in (*used, *foreign)}))),
        labels=tuple(sorted({source.label_id for source in (*used, *foreign)})),
        generation=max(source.generation for source in (*used, *foreign)),
        splits={document: str(side) for document, side in sorted(every.items())},
        replay={source.document: source.language for source in foreign},
        exam_labels=tuple(sorted(exam)),
        groups={document: groups.get(document, document) for document in sorted(every)},
    )
    return Frozen(manifest, _counts(found, manifest, past, foreign))


def named_after(groups: Mapping[str, str], documents: Collection[str]) -> dict[str, str]:
    """The groups (document -> name) with those that hold one of these documents named after it, so that whoever
    counts by names counts what examined before as the same, copied or not."""
    names: dict[str, str] = {}
    for document in sorted(documents & groups.keys()):
        names.setdefault(groups[document], document)
    return {document: names.get(name, name) for document, name in groups.items()}


def _file(key: str) -> DatasetFile:
    return DatasetFile(f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet", key, key[-64:])


def _exam_labels(
    used: Sequence[PatchSource], splits: Mapping[str, Split], past: History, pages: LikePages
) -> set[int]:
    """The labels that may examine: true ones, but held out none whose page is near-equal to one that was
    learned from, or by which weights were chosen, and in validation none that is learned from now."""
    trained = {document for document, side in splits.items() if side == Split.TRAIN}
    watched = {document for document, side in splits.items() if side == Split.VALIDATION}
    barred = {
        Split.TRAIN: set[int](),
        Split.VALIDATION: pages.like(trained | past.trained),
        Split.HELDOUT: pages.like(trained | watched | past.learned),
    }
    return {s.label_id for s in used if s.true_units and s.page_id not in barred[splits[s.document]]}


def _check_size(units: Mapping[str, int], groups: Mapping[str, str], unit: Unit) -> None:
    """Raises Rejected(NO_LINES) when there are too few documents of true text, copies counted once."""
    true = [document for document, count in units.items() if count]
    different = len({groups.get(document, document) for document in true})
    if different < FEWEST:
        copies = f" ({different} of them different: the others are near-equal)" if different < len(true) else ""
        raise Rejected(
            Reason.NO_LINES,
            f"{len(true)} documents have usable {unit.plural}{copies}; a round needs at least {FEWEST}, "
            "to hold some out",
        )


def _check_sides(
    used: Sequence[PatchSource], splits: Mapping[str, Split], exam: Collection[int], past: History, unit: Unit
) -> None:
    """Raises Rejected(NO_LINES) when nothing is left to examine by, or to learn from."""
    if not any(splits[s.document] == Split.HELDOUT and s.label_id in exam for s in used):
        learned = len(past.learned & {source.document for source in used})
        raise Rejected(
            Reason.NO_LINES,
            f"no {unit} is left to examine by: earlier checkpoints learned from {learned} of {len(splits)} "
            "documents, or from near-equals of the rest; add documents that none has seen",
        )
    if Split.TRAIN not in splits.values():
        raise Rejected(Reason.NO_LINES, f"no {unit} is left to learn from: every document is one that examines")


def _counts(
    found: Sequence[PatchSource], manifest: DatasetManifest, past: History, foreign: Sequence[PatchSource]
) -> DatasetCounts:
    """Counts for people; of the sides that are not trained on, what examines."""
    units, pages, dropped = Counter[str](), Counter[str](), Counter[str]()
    exam, near = set(manifest.exam_labels), 0
    for source in found:
        dropped.update(source.dropped)
        side = manifest.splits.get(source.document)
        if source.units and side is not None and (side == Split.TRAIN or source.label_id in exam):
            units[side] += source.units
            pages[side] += 1
        elif source.true_units:
            near += 1
    own = {document: side for document, side in manifest.splits.items() if document not in manifest.replay}
    groups = {manifest.groups[document]: side for document, side in own.items()}
    return DatasetCounts(
        unit=manifest.unit,
        units=SplitCounts(**units),
        pages=SplitCounts(**pages),
        documents=SplitCounts(**Counter(own.values())),
        dropped=dropped,
        replay=Counter(source.language for source in foreign),
        groups=SplitCounts(**Counter(groups.values())),
        near_training=near,
        advice=_advice(found, manifest, past),
    )


def _advice(found: Sequence[PatchSource], manifest: DatasetManifest, past: History) -> str:
    """Sentence on an exam too small to decide: its size, the reasons, what would make it larger. Else empty."""
    exam = set(manifest.exam_labels)
    true: dict[str, bool] = {}
    for source in found:
        if source.true_units:
            group = manifest.groups[source.document]
            examines = manifest.splits[source.document] == Split.HELDOUT and source.label_id in exam
            true[group] = true.get(group, False) or examines
    size = sum(true.values())
    if size >= ENOUGH:
        return ""
    learned = {manifest.groups[d] for d in past.learned if d in manifest.groups} & set(true)
    taken = f"earlier checkpoints learned from {len(learned)} of {len(true)}, " if learned else ""
    more = max(3 * ENOUGH - len(true), ENOUGH - size)
    return (
        f"the exam is of {size} different {'document' if size == 1 else 'documents'}; {taken}"
        f"{more} more that no checkpoint has seen would make it {ENOUGH}"
    )


def _canonical(manifest: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
