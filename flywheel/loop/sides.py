"""Sides of a dataset's documents: learned from, watched while learning, or kept to be examined by.

    history(session, language, parents) -> History      sides in what earlier checkpoints learned from
    split(documents, groups, history) -> document -> train | validation | heldout

Near-equal documents are one group and stand on one side. What a checkpoint learned from, or was chosen by, never
examines again, nor do its near-equals; what examined before goes on to. Among the rest the lowest hashes are held
out, so that the choice depends on nothing else. Hashes alone would not do: as corpora join, and as readings become
true text when a person corrects them, a document would change sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from flywheel.database.tables import CheckpointRow, DatasetDocumentRow, DatasetRow
from flywheel.states import Split

HELD_OUT, VALIDATION = 0.12, 0.08  # shares of the groups of documents; the rest is for training
ENOUGH = 8  # groups that an exam has to hold to decide a promotion: see flywheel/loop/promotion.py


@dataclass(frozen=True, slots=True)
class History:
    """Documents, by hash, of the datasets of earlier checkpoints. One that was trained on anywhere is in `trained`
    alone."""

    trained: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    examined: frozenset[str] = frozenset()

    @property
    def learned(self) -> frozenset[str]:
        """The documents that must not examine: trained on, or what the best weights were chosen by."""
        return self.trained | self.watched


def history(session: Session, language: str, parents: Iterable[str | None]) -> History:
    """Sides that documents had for the checkpoints of a language, for the `parents`, and for all these began from.

    Not the chains of the parents alone: a person may make any checkpoint of the language its champion while
    the round trains, and hold the candidate against it.
    """
    rows = session.execute(
        select(DatasetDocumentRow.split, DatasetDocumentRow.sha256)
        .where(DatasetDocumentRow.dataset_id.in_(datasets_of_chain(session, language, parents)))
        .distinct()
    ).all()
    found: dict[str, set[str]] = {side: set() for side in Split}
    for side, sha256 in rows:
        found[side].add(sha256)
    trained, watched = found[Split.TRAIN], found[Split.VALIDATION] - found[Split.TRAIN]
    return History(frozenset(trained), frozenset(watched), frozenset(found[Split.HELDOUT] - trained - watched))


def datasets_of_chain(session: Session, language: str, parents: Iterable[str | None]) -> list[int]:
    """The datasets (ids) of the language's checkpoints, of the `parents`, and of all these began from."""
    base = language.split("-", maxsplit=1)[0]
    chain = (
        select(CheckpointRow.id, CheckpointRow.parent_id, CheckpointRow.dataset_id)
        .where(
            CheckpointRow.id.in_([parent for parent in parents if parent is not None])
            | (func.split_part(CheckpointRow.language, "-", 1) == base)
        )
        .cte(recursive=True)
    )
    before = select(CheckpointRow.id, CheckpointRow.parent_id, CheckpointRow.dataset_id)
    chain = chain.union(before.join(chain, CheckpointRow.id == chain.c.parent_id))
    used = select(chain.c.dataset_id).where(chain.c.dataset_id.is_not(None)).distinct()
    return list(session.execute(used).scalars())


def unlisted(session: Session, datasets: Sequence[int]) -> list[tuple[int, str]]:
    """(id, manifest's key) of those among these datasets whose documents were not written down when they were
    frozen."""
    listed = select(DatasetDocumentRow.dataset_id).where(DatasetDocumentRow.dataset_id == DatasetRow.id).exists()
    query = select(DatasetRow.id, DatasetRow.manifest_key).where(DatasetRow.id.in_(datasets), ~listed)
    return [(dataset, key) for dataset, key in session.execute(query.order_by(DatasetRow.id))]


def split(
    documents: Mapping[str, int], groups: Mapping[str, str] | None = None, past: History | None = None
) -> dict[str, Split]:
    """Document -> its side. `documents` come with the number of their true units: those without any are trained
    on, but for what is near-equal to a document that is not, here or in the past. `groups` (document -> the one
    that its group is named after) may hold other documents besides.
    """
    groups, past = groups or {}, past or History()
    members: dict[str, list[str]] = {}
    for document in sorted({*documents, *groups, *groups.values()}):
        members.setdefault(groups.get(document, document), []).append(document)
    present = {group: found for group, found in members.items() if any(d in documents for d in found)}
    true = {group for group, found in present.items() if any(documents.get(d) for d in found)}
    side = {group: _former(members[group], past) for group in present.keys() - true} | _sides(present, true, past)
    return {d: side.get(group, Split.TRAIN) for group, found in present.items() for d in found if d in documents}


def _former(documents: Collection[str], past: History) -> Split:
    """Side of a group that has no true units now: a scanned copy of what examines is not learned from either."""
    if not past.trained.isdisjoint(documents):
        return Split.TRAIN
    if not past.watched.isdisjoint(documents):
        return Split.VALIDATION
    return Split.TRAIN if past.examined.isdisjoint(documents) else Split.HELDOUT


def _sides(members: Mapping[str, Sequence[str]], true: Collection[str], past: History) -> dict[str, Split]:
    """Group -> side, of those that are not trained on. At least one group stays to be trained on."""
    order = sorted(true, key=lambda group: min(map(place_of, members[group])))

    def with_any(known: Collection[str]) -> list[str]:
        return [group for group in order if any(d in known for d in members[group])]

    trained, watched = with_any(past.trained), with_any(past.watched)
    examined = [group for group in with_any(past.examined) if group not in {*trained, *watched}]
    fresh = [group for group in order if group not in {*trained, *watched, *examined}]
    others = bool(trained) or len(members) > len(true)  # are trained on in any case; else one of these must be
    room = len(order) - len(trained) - (0 if others else 1)
    heldout = examined + fresh[: max(0, min(held_out(len(order)), room) - len(examined))]
    kept = [group for group in watched if group not in trained]
    rest = [group for group in fresh if group not in heldout]
    wanted = max(1, round(VALIDATION * len(order)), len(kept))
    validation = (kept + rest)[: max(0, min(wanted, room - len(heldout)))]
    return dict.fromkeys(heldout, Split.HELDOUT) | dict.fromkeys(validation, Split.VALIDATION)


def held_out(groups: int) -> int:
    """Number of groups of documents to be held out of so many: an eighth, or as many as decide a promotion where
    a third of them is enough for that. With fewer, a larger exam decides no more than a small one."""
    share = max(1, round(HELD_OUT * groups))
    return max(share, ENOUGH) if groups >= 3 * ENOUGH else share


def place_of(document: str) -> float:
    """Place of a document's hash in the range of hashes, 0..1."""
    return int(hashlib.sha256(f"split {document}".encode()).hexdigest(), 16) / 2**256
