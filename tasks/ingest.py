"""Ingest: pages of a submitted file, opened in the sandbox, and their coarse shards."""

from __future__ import annotations

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow
from flywheel.loop import submission
from flywheel.work import ledger
from tasks.worker.attempt import Attempt, stop_task
from tasks.worker.process import document_file, sandbox


@stop_task("ingest")
def ingest(attempt: Attempt) -> None:
    with transaction() as session:
        document = session.get_one(DocumentRow, attempt.claim.document_id)
    with document_file(document) as path:
        facts = sandbox().inspect(path, name=document.name)
    attempt.check()
    with transaction() as session:
        submission.insert_pages(session, attempt.claim, facts)
        ledger.finish(session, attempt.claim)
