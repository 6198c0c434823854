"""Planning: what a round would do and how long, and what its tokenizer makes of the language's text."""

from __future__ import annotations

from sqlalchemy import update

from flywheel.database import transaction
from flywheel.database.tables import LabelRow, RoundRow
from flywheel.errors import BlobCorrupt, BlobMissing
from flywheel.figures import Plan, TokenReport, Unit
from flywheel.labels.storage import load_label
from flywheel.loop import planning as plans
from flywheel.loop import promotion
from flywheel.loop.recipes import recipe_for
from flywheel.loop.round_machine import enter
from flywheel.states import RoundStatus
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.checkpoints import find_checkpoint, published_weights
from tasks.worker.process import store


@stop_task("planning")
def planning(attempt: Attempt) -> None:
    with transaction() as session:
        row = session.get_one(RoundRow, attempt.claim.round_id)
        found = plans.outlook(session, row)
        teaching, others = plans.sample(session, row)
        recipe = recipe_for(row.recipe, row.overrides)
        parent = promotion.parent(session, row.language, recipe.architecture)
    unit = recipe.unit
    report = tokens(
        unit, recipe.architecture, parent, texts(attempt, teaching, unit), texts(attempt, others, unit)
    )
    plan = Plan(unit, found, parent, plans.durations(found, recipe), report)
    with transaction() as session:
        ledger.guard(session, attempt.claim)
        session.execute(update(RoundRow).where(RoundRow.id == row.id).values(plan=plan))
        ledger.finish(session, attempt.claim)
        enter(session, row.id, RoundStatus.PLANNED)


def texts(attempt: Attempt, rows: list[LabelRow], unit: Unit) -> list[str]:
    """Texts of labels, of each line or each page as it is learnt. A lost blob is passed over."""
    found: list[str] = []
    for row in attempt.each(rows):
        try:
            label = load_label(store(), row)
        except (BlobMissing, BlobCorrupt):
            continue
        found += [line.text for line in label.lines] if unit is Unit.LINE else [label.text]
    return found


def tokens(
    unit: Unit, architecture: str, parent: str | None, teaching: list[str], others: list[str]
) -> TokenReport:
    """The report, by the tokenizer or the output symbols that the round would begin with."""
    from models.training import tokens as reports

    if unit is Unit.PAGE:
        directory = find_checkpoint(parent).directory() if parent else published_weights(architecture)
        return reports.report(reports.tokenizer_in(directory), teaching, others)
    from models.checkpoint import load

    charset = (
        load(find_checkpoint(parent).directory()).manifest.charset if parent else tuple(set("".join(teaching)))
    )
    return reports.of_symbols(charset, teaching, others)
