"""Claims about the course of a round: the table holds, follows the route, and is the only way to a status."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from sqlalchemy import func, select

from flywheel.database import transaction
from flywheel.database.tables import LeaseRow, PageRow, RoundRow, ShardRow
from flywheel.document import Outcome
from flywheel.errors import Conflict, NotFound
from flywheel.labels.standing import leave_waiting
from flywheel.loop import relabel
from flywheel.loop.round_machine import OPENING, PHASES, advance, enter, open_round
from flywheel.states import ENDED_ROUNDS, PLANNED_ROUNDS, RUNNING_ROUNDS, RoundStatus, ShardState
from flywheel.work import ledger
from flywheel.work.route import ROUTE
from tests.flywheel.concurrency import run_across
from tests.flywheel.rows import give_labels, make_checkpoint, make_document

ROOT = Path(__file__).parents[3]
ENDINGS = {RoundStatus.CANCELLED, RoundStatus.FAILED}


def paths(status: RoundStatus) -> list[list[RoundStatus]]:
    """Every way from a status to an end; endless for a table that goes in a circle."""
    following = PHASES[status].next
    return [[status, *path] for after in following for path in paths(after)] if following else [[status]]


def test_every_status_is_in_the_table_and_every_one_that_has_not_ended_leads_somewhere() -> None:
    assert set(PHASES) == set(RoundStatus)
    for status, phase in PHASES.items():
        ended = status in ENDED_ROUNDS
        assert (phase.stop is None) == ended
        assert (phase.next == ()) == ended
        if not ended:
            assert set(phase.next) >= ENDINGS
        assert phase.when_closed is None or phase.when_closed in phase.next


def test_every_path_of_a_round_ends_and_all_statuses_lie_on_one() -> None:
    found = [path for status in OPENING for path in paths(status)]
    assert all(path[-1] in ENDED_ROUNDS and len(path) == len(set(path)) for path in found)
    assert {status for path in found for status in path} == set(RoundStatus)
    assert max(found, key=len) == [
        RoundStatus.PATCHING,
        RoundStatus.FREEZING,
        RoundStatus.TRAINING,
        RoundStatus.PROMOTING,
        RoundStatus.RELABELLING,
        RoundStatus.FINISHED,
    ]
    planned = {status for path in paths(RoundStatus.PLANNING) for status in path}
    assert planned - ENDINGS == PLANNED_ROUNDS
    assert not planned & RUNNING_ROUNDS


def test_the_stops_of_a_round_are_in_the_route_and_follow_each_other_there_as_its_statuses_do() -> None:
    for phase in PHASES.values():
        if phase.stop is None:
            continue
        assert phase.stop in ROUTE
        after = {PHASES[status].stop for status in phase.next} - {None}
        assert after <= set(ROUTE[phase.stop].follows)
        assert after or phase.stop in {"relabel", "planning"}  # a round's last


def writes_a_status(node: ast.AST) -> bool:
    """True of a statement that makes a round, or gives one a status by attribute, keyword or key."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return any(isinstance(target, ast.Attribute) and target.attr == "status" for target in targets)
    if isinstance(node, ast.Dict):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        return "status" in keys and "RoundStatus" in ast.unparse(node)
    if not isinstance(node, ast.Call):
        return False
    if ast.unparse(node.func).endswith("RoundRow"):
        return True
    return any(word.arg == "status" for word in node.keywords) and "update(RoundRow)" in ast.unparse(node.func)


@pytest.mark.parametrize(
    "statement",
    [
        "row.status = RoundStatus.FAILED",
        "RoundRow(language='bo')",
        "session.execute(update(RoundRow).where(RoundRow.id == 1).values(status=status, detail=detail))",
        "values = {'plan': plan, 'status': RoundStatus.PLANNED}",
    ],
)
def test_a_status_that_is_written_is_noticed(statement: str) -> None:
    assert any(map(writes_a_status, ast.walk(ast.parse(statement))))


def test_the_status_of_a_round_is_written_in_one_module() -> None:
    places = [path for room in ("flywheel", "tasks") for path in (ROOT / room).rglob("*.py")]
    sources = {path: source for path in places if "RoundRow" in (source := path.read_text())}
    writers = {
        str(path.relative_to(ROOT))
        for path, source in sources.items()
        if any(map(writes_a_status, ast.walk(ast.parse(source))))
    }
    assert writers == {"flywheel/loop/round_machine.py"}


def a_round(status: RoundStatus = RoundStatus.PATCHING, language: str = "bo") -> int:
    with transaction() as session:
        return open_round(session, status, language=language, corpora=[], recipe="line", overrides={}).id


