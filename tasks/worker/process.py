"""Resources that a worker process keeps between shards: the store, the PDF child (readers are in readers.py).

Made on first use, in the process that uses it: the Celery parent never holds a
connection, a child process or a tensor.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from celery import signals
from sqlalchemy import select
from sqlalchemy.orm import Session

from flywheel.database.tables import DocumentRow, PageRow
from flywheel.document import PageFacts
from flywheel.errors import BlobCorrupt, BlobMissing, NotFound, Rejected
from flywheel.pdf import Limits, Sandbox
from flywheel.reasons import Reason
from flywheel.settings import settings
from flywheel.store import Store, open_store
from flywheel.work.ledger import Claim


@lru_cache(maxsize=1)
def store() -> Store:
    return open_store(settings().store_url, settings().work_dir)


@lru_cache(maxsize=1)
def sandbox() -> Sandbox:
    return Sandbox(Limits.of(settings()))


@contextmanager
def document_file(document: DocumentRow) -> Iterator[Path]:
    """The document's bytes as a local file. Raises Rejected when they are gone or damaged."""
    try:
        with store().open_local(document.blob_key) as path:
            yield path
    except BlobMissing as error:
        raise Rejected(Reason.BLOB_MISSING, str(error)) from error
    except BlobCorrupt as error:
        raise Rejected(Reason.BLOB_CORRUPT, str(error)) from error


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """An empty directory under the work directory, gone afterwards."""
    root = settings().work_dir / "scratch"
    root.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def subject(session: Session, claim: Claim) -> tuple[DocumentRow, list[PageRow]]:
    """The document and pages a shard is about, pages in order. Raises NotFound."""
    document = session.get(DocumentRow, claim.document_id)
    if document is None:
        raise NotFound(f"no document {claim.document_id}")
    statement = select(PageRow).where(PageRow.id.in_(claim.page_ids)).order_by(PageRow.number)
    return document, list(session.execute(statement).scalars())


def facts_of(page: PageRow) -> PageFacts:
    """The facts the coarse stop left in a page's row; of a page that it has not seen, that there is nothing."""
    return page.facts or PageFacts(
        number=page.number,
        width=page.width or 0.0,
        height=page.height or 0.0,
        rotation=0,
        ink=page.ink or 0.0,
        has_text=False,
        image_only=False,
        characters=0,
    )


def fetched(tree_key: str) -> Path:
    """A stored tree on the local disk, fetched once a machine. Raises BlobMissing, BlobCorrupt."""
    path = settings().work_dir / "checkpoints" / tree_key.rsplit("/", 1)[-1]
    store().fetch_tree(tree_key, path)  # leaves a complete one alone
    return path


@lru_cache(maxsize=1)
def device() -> str:
    """Device of this process's networks, as torch names it."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def devices() -> int:
    """Number of devices that this process may use: a training takes all."""
    import torch

    return max(1, torch.cuda.device_count())


@lru_cache(maxsize=1)
def preparation_thread() -> ThreadPoolExecutor:
    """One thread, for what can be prepared while the device works. It lives as long as the process: a PDF
    child ends with the thread that started it."""
    return ThreadPoolExecutor(1, thread_name_prefix="ahead")


def _close(**_: object) -> None:
    if sandbox.cache_info().currsize:
        sandbox().close()


signals.worker_process_shutdown.connect(_close)
