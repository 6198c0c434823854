"""Planning: a round told before it does anything.

    ask(session, language=..., recipe=...) -> id     a round that is only planned, and the work to do so
    outlook(session, row) -> Outlook                 from the database: labels, pages, measured rates
    durations(outlook, recipe) -> Durations          seconds of each phase at those rates

The rest of the plan, the tokenizer's report on the texts, comes from a worker that has the weights at
hand (tasks/planning.py). A planned round stands beside the others; it runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Float, Select, Text, cast, func, select
from sqlalchemy.orm import Session

from flywheel.database.tables import DocumentRow, LabelRow, PageRow, RoundRow, ShardRow
from flywheel.document import Kind, Outcome
from flywheel.encoding import JsonValue
from flywheel.errors import Conflict
from flywheel.figures import Durations, Outlook, Rates, Unit
from flywheel.loop import promotion, relabel, rounds, teaching
from flywheel.loop.recipes import recipe_for
from flywheel.loop.round_machine import open_round
from flywheel.recipes import Recipe
from flywheel.states import RoundStatus, ShardState
from flywheel.text.tags import canonical

SAMPLE_TEXTS = 400  # labels a tokenizer is tried on, spread over all
MEASURED_ROUNDS = 5  # the newest finished ones tell how fast things go


def ask(
    session: Session, *, language: str, corpora: Sequence[str], recipe: str, overrides: Mapping[str, JsonValue]
) -> int:
    """Have a round planned; returns its id. Raises NotFound for an unknown recipe or corpus,
    Rejected(BAD_SETTINGS) for overrides that the recipe refuses, Conflict when there is nothing to learn from."""
    language = canonical(language)
    generations = recipe_for(recipe, overrides).generations
    rounds.check_corpora(session, corpora)
    if not teaching.trainable(session, language, corpora, generations):
        raise Conflict(f"no accepted label with language {language!r} to train on")
    row = open_round(
        session,
        RoundStatus.PLANNING,
        language=language,
        corpora=corpora,
        recipe=recipe,
        overrides=overrides,
    )
    return row.id


def outlook(session: Session, row: RoundRow) -> Outlook:
    """Measure what there is to learn from and to read anew, and how fast that went before."""
    recipe = recipe_for(row.recipe, row.overrides)
    labels = teaching.trainable(session, row.language, row.corpora, recipe.generations)
    pages = [page_id for page_id, _ in labels]
    cut = teaching.cut_already(session, pages, recipe.generations, recipe.unit)
    total = select(func.coalesce(func.sum(LabelRow.lines), 0)).where(LabelRow.id.in_(_teaching(row)))
    return Outlook(
        documents=len({document_id for _, document_id in labels}),
        pages=len(labels),
        lines=int(session.execute(total).scalar_one()),
        pages_to_cut=len(pages) - len(cut),
        pages_to_relabel=relabel.count(session, row.language),
        rates=rates(session, row.recipe),
        reads_now=promotion.reader_for(session, row.language),
    )


def durations(found: Outlook, recipe: Recipe) -> Durations:
    """Seconds of each phase at the rates measured before."""
    units = found.lines if recipe.unit is Unit.LINE else found.pages
    rates = found.rates
    passes = recipe.epochs * units / rates.training if rates.training and recipe.epochs else None
    return Durations(
        cutting=found.pages_to_cut / rates.cutting if rates.cutting else None,
        training=min(recipe.seconds, passes) if passes is not None else None,
        training_at_most=recipe.seconds,
        relabelling=found.pages_to_relabel / rates.relabelling if rates.relabelling else None,
    )


def sample(session: Session, row: RoundRow) -> tuple[list[LabelRow], list[LabelRow]]:
    """Labels that would teach, and labels not accepted of pages that would be read anew: some of each,
    picked by their hash so that the same ones are picked again."""
    teaching = select(LabelRow).where(LabelRow.id.in_(_teaching(row)))
    others = (
        select(LabelRow)
        .join(PageRow, PageRow.id == LabelRow.page_id)
        .join(DocumentRow, DocumentRow.id == PageRow.document_id)
        .where(relabel.wanted(row.language), LabelRow.verdict != Outcome.ACCEPTED, LabelRow.kind == Kind.FINE)
    )
    first, second = (
        session.execute(query.order_by(func.md5(cast(LabelRow.id, Text))).limit(SAMPLE_TEXTS)).scalars().all()
        for query in (teaching, others)
    )
    return list(first), list(second)


def _teaching(row: RoundRow) -> Select[Any]:
    """The ids of the accepted labels that would teach the round."""
    generations = recipe_for(row.recipe, row.overrides).generations
    current = teaching.teaching_labels(row.language, row.corpora, generations).subquery()
    return select(current.c.id).where(current.c.verdict == Outcome.ACCEPTED, current.c.lines > 0)


def rates(session: Session, recipe: str) -> Rates:
    """Of the newest finished rounds of a recipe."""
    newest = (
        select(RoundRow.id)
        .where(RoundRow.recipe == recipe, RoundRow.status.in_((RoundStatus.FINISHED, RoundStatus.REFUSED)))
        .order_by(RoundRow.id.desc())
        .limit(MEASURED_ROUNDS)
        .subquery()
    )
    speed = cast(RoundRow.progress["units_per_second"].astext, Float)
    training = session.execute(select(func.avg(speed)).where(RoundRow.id.in_(select(newest.c.id)))).scalar_one()
    return Rates(
        cutting=_pages_per_second(session, newest, "patches"),
        training=training,
        relabelling=_pages_per_second(session, newest, "recognition"),
    )


def _pages_per_second(session: Session, newest: Any, stop: str) -> float | None:
    """Pages of a stop's shards over the time from the first one's start to the last one's end, by round."""
    took = func.extract("epoch", func.max(ShardRow.finished_at) - func.min(ShardRow.created_at))
    spans = (
        select(func.sum(func.cardinality(ShardRow.page_ids)).label("pages"), took.label("seconds"))
        .where(
            ShardRow.round_id.in_(select(newest.c.id)),
            ShardRow.stop == stop,
            ShardRow.state == ShardState.FINISHED,
        )
        .group_by(ShardRow.round_id)
        .subquery()
    )
    pages, seconds = session.execute(select(func.sum(spans.c.pages), func.sum(spans.c.seconds))).one()
    return float(pages) / float(seconds) if pages and seconds else None