def shards() -> list[tuple[str, str]]:
    with transaction() as session:
        rows = session.execute(select(ShardRow.stop, ShardRow.state).order_by(ShardRow.id)).all()
        return [(stop, state) for stop, state in rows]


def the_round(round_id: int) -> RoundRow:
    with transaction() as session:
        return session.get_one(RoundRow, round_id)


def close(stop: str) -> None:
    """The open shard of a stop is claimed and finished."""
    with transaction() as session:
        query = select(ShardRow.id).where(ShardRow.stop == stop, ShardRow.state == "open")
        held = ledger.claim(session, session.execute(query).scalar_one(), "test")
        assert held is not None
        ledger.finish(session, held)


@pytest.mark.usefixtures("environment")
def test_entering_a_status_enqueues_its_stop_and_an_end_has_its_time() -> None:
    round_id = a_round()
    for status in (RoundStatus.FREEZING, RoundStatus.TRAINING, RoundStatus.PROMOTING, RoundStatus.RELABELLING):
        with transaction() as session:
            enter(session, round_id, status, f"on to {status}")
        assert shards()[-1] == (PHASES[status].stop, "open")
        assert (the_round(round_id).status, the_round(round_id).detail) == (status, f"on to {status}")
        assert the_round(round_id).finished_at is None
        with transaction() as session:
            assert advance(session) == 0  # its stop is open
        close(str(PHASES[status].stop))
    with transaction() as session:
        assert advance(session) == 1
        assert advance(session) == 0
    assert the_round(round_id).status is RoundStatus.FINISHED
    assert the_round(round_id).finished_at is not None
    assert the_round(round_id).detail == "on to relabelling"


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("first", OPENING)
def test_a_status_that_does_not_come_next_is_refused_and_nothing_is_enqueued(first: RoundStatus) -> None:
    round_id = a_round(first)
    before = shards()
    for status in set(RoundStatus) - set(PHASES[first].next):
        with pytest.raises(Conflict), transaction() as session:
            enter(session, round_id, status)
    assert the_round(round_id).status is first
    assert shards() == before
    with pytest.raises(NotFound), transaction() as session:
        enter(session, round_id + 1, RoundStatus.FREEZING)
    with pytest.raises(Conflict), transaction() as session:
        open_round(session, RoundStatus.TRAINING, language="en", corpora=[], recipe="line", overrides={})


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("ended", sorted(ENDED_ROUNDS))
def test_a_round_that_has_ended_stays_so(ended: RoundStatus) -> None:
    [path] = [path for status in OPENING for path in paths(status) if path[-1] is ended][:1]
    round_id = a_round(path[0])
    for status in path[1:]:
        with transaction() as session:
            enter(session, round_id, status)
    for status in RoundStatus:
        with pytest.raises(Conflict, match=f"is {ended} already"), transaction() as session:
            enter(session, round_id, status)
    with transaction() as session:
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0


@pytest.mark.usefixtures("environment")
def test_the_end_of_a_round_closes_its_shards_and_gives_the_pages_it_meant_to_read_back() -> None:
    _, pages = make_document(2)
    give_labels(pages, Outcome.REJECTED)
    make_checkpoint("c1")
    make_checkpoint("c2")
    give_labels(pages[:1], Outcome.REJECTED, stop="recognition", checkpoint="c1")
    round_id = a_round()
    with transaction() as session:
        leave_waiting(session, pages[1:])
        assert relabel.enqueue_relabelling(session, "bo", "c2", round_id) == 2
        assert set(session.execute(select(PageRow.state)).scalars()) == {"pending"}
    with transaction() as session:
        enter(session, round_id, RoundStatus.FAILED, "broken")
        assert session.execute(select(PageRow.state).order_by(PageRow.id)).scalars().all() == [
            "labelled",
            "waiting",
        ]
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0
    assert shards()[-1] == ("recognition", "cancelled")


@pytest.mark.usefixtures("environment")
def test_a_round_cancelled_while_it_moves_on_leaves_no_work_open() -> None:
    with transaction() as session:
        row = open_round(session, RoundStatus.PATCHING, language="bo", corpora=[], recipe="line", overrides={})
        round_id = row.id
    run_across(advance, lambda session: enter(session, round_id, RoundStatus.CANCELLED, "enough"))
    with transaction() as session:
        assert session.get_one(RoundRow, round_id).status is RoundStatus.CANCELLED
        shards = session.execute(select(ShardRow.stop, ShardRow.state)).all()
        assert [(stop, state) for stop, state in shards] == [("dataset", ShardState.CANCELLED)]
        assert session.execute(select(func.count()).select_from(LeaseRow)).scalar_one() == 0
