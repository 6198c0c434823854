"""Frozen datasets: the patches or pages that a round learns from, and those it is judged by.

A dataset is a manifest: the files (each a content-addressed Parquet blob) and the
split of every document, chosen by the document's own hash so that what was
trained on never becomes part of an exam. Its hash is the manifest's. Where pages are learned,
a share of them is of other languages: they are trained on, and are in no exam.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from flywheel.database.tables import DocumentRow, LabelRow, PageRow, PatchSetRow
from flywheel.document import Outcome
from flywheel.encoding import JsonValue, to_json
from flywheel.errors import Rejected
from flywheel.figures import DatasetCounts, SplitCounts, Unit
from flywheel.labels.standing import current_labels
from flywheel.loop.languages import in_language
from flywheel.loop.teaching import patches_of, spread, teaching_labels
from flywheel.reasons import Reason

HELD_OUT, VALIDATION = 0.12, 0.08  # shares of the documents; the rest is for training


@dataclass(frozen=True, slots=True)
class PatchSource:
    """The patches of one page, or the page itself: its document's hash, the label that is carried, and the
    blob it lies in. `units` is how many there are, 0 or 1 of a page; `language` the document's."""

    document: str
    page_id: int
    label_id: int
    generation: int
    blob_key: str
    units: int
    dropped: dict[str, int]
    language: str = ""


@dataclass(frozen=True, slots=True)
class DatasetFile:
    """A Parquet file of a dataset: its name in the dataset's directory, its key in the store and its hash."""

    name: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DatasetManifest:
    """Content of a dataset. `splits` names the split of every document by its hash, `replay` the language of those
    of other languages; `generation` is the highest of the `labels` (ids)."""

    language: str
    unit: Unit
    files: tuple[DatasetFile, ...]
    labels: tuple[int, ...]
    generation: int
    splits: dict[str, str]
    replay: dict[str, str]
    version: int = 1

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
    labels = current_labels(generations=0).where(
        DocumentRow.language.is_not(None), ~in_language(language), LabelRow.page_id.in_(_pages_of(cut))
    )
    found: dict[str, list[PatchSource]] = {}
    newest_first = sorted(_sources(session, labels, unit), key=lambda s: (s.language, -s.label_id))
    for source in newest_first:
        if source.units and place_of(source.document) >= HELD_OUT + VALIDATION:
            found.setdefault(source.language, []).append(source)
    return spread(found, count)


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
        )
        .join(PatchSetRow, (PatchSetRow.label_id == current.c.id) & patches_of(unit))
        .join(PageRow, PageRow.id == current.c.page_id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(current.c.verdict == Outcome.ACCEPTED)
        .order_by(DocumentRow.sha256, PageRow.number, PageRow.id)
    ).all()
    return [PatchSource(*row) for row in found]


def freeze(
    language: str, found: Sequence[PatchSource], *, unit: Unit, replayed: Sequence[PatchSource] = ()
) -> Frozen:
    """The dataset of these sources. Raises Rejected when there is too little to split by document.

    Only text layers and people make an exam: documents that have nothing but a reader's labels are
    trained on. So are the `replayed`, of other languages; a document of both counts as the language's own.
    """
    units, exam = Counter[str](), Counter[str]()
    for source in found:
        units[source.document] += source.units
        exam[source.document] += source.units * (source.generation == 0)
    examined = [document for document, count in exam.items() if count]
    if len(examined) < 3:
        raise Rejected(
            Reason.NO_LINES,
            f"{len(examined)} documents have usable {unit.plural}; a round needs at least 3, to hold some out",
        )
    splits = split(examined) | {d: "train" for d, count in units.items() if count and not exam[d]}
    foreign = [source for source in replayed if source.units and source.document not in units]
    used = [source for source in (*found, *foreign) if source.units]
    manifest = DatasetManifest(
        language=language,
        unit=unit,
        files=tuple(map(_file, sorted({source.blob_key for source in used}))),
        labels=tuple(sorted(source.label_id for source in used)),
        generation=max(source.generation for source in used),
        splits=dict(sorted((splits | {source.document: "train" for source in foreign}).items())),
        replay={source.document: source.language for source in foreign},
    )
    return Frozen(manifest, _counts(found, splits, unit, foreign))


def _file(key: str) -> DatasetFile:
    return DatasetFile(f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet", key, key[-64:])


def split(documents: Iterable[str]) -> dict[str, str]:
    """Document hash -> train | validation | heldout, by a hash of the document's own.

    The sides are shares of the hashes' range, so about shares of the documents; where a share is empty
    the lowest hash stands in. A document that was trained on therefore never becomes part of an exam as
    others join: its hash is above the shares and not the lowest. (Unless all there were lay within the
    shares: then the highest is trained on, as something must be.)
    """
    place = {d: place_of(d) for d in documents}
    order = sorted(place, key=lambda d: place[d])
    heldout = [d for d in order if place[d] < HELD_OUT] or order[:1]
    rest = order[len(heldout) :]
    validation = [d for d in rest if place[d] < HELD_OUT + VALIDATION] or rest[:1]
    sides = (
        dict.fromkeys(order, "train") | dict.fromkeys(heldout, "heldout") | dict.fromkeys(validation, "validation")
    )
    if "train" not in sides.values():
        sides[order[-1]] = "train"
    return dict(sorted(sides.items()))


def place_of(document: str) -> float:
    """Place of a document's hash in the range of hashes, 0..1."""
    return int(hashlib.sha256(f"split {document}".encode()).hexdigest(), 16) / 2**256


def _counts(
    found: Sequence[PatchSource], splits: Mapping[str, str], unit: Unit, foreign: Sequence[PatchSource]
) -> DatasetCounts:
    units, pages, dropped = Counter[str](), Counter[str](), Counter[str]()
    for source in found:
        dropped.update(source.dropped)
        if source.units:
            units[splits[source.document]] += source.units
            pages[splits[source.document]] += 1
    return DatasetCounts(
        unit=unit,
        units=SplitCounts(**units),
        pages=SplitCounts(**pages),
        documents=SplitCounts(**Counter(splits.values())),
        dropped=dropped,
        replay=Counter(source.language for source in foreign),
    )


def _canonical(manifest: Mapping[str, JsonValue]) -> bytes:
    return json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
