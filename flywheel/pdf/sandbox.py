"""The sandbox: MuPDF behind a process boundary, one page at a time under a wall deadline.

A warm child serves many documents. When it hangs it is killed, when it dies it is
replaced, and only the page it was on fails; a page on which a child died is tried
once more in a fresh child, since the first may have been killed from outside.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar

import numpy as np

from flywheel.document import Character, DocumentFacts, PageFacts
from flywheel.errors import Rejected
from flywheel.intake import IMAGES, JPEG, PDF, PNG, READABLE, SNIFFED, TIFF, media_type, sniff
from flywheel.pdf.arrangement import arranged
from flywheel.pdf.limits import Limits
from flywheel.pdf.messages import ConnectionLost, Message
from flywheel.pdf.process import PdfChild
from flywheel.pdf.results import PageFailure, PageImage, PageLayout, PageText
from flywheel.pdf.right_to_left import with_own_lines
from flywheel.pdf.structure import page_characters, page_layout, page_text
from flywheel.reasons import Reason
from flywheel.text.cleaning import clean

Result = TypeVar("Result")
METADATA_LENGTH = 300
DETAIL_LENGTH = 500
FORMATS = {PNG: "PNG", JPEG: "JPEG", TIFF: "TIFF"}  # names for people


class Sandbox:
    """Reader of PDF, PNG, JPEG and TIFF files in a killable child.

    One request at a time: finish or close an iterator before the next call. `on_page`,
    when given, is called with (page number, child's pid) before each page is started,
    and pages are then requested one by one.

    Every method raises Rejected with a reason when the document itself cannot be read,
    and SetupError when no child can be started. What is wrong with one page comes as
    that page's PageFailure.
    """

    def __init__(self, limits: Limits | None = None, on_page: Callable[[int, int], None] | None = None) -> None:
        self._limits = limits or Limits()
        self._on_page = on_page
        self._child: PdfChild | None = None
        self._busy = False
        self._ending = ""  # of the last child that died

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id, None when none runs."""
        return self._child.pid if self._child else None

    def close(self) -> None:
        """Kill the child, if one runs. The sandbox may be used again; it will start another."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def inspect(self, path: Path, *, name: str | None = None) -> DocumentFacts:
        """Facts of the file, its number of pages among them; a broken or foreign file is Rejected.

        `name` is the name the file was submitted under (by default the path's), which tells
        a foreign file that claims to be a PDF from one of an unsupported type.
        """
        media = _media_type(path, name or path.name)
        message = self._request({"do": "inspect", "path": str(path), "media": media})
        return _document_facts(message.head, media)

    def facts(self, path: Path, numbers: Iterable[int]) -> Iterator[PageFacts | PageFailure]:
        """Facts of the pages (0-based), in the order asked for."""
        for page in self.text(path, numbers, layout=False):
            yield page.facts if isinstance(page, PageText) else page

    def text(self, path: Path, numbers: Iterable[int], *, layout: bool) -> Iterator[PageText | PageFailure]:
        """Text layers, in the order asked for; with `layout`, in regions found by MuPDF's layout model.

        A page on which only the model fails comes in the file's own blocks. With `layout` all pages are
        read before the first is handed out; `layout` for those that turn out to need it is cheaper.
        """
        if not layout:
            yield from self._texts(path, numbers)
            return
        pages = list(self._texts(path, numbers))
        wanted = [page.facts.number for page in pages if isinstance(page, PageText) and page.needs_layout]
        found = {answer.number: answer for answer in self.layout(path, wanted)}
        for page in pages:
            answer = found.get(page.facts.number) if isinstance(page, PageText) else None
            yield arranged(page, answer) if isinstance(page, PageText) and isinstance(answer, PageLayout) else page

    def _texts(self, path: Path, numbers: Iterable[int]) -> Iterator[PageText | PageFailure]:
        for number, message in self._each({"do": "text", "path": str(path)}, numbers):
            yield message if isinstance(message, PageFailure) else _decoded(page_text, number, message)

    def layout(self, path: Path, numbers: Iterable[int]) -> Iterator[PageLayout | PageFailure]:
        """Regions found by MuPDF's layout model, in the order asked for, for pages that were read before."""
        for number, message in self._each({"do": "layout", "path": str(path)}, numbers):
            yield message if isinstance(message, PageFailure) else _decoded(page_layout, number, message)

    def characters(self, path: Path, number: int) -> list[Character]:
        """Each character of the page's text layer that is seen, once, with its origin on the baseline, as shown.

        Of a layer that is mainly hidden all characters, as its label has them.

        Raises Rejected with the page's reason when the page cannot be read.
        """
        ((_, message),) = self._each({"do": "characters", "path": str(path)}, [number])
        if isinstance(message, PageFailure):
            raise Rejected(message.reason, message.detail)
        found = _decoded(_characters, number, message)
        if isinstance(found, PageFailure):
            raise Rejected(found.reason, found.detail)
        return found

    def render(self, path: Path, numbers: Iterable[int], dpi: float) -> Iterator[PageImage | PageFailure]:
        """Gray images of the pages, at `dpi` or as close below it as the pixel limit allows."""
        head = {"do": "render", "path": str(path), "dpi": dpi}
        for number, message in self._each(head, numbers):
            yield message if isinstance(message, PageFailure) else _decoded(_page_image, number, message)

    def _running_child(self) -> PdfChild:
        if self._child is None:
            self._child = PdfChild(self._limits)
        return self._child

    def _request(self, head: dict[str, Any]) -> Message:
        """The answer to a question about a document as a whole; a child that dies over it is replaced once."""
        self._begin_request()
        try:
            message = self._open_document(head) or self._open_document(head) or self._reject_document(head)
        finally:
            self._busy = False
        self._recycle()
        return message

    def _each(self, head: dict[str, Any], numbers: Iterable[int]) -> Iterator[tuple[int, Message | PageFailure]]:
        """Every page's answer in turn, over as many children as it takes."""
        self._begin_request()
        waiting = deque(numbers)
        head = head | {"media": _media_type(Path(head["path"])) if waiting else ""}
        crashed_on = -1  # the page on which the last child died
        try:
            while waiting:
                for answer in self._batch(head, waiting):
                    if _is_crash(answer) and crashed_on != waiting[0]:
                        crashed_on = waiting[0]  # once more, in a fresh child
                        continue
                    yield waiting.popleft(), answer or self._reject_document(head)
        except BaseException:
            self.close()  # an abandoned child may be in the middle of a page
            raise
        finally:
            self._busy = False
        self._recycle()

    def _batch(self, head: dict[str, Any], waiting: deque[int]) -> Iterator[Message | PageFailure | None]:
        """Answers of one child, up to its death; the caller removes answered pages from `waiting`.

        None stands for a child that died before it had the document open.
        """
        numbers = [waiting[0]] if self._on_page else list(waiting)
        if self._on_page:
            self._on_page(numbers[0], self._running_child().pid)
        if self._open_document(head | {"numbers": numbers}) is None:
            yield PageFailure(numbers[0], Reason.PAGE_CRASHED, self._ending) if self._on_page else None
            return
        child = self._running_child()
        for number in numbers:
            try:
                message = child.receive(self._limits.page_seconds)
            except TimeoutError:
                self.close()
                yield PageFailure(number, Reason.PAGE_TIMEOUT, f"not done in {self._limits.page_seconds:g} s")
                return
            except ConnectionLost:
                self._reap_child()
                yield PageFailure(number, Reason.PAGE_CRASHED, self._ending)
                return
            yield _failure(number, message) if message.head.get("is") == "failure" else message

    def _open_document(self, head: dict[str, Any]) -> Message | None:
        """Send a request and take the message about the document; None when the child died over it."""
        child = self._running_child()
        child.documents.add(head["path"])
        try:
            child.send(head)
            message = child.receive(self._limits.document_seconds)
        except TimeoutError:
            self.close()
            detail = f"not open after {self._limits.document_seconds:g} s"
            raise Rejected(_unreadable(head["media"]), detail) from None
        except ConnectionLost:
            self._reap_child()
            return None
        if message.head.get("is") != "document":
            raise _rejection(message.head)
        return message

    def _reject_document(self, head: dict[str, Any]) -> NoReturn:
        raise Rejected(_unreadable(head["media"]), f"opening it ends the PDF library: {self._ending}")

    def _reap_child(self) -> None:
        if self._child is not None:
            self._ending = self._child.reap()
            self._child = None

    def _recycle(self) -> None:
        child = self._child
        if child is not None and (
            len(child.documents) >= self._limits.recycle_documents
            or child.resident_bytes > self._limits.recycle_bytes
        ):
            self.close()

    def _begin_request(self) -> None:
        if self._busy:
            raise RuntimeError("a sandbox serves one request at a time; finish the other iterator first")
        self._busy = True


def _decoded(decode: Callable[[int, Message], Result], number: int, message: Message) -> Result | PageFailure:
    """The message as a result, or a failure where the child's answer makes no sense."""
    try:
        return decode(number, message)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        return PageFailure(number, Reason.PAGE_UNREADABLE, f"the child's answer makes no sense: {error!r}")


def _media_type(path: Path, name: str | None = None) -> str:
    """The file's media type by its bytes; raises Rejected for what no reader here opens.

    Without a name the caller is past inspection, and what is not an image is opened as a PDF.
    """
    if name is not None:
        media = media_type(path, name)
        if media not in READABLE:
            raise Rejected(Reason.UNSUPPORTED_TYPE, media)
        return media
    with path.open("rb") as file:
        start = file.read(SNIFFED)
    if not start:
        raise Rejected(Reason.EMPTY_FILE)
    found = sniff(start)
    return found if found in IMAGES else PDF


def _unreadable(media: str) -> Reason:
    return Reason.IMAGE_UNREADABLE if media in IMAGES else Reason.PDF_UNREADABLE


def _document_facts(head: dict[str, Any], media: str) -> DocumentFacts:
    return DocumentFacts(
        pages=int(head["pages"]),
        is_pdf=media == PDF,
        repaired=bool(head["repaired"]),
        owner_locked=bool(head["owner_locked"]),
        format=FORMATS.get(media) or clean(str(head["format"]))[:100],
        title=clean(str(head["title"]))[:METADATA_LENGTH],
        producer=clean(str(head["producer"]))[:METADATA_LENGTH],
    )


def _rejection(head: dict[str, Any]) -> Rejected:
    return Rejected(_reason(head, Reason.PDF_UNREADABLE), clean(str(head.get("detail", "")))[:DETAIL_LENGTH])


def _failure(number: int, message: Message) -> PageFailure:
    detail = clean(str(message.head.get("detail", "")))[:DETAIL_LENGTH]
    return PageFailure(number, _reason(message.head, Reason.PAGE_UNREADABLE), detail)


def _is_crash(answer: Message | PageFailure | None) -> bool:
    return answer is None or (isinstance(answer, PageFailure) and answer.reason is Reason.PAGE_CRASHED)


def _reason(head: dict[str, Any], otherwise: Reason) -> Reason:
    return Reason.__members__.get(str(head.get("reason")).upper(), otherwise)


def _characters(number: int, message: Message) -> list[Character]:
    del number
    return with_own_lines(page_characters(message.head["text"], message.body, message.head["fonts"]))


def _page_image(number: int, message: Message) -> PageImage:
    head = message.head
    image = np.frombuffer(message.body, dtype=np.uint8).reshape(int(head["rows"]), int(head["columns"]))
    return PageImage(number, image, float(head["dpi"]), float(head["width"]), float(head["height"]))
