"""Frozen datasets: which patches a round learns from, which it is judged by.

A dataset is a manifest: the patch files (each a content-addressed Parquet blob)
and the split of every document, chosen by the document's own hash so that what was
trained on never becomes part of an exam. Its hash is the manifest's.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from flywheel.errors import Rejected
from flywheel.reasons import Reason
from flywheel.rounds import GENERATIONS, teaching_labels
from flywheel.tables import Document, Page, PatchSet

HELD_OUT, VALIDATION = 0.12, 0.08  # shares of the documents; the rest is for training


@dataclass(frozen=True, slots=True)
class Source:
    """The patches of one page: its document's hash, the label they carry, and the blob they lie in."""

    document: str
    page_id: int
    label_id: int
    generation: int
    blob_key: str
    lines: int
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True)
class Frozen:
    """A manifest, its hash, and counts for people."""

    manifest: dict[str, Any]
    hash: str
    counts: dict[str, Any]

    @property
    def data(self) -> bytes:
        return canonical(self.manifest)


def sources(
    session: Session, language: str, corpora: Sequence[str], *, generations: int = GENERATIONS
) -> list[Source]:
    """Patch sets of the accepted labels that teach a language; pseudo-labels up to a generation."""
    current = teaching_labels(language, corpora, generations).subquery()
    found = session.execute(
        select(
            Document.sha256,
            Page.id,
            current.c.id,
            current.c.generation,
            PatchSet.blob_key,
            PatchSet.lines,
            PatchSet.dropped,
        )
        .join(PatchSet, PatchSet.label_id == current.c.id)
        .join(Page, Page.id == current.c.page_id)
        .join(Document, Document.id == Page.document_id)
        .where(current.c.verdict == "accepted")
        .order_by(Document.sha256, Page.number)
    ).all()
    return [Source(*row) for row in found]


def freeze(language: str, found: Sequence[Source]) -> Frozen:
    """The dataset of these sources. Raises Rejected when there is too little to split by document.

    Only text layers and people make an exam: documents that have nothing but a reader's labels are
    trained on.
    """
    lines, exam = Counter[str](), Counter[str]()
    for source in found:
        lines[source.document] += source.lines
        exam[source.document] += source.lines * (source.generation == 0)
    examined = [document for document, count in exam.items() if count]
    if len(examined) < 3:
        raise Rejected(
            Reason.NO_LINES,
            f"{len(examined)} documents have usable lines; a round needs at least 3, to hold some out",
        )
    splits = split(examined) | {d: "train" for d, count in lines.items() if count and not exam[d]}
    manifest = {
        "version": 1,
        "language": language,
        "files": [
            {"name": f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet", "key": key, "sha256": key[-64:]}
            for key in sorted({s.blob_key for s in found if s.lines})
        ],
        "labels": sorted(s.label_id for s in found if s.lines),
        "generation": max(s.generation for s in found if s.lines),
        "splits": splits,
    }
    digest = hashlib.sha256(canonical(manifest)).hexdigest()
    return Frozen({**manifest, "hash": digest}, digest, _counts(found, splits))


def split(documents: Iterable[str]) -> dict[str, str]:
    """Document hash -> train | validation | heldout, by a hash of the document's own.

    The sides are shares of the hashes' range, so about shares of the documents; where a share is empty
    the lowest hash stands in. A document that was trained on therefore never becomes part of an exam as
    others join: its hash is above the shares and not the lowest. (Unless all there were lay within the
    shares: then the highest is trained on, as something must be.)
    """
    place = {d: int(hashlib.sha256(f"split {d}".encode()).hexdigest(), 16) / 2**256 for d in documents}
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


def _counts(found: Sequence[Source], splits: Mapping[str, str]) -> dict[str, Any]:
    lines, pages, dropped = Counter[str](), Counter[str](), Counter[str]()
    for source in found:
        dropped.update(source.dropped)
        if source.lines:
            lines[splits[source.document]] += source.lines
            pages[splits[source.document]] += 1
    return {
        "lines": dict(lines),
        "pages": dict(pages),
        "documents": dict(Counter(splits.values())),
        "dropped": dict(dropped),
    }


def canonical(manifest: dict[str, Any]) -> bytes:
    return json.dumps(manifest, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
