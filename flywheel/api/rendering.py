"""Rendering of page images for people, in the PDF sandbox.

A sandbox's child dies with the thread that started it, and a server's threads come
and go; so two threads of this module's own keep one sandbox each, and no more than
two pages are ever rendered at once.
"""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from flywheel.api.access import store
from flywheel.document import Label, Verdict
from flywheel.errors import Rejected
from flywheel.intake import JPEG, PNG
from flywheel.settings import settings

if TYPE_CHECKING:
    from flywheel.pdf import Sandbox

JPEG_QUALITY = 88


class PictureFormat(StrEnum):
    """Encoding of a picture."""

    PNG = "png"
    JPEG = "jpeg"

    @property
    def media_type(self) -> str:
        return {PictureFormat.PNG: PNG, PictureFormat.JPEG: JPEG}[self]


@dataclass(frozen=True, slots=True)
class Picture:
    """Order for a picture: a page of a stored document at `dpi`. With `label` it is drawn on the page, under
    a header that names the document and the verdict."""

    blob_key: str
    number: int
    dpi: float
    format: PictureFormat
    label: Label | None = None
    verdict: Verdict | None = None
    document: str = ""


def page_image(picture: Picture) -> bytes:
    """Render and encode a picture. Raises Rejected for a page that fails, BlobMissing, StoreUnavailable."""
    return _threads().submit(_draw, picture).result()


def close_renderers() -> None:
    """End the children and the threads."""
    if _threads.cache_info().currsize:
        _threads().shutdown(wait=True)
        _threads.cache_clear()
    with _lock:
        while _sandboxes:
            _sandboxes.pop().close()


_own = threading.local()
_lock = threading.Lock()
_sandboxes: list[Sandbox] = []


@lru_cache(maxsize=1)
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2, thread_name_prefix="page-image")


def _draw(picture: Picture) -> bytes:
    from PIL import Image

    from flywheel.pdf import PageFailure

    with store().open_local(picture.blob_key) as path:
        (rendered,) = _sandbox().render(path, [picture.number], picture.dpi)
    if isinstance(rendered, PageFailure):
        raise Rejected(rendered.reason, rendered.detail)
    image = Image.fromarray(rendered.image)
    if picture.label is not None:
        from flywheel.pictures import annotate

        image = annotate(
            rendered.image,
            picture.label,
            rendered.dpi,
            verdict=picture.verdict,
            file=picture.document,
            page=picture.number,
        )
    out = io.BytesIO()
    options = {"quality": JPEG_QUALITY} if picture.format is PictureFormat.JPEG else {}
    image.save(out, picture.format.upper(), **options)
    return out.getvalue()


def _sandbox() -> Sandbox:
    from flywheel.pdf import Limits, Sandbox

    if not hasattr(_own, "sandbox"):
        _own.sandbox = Sandbox(Limits.of(settings()))
        with _lock:
            _sandboxes.append(_own.sandbox)
    sandbox: Sandbox = _own.sandbox
    return sandbox
