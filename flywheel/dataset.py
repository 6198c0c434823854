"""Frozen datasets: which patches a round learns from, which it is judged by.

A dataset is a manifest: the patch files (each a content-addressed Parquet blob)
and the split of every document, chosen by the document's own hash so that a
document never changes sides between rounds. Its hash is the manifest's.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from flywheel.errors import Rejected
from flywheel.ledger import current_labels
from flywheel.reasons import Reason
from flywheel.tables import Corpus, Document, Page, PatchSet

HELD_OUT, VALIDATION = 0.12, 0.08  # shares of the documents' lines; the rest is for training


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


def sources(session: Session, language: str, corpora: Sequence[str], *, generations: int = 1) -> list[Source]:
    """Patch sets of the current, accepted labels of a language; pseudo-labels up to a generation."""
    rows = current_labels().where(or_(Document.language == language, Document.language.like(f"{language}-%")))
    if corpora:
        rows = rows.join(Corpus, Corpus.id == Document.corpus_id).where(Corpus.name.in_(corpora))
    current = rows.subquery()
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
        .where(current.c.verdict == "accepted", current.c.generation <= generations)
        .order_by(Document.sha256, Page.number)
    ).all()
    return [Source(*row) for row in found]


def freeze(language: str, found: Sequence[Source]) -> Frozen:
    """The dataset of these sources. Raises Rejected when there is too little to split by document."""
    lines = Counter[str]()
    for source in found:
        lines[source.document] += source.lines
    lines = Counter({document: n for document, n in lines.items() if n})
    if len(lines) < 3:
        raise Rejected(
            Reason.NO_LINES,
            f"{len(lines)} documents have usable lines; a round needs at least 3, to hold some out",
        )
    splits = split(lines)
    manifest = {
        "version": 1,
        "language": language,
        "files": [
            {"name": f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.parquet", "key": key, "sha256": key[-64:]}
            for key in sorted({s.blob_key for s in found if s.lines})
        ],
        "labels": sorted(s.label_id for s in found if s.lines),
        "splits": splits,
    }
    digest = hashlib.sha256(canonical(manifest)).hexdigest()
    return Frozen({**manifest, "hash": digest}, digest, _counts(found, splits))


def split(lines: Mapping[str, int]) -> dict[str, str]:
    """Document hash -> train | validation | heldout. Ordered by a hash of the document, the first ones
    are held out until their share of the lines is reached; each side gets at least one document."""
    order = sorted(lines, key=lambda d: hashlib.sha256(f"split {d}".encode()).hexdigest())
    total, taken, out = sum(lines.values()), 0, {}
    for place, document in enumerate(order):
        before = taken / total
        taken += lines[document]
        if place == 0 or before < HELD_OUT * 0.75:
            out[document] = "heldout"
        elif "validation" not in out.values() or before < (HELD_OUT + VALIDATION) * 0.75:
            out[document] = "validation"
        else:
            out[document] = "train"
    if "train" not in out.values():
        out[order[-1]] = "train"
    return dict(sorted(out.items()))


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
