"""Corpora, listed and summed up. Submitting a document makes its corpus."""

from __future__ import annotations

from fastapi import APIRouter

from flywheel import wire
from flywheel.api.access import CorpusPath, Reader
from flywheel.api.strict import StrictRoute
from flywheel.catalog import corpora
from flywheel.database import transaction

router = APIRouter(route_class=StrictRoute)


@router.get("/corpora", summary="Every corpus, with how much it holds")
def list_corpora(_: Reader) -> list[wire.Corpus]:
    with transaction() as session:
        return corpora.corpora(session)


@router.get("/corpora/{corpus}", summary="How far a corpus is: pages by state, verdict and reason")
def show_corpus(_: Reader, corpus: CorpusPath) -> wire.Summary:
    with transaction() as session:
        return corpora.summary(session, corpus)
