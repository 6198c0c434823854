"""States of everything that moves, each one enum: columns, queries, the API, the client and the CLI use these.

    Document   pending -> ready | quarantined
    Page       pending -> labelled | waiting | quarantined    (waiting -> pending once it has a reader)
    Shard      open -> finished | failed | split | cancelled
    Round      patching -> freezing -> training -> promoting -> relabelling -> finished
                                                       `-> refused      any of them -> cancelled | failed
               planning -> planned | cancelled | failed          (a round that is only planned)
    Request    pending -> finished | failed                      (an export, a trial)
    Stack      starting -> ready -> stopping -> stopped | failed      (killed: its supervisor is gone)
    Program    running <-> restarting -> failed                  any of them -> stopped

Verdicts on labels are `flywheel.document.Outcome`, reasons are in flywheel/reasons.py.
"""

from __future__ import annotations

from enum import StrEnum


class Split(StrEnum):
    """Side of a document: trained on, looked at while training, or examined by."""

    TRAIN = "train"
    VALIDATION = "validation"
    HELDOUT = "heldout"


class DocumentState(StrEnum):
    """State of a submitted file."""

    PENDING = "pending"  # its pages are not known yet
    READY = "ready"
    QUARANTINED = "quarantined"  # no page of it can be had


class PageState(StrEnum):
    """State of a page."""

    PENDING = "pending"  # work on it is open
    LABELLED = "labelled"  # a verdict stands
    WAITING = "waiting"  # no reader for its script yet; a promotion wakes it
    QUARANTINED = "quarantined"  # no stop can work on it


SETTLED_PAGES = frozenset({PageState.LABELLED, PageState.WAITING})  # what a new champion may read again


class ShardState(StrEnum):
    """State of a unit of work."""

    OPEN = "open"  # it has a lease row, taken or not
    FINISHED = "finished"
    FAILED = "failed"  # given up, with a reason
    SPLIT = "split"  # its pages are tried one by one
    CANCELLED = "cancelled"  # its round ended first


class RoundStatus(StrEnum):
    """Status of a round of fine-tuning."""

    PATCHING = "patching"
    FREEZING = "freezing"
    TRAINING = "training"
    PROMOTING = "promoting"
    RELABELLING = "relabelling"
    FINISHED = "finished"
    REFUSED = "refused"  # the candidate was not better
    CANCELLED = "cancelled"
    FAILED = "failed"
    PLANNING = "planning"
    PLANNED = "planned"  # told what it would do; it runs nothing


RUNNING_ROUNDS = frozenset(
    {
        RoundStatus.PATCHING,
        RoundStatus.FREEZING,
        RoundStatus.TRAINING,
        RoundStatus.PROMOTING,
        RoundStatus.RELABELLING,
    }
)
PLANNED_ROUNDS = frozenset({RoundStatus.PLANNING, RoundStatus.PLANNED})
ENDED_ROUNDS = frozenset(RoundStatus) - RUNNING_ROUNDS - {RoundStatus.PLANNING}


class TrainingPhase(StrEnum):
    """Phase of a round's training stop."""

    TRAINING = "training"
    JUDGING = "judging"  # candidate and baseline read the held-out lines or pages


class RequestStatus(StrEnum):
    """Status of something asked for once: an export, a trial."""

    PENDING = "pending"
    FINISHED = "finished"
    FAILED = "failed"


ENDED_REQUESTS = frozenset(RequestStatus) - {RequestStatus.PENDING}


class ReviewVerdict(StrEnum):
    """Verdict of a person on a label."""

    ACCEPT = "accept"
    REJECT = "reject"
    CORRECT = "correct"  # another text takes its place


class PromotionAction(StrEnum):
    """Decision about a checkpoint."""

    PROMOTE = "promote"
    REFUSE = "refuse"
    ROLLBACK = "rollback"


NAMES_CHAMPION = frozenset({PromotionAction.PROMOTE, PromotionAction.ROLLBACK})


class StackState(StrEnum):
    """State of an embedded stack."""

    STARTING = "starting"
    READY = "ready"  # the API answers
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    KILLED = "killed"  # its supervisor is gone and never said that it stopped


LIVE_STACKS = frozenset({StackState.STARTING, StackState.READY, StackState.STOPPING})


class ProgramState(StrEnum):
    """State of one program of an embedded stack."""

    RUNNING = "running"
    RESTARTING = "restarting"  # it ended, and is started again after a pause
    FAILED = "failed"  # it ended too often in a row and is left so
    STOPPED = "stopped"
