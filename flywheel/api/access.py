"""Dependencies of the endpoints: the key's holder by scope, the store, ids and limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Path, Query, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from flywheel import keys
from flywheel.database import transaction
from flywheel.database.tables import ApiKeyRow
from flywheel.scopes import Scope
from flywheel.settings import settings
from flywheel.store import Store, open_store
from flywheel.wire import LANGUAGE

bearer = HTTPBearer(auto_error=False, description="An API key: fw_<id>_<secret>")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


def needs(scope: Scope) -> Callable[[Credentials], ApiKeyRow]:
    """Make a dependency that returns the row of the caller's key. It raises KeyRefused or ScopeMissing."""

    def holder(credentials: Credentials) -> ApiKeyRow:
        if credentials is None:
            raise keys.KeyRefused("send an API key: Authorization: Bearer fw_...")
        with transaction() as session:
            row = keys.verify(session, credentials.credentials)
        keys.require(row, scope)
        return row

    return holder


Reader = Annotated[ApiKeyRow, Depends(needs(Scope.READ))]
Submitter = Annotated[ApiKeyRow, Depends(needs(Scope.SUBMIT))]
Reviewer = Annotated[ApiKeyRow, Depends(needs(Scope.REVIEW))]
Trainer = Annotated[ApiKeyRow, Depends(needs(Scope.TRAIN))]
Admin = Annotated[ApiKeyRow, Depends(needs(Scope.ADMIN))]

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]
Limit = Annotated[int, Query(ge=1, le=1000, description="results at most")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the listing so far")]
CorpusPath = Annotated[str, Path(pattern=r"^[\w][\w .+-]*$", max_length=200)]
CheckpointPath = Annotated[str, Path(min_length=1, max_length=200)]
LanguageQuery = Annotated[
    str | None,
    Query(pattern=LANGUAGE.pattern, max_length=35, description="BCP-47 tag, e.g. bo"),
]


def store() -> Store:
    """Store of this process, by the settings."""
    return _store(settings().store_url)


@lru_cache(maxsize=4)
def _store(url: str) -> Store:
    return open_store(url, settings().work_dir)
