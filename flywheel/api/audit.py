"""Audit of a corpus's text layers: the shares that are rejected, by document and by font."""

from __future__ import annotations

from fastapi import APIRouter

from flywheel import wire
from flywheel.api.access import CorpusPath, Limit, Reader
from flywheel.api.strict import StrictRoute
from flywheel.catalog import audit
from flywheel.database import transaction

router = APIRouter(route_class=StrictRoute)


@router.get("/corpora/{corpus}/audit", summary="The text layers of a corpus, worst documents and fonts first")
def show_audit(_: Reader, corpus: CorpusPath, limit: Limit = 200) -> wire.Audit:
    with transaction() as session:
        return audit.audit(session, corpus, limit=limit)
