"""Documents inside the child: opened, checked, and recovered as far as they are damaged.

The only modules that import pymupdf are this one, pages.py, glyphs.py, suspicion.py and
layout.py, and they run in the child alone.
"""

from __future__ import annotations

import os
import re
import sys
from typing import Any

# `import pymupdf` would load the layout models, 0.4 s and 60 MB, for children that never use them.
sys.modules.setdefault("pymupdf.layout", None)  # type: ignore[arg-type]
import pymupdf  # noqa: E402

from flywheel.pdf import pages  # noqa: E402
from flywheel.pdf.limits import Limits  # noqa: E402
from flywheel.pdf.refusal import Refusal  # noqa: E402
from flywheel.reasons import Reason  # noqa: E402

IMAGE_TYPES = {"image/png": "png", "image/jpeg": "jpeg", "image/tiff": "tiff"}
MEMORY = re.compile(r"malloc|calloc|realloc|out of memory|bad_alloc", re.IGNORECASE)
DAMAGED_IMAGE = re.compile(r"premature end|truncat|read error|bogus|corrupt|error: jpeg", re.IGNORECASE)
QUOTED_PATH = re.compile(r"""(?:file )?(['"])the file\1""")  # MuPDF: Failed to open file '/...'
PATH = re.compile(r"(?<![\w/.])/[\w.+@%=-]+(?:/[\w.+@%=-]+)+/?")
ENCRYPTED = re.compile(r"encrypt|password", re.IGNORECASE)
REPAIRED_BYTES = 256 << 20  # larger files are not read into memory to be repaired
DECLARED_LIMIT = 20  # a damaged file may declare this many times the pages found, not more


class DocumentReader:
    """Reader of at most one open document at a time, which answers requests about it in messages."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._key: tuple[str, int, int, int] | None = None
        self._document: Any = None
        self._pages = 0
        self._repaired = False
        self._image = False
        pymupdf.TOOLS.set_icc(False)  # a gray scan to RGB: 15 pages/s with profiles, 149 without
        pymupdf.TOOLS.mupdf_display_errors(False)
        pymupdf.TOOLS.mupdf_display_warnings(False)

    def open(self, path: str, media: str, inspect: bool) -> dict[str, Any]:
        """The message about the document: {"is": "document", ...} or {"is": "refused", ...}."""
        try:
            self._open(path, media)
            if inspect and self._image:
                pages.check_image(self._document[0], self._limits)
            return self._facts()
        except Exception as error:  # whatever MuPDF throws is the document's fault
            self._close()
            reason, detail = explain(error, image=media in IMAGE_TYPES, document=True)
            return {"is": "refused", "reason": reason.value, "detail": without_paths(detail, path)}

    def page(self, number: int, request: dict[str, Any]) -> tuple[Any, ...]:
        """A page's message: head, then bodies."""
        try:
            return self._page(number, request)
        except Exception as error:
            reason, detail = explain(error, image=self._image, document=False)
            if self._repaired and reason is Reason.PAGE_UNREADABLE:
                reason = Reason.PAGE_CONTENT_MISSING
            detail = without_paths(detail, self._path)
            return ({"is": "failure", "number": number, "reason": reason.value, "detail": detail},)

    def _page(self, number: int, request: dict[str, Any]) -> tuple[Any, ...]:
        if not 0 <= number < self._pages:
            raise Refusal(Reason.PAGE_UNREADABLE, f"page {number + 1} of {self._pages}")
        if number >= self._document.page_count:
            raise Refusal(Reason.PAGE_CONTENT_MISSING, "the page's object is gone")
        page = self._document.load_page(number)
        pymupdf.TOOLS.mupdf_warnings()  # empties the list, and ends a count of repeats
        if self._document.is_pdf and (missing := missing_parts(page, resources=self._repaired)):
            raise Refusal(Reason.PAGE_CONTENT_MISSING, missing)
        pages.check_size(page, self._limits)
        message = pages.ANSWERS[request["do"]](page, request, self._limits)
        self._check_warnings(pymupdf.TOOLS.mupdf_warnings())
        return message

    def _check_warnings(self, warnings: str) -> None:
        """MuPDF draws what it can and only warns of the rest; a page with parts missing is no label."""
        last = warnings.rsplit("\n", 1)[-1][:200]
        if MEMORY.search(warnings):
            raise Refusal(Reason.PAGE_MEMORY, last)
        if self._image and DAMAGED_IMAGE.search(warnings):
            raise Refusal(Reason.IMAGE_UNREADABLE, last)
        if self._repaired and warnings:
            raise Refusal(Reason.PAGE_CONTENT_MISSING, last)

    @property
    def _path(self) -> str:
        return self._key[0] if self._key else ""

    def _open(self, path: str, media: str) -> None:
        status = os.stat(path)
        key = (path, status.st_ino, status.st_size, status.st_mtime_ns)
        if key == self._key:
            return
        self._close()
        self._image = media in IMAGE_TYPES
        self._document = pymupdf.open(path, filetype=IMAGE_TYPES[media]) if self._image else open_pdf(path)
        if self._document.needs_pass:
            raise Refusal(Reason.PDF_ENCRYPTED)
        if not self._image and not self._document.is_pdf:
            raise Refusal(Reason.NOT_PDF, str((self._document.metadata or {}).get("format", "")))
        self._repaired = bool(self._document.is_pdf and self._document.is_repaired)
        self._pages = self._document.page_count if self._image else self._count()
        self._key = key

    def _count(self) -> int:
        """The number of pages, believed only as far as the page tree bears it out."""
        try:
            declared = int(self._document.page_count)
        except Exception as error:
            if self._repaired:
                return self._recover()
            raise Refusal(Reason.PDF_BAD_PAGE_TREE, str(error)) from error
        if declared == 0 and self._repaired:
            return self._recover()
        if declared == 0:
            raise Refusal(Reason.PDF_NO_PAGES)
        if not self._repaired:
            self._check_tree(declared)
        return declared

    def _check_tree(self, declared: int) -> None:
        found = reachable_pages(self._document, declared)
        if found != declared:
            raise Refusal(Reason.PDF_BAD_PAGE_TREE, f"{declared} pages declared, {found} found")

    def _recover(self) -> int:
        """Give a damaged file a new page tree of the page objects that are left.

        Returns the pages it declared to have, where that is believable, else those left.
        """
        document = self._document
        left = [
            number
            for number in range(1, document.xref_length())
            if document.xref_get_key(number, "Type") == ("name", "/Page")
        ]
        if not left:
            raise Refusal(Reason.PDF_UNREADABLE, "no page is left in the file")
        declared = declared_pages(document)
        write_page_tree(document, left)
        return declared if len(left) < declared <= len(left) * DECLARED_LIMIT else len(left)

    def _facts(self) -> dict[str, Any]:
        metadata = self._document.metadata or {}
        return {
            "is": "document",
            "pages": self._pages,
            "repaired": self._repaired,
            "owner_locked": bool(metadata.get("encryption")),
            "format": metadata.get("format") or "",
            "title": metadata.get("title") or "",
            "producer": metadata.get("producer") or "",
        }

    def _close(self) -> None:
        if self._document is not None:
            self._document.close()
        self._document = None
        self._key = None
        pymupdf.TOOLS.store_shrink(100)


def explain(error: Exception, *, image: bool, document: bool) -> tuple[Reason, str]:
    """The reason behind whatever was thrown, and its words."""
    words = str(error)
    if isinstance(error, Refusal):
        return error.reason, error.detail
    if isinstance(error, MemoryError) or MEMORY.search(words):
        return Reason.PAGE_MEMORY, words
    if image and isinstance(error, pymupdf.mupdf.FzErrorLimit):
        return Reason.IMAGE_LIMIT, words
    if image:
        return Reason.IMAGE_UNREADABLE, words
    if document:
        return Reason.PDF_ENCRYPTED if ENCRYPTED.search(words) else Reason.PDF_UNREADABLE, words
    return Reason.PAGE_UNREADABLE, words


def without_paths(words: str, path: str) -> str:
    """The words without `path` or any other local file's, which say nothing of the file that was submitted."""
    words = words.replace(path, "the file") if path else words
    return QUOTED_PATH.sub("the file", PATH.sub("the file", words))


def open_pdf(path: str) -> Any:
    """MuPDF repairs a file that ends between two objects, and gives up on one that ends inside one."""
    try:
        return pymupdf.open(path, filetype="pdf")
    except pymupdf.FileDataError:
        if os.path.getsize(path) > REPAIRED_BYTES:
            raise
        with open(path, "rb") as file:
            data = file.read()
        end = data.rfind(b"endobj")
        if end < 0:
            raise
        return pymupdf.open(stream=data[: end + len(b"endobj")], filetype="pdf")


def missing_parts(page: Any, *, resources: bool) -> str:
    """Name, in words, a part that the page refers to and the file no longer holds; "" when all is there.

    Content streams always; fonts and images too when asked, for damaged files.
    """
    mupdf = pymupdf.mupdf
    node = pymupdf._as_pdf_page(page).obj()
    if not mupdf.pdf_is_dict(node):
        return "the page's object is gone"
    contents = mupdf.pdf_dict_gets(node, "Contents")
    parts = (
        [mupdf.pdf_array_get(contents, k) for k in range(mupdf.pdf_array_len(contents))]
        if mupdf.pdf_is_array(contents)
        else [contents]
        if contents.m_internal
        else []
    )
    if not all(mupdf.pdf_is_stream(part) for part in parts):
        return "a content stream is gone"
    if not resources:
        return ""
    held = mupdf.pdf_dict_gets_inheritable(node, "Resources")
    if held.m_internal and not mupdf.pdf_is_dict(held):
        return "the page's resources are gone"
    for kind in ("Font", "XObject"):
        named = mupdf.pdf_dict_gets(held, kind)
        for k in range(mupdf.pdf_dict_len(named) if mupdf.pdf_is_dict(named) else 0):
            if not mupdf.pdf_is_dict(mupdf.pdf_dict_get_val(named, k)):
                return f"{kind} {mupdf.pdf_to_name(mupdf.pdf_dict_get_key(named, k))} is gone"
    return ""


def reachable_pages(document: Any, enough: int) -> int:
    """Pages reachable in the page tree; stops counting past `enough`, and at a node seen twice."""
    mupdf = pymupdf.mupdf
    pdf = pymupdf._as_pdf_document(document)
    root = mupdf.pdf_dict_getp(mupdf.pdf_trailer(pdf), "Root/Pages")
    found, open_nodes, seen = 0, [root], set()
    while open_nodes and found <= enough:
        node = open_nodes.pop()
        kids = mupdf.pdf_dict_gets(node, "Kids")
        if not mupdf.pdf_is_array(kids):
            found += mupdf.pdf_is_dict(node)
            continue
        number = mupdf.pdf_to_num(node)
        if number in seen:
            return -1
        seen.add(number)
        open_nodes.extend(mupdf.pdf_array_get(kids, k) for k in range(mupdf.pdf_array_len(kids)))
    return found


def declared_pages(document: Any) -> int:
    """The largest /Count of any page tree node left; 0 when none is."""
    counts = [0]
    for number in range(1, document.xref_length()):
        if document.xref_get_key(number, "Type") == ("name", "/Pages"):
            kind, value = document.xref_get_key(number, "Count")
            if kind == "int":
                counts.append(int(value))
    return max(counts)


def write_page_tree(document: Any, page_numbers: list[int]) -> None:
    """Write a flat page tree over these objects, and a catalogue that leads to it (in memory)."""
    tree, catalogue = document.get_new_xref(), document.get_new_xref()
    kids = " ".join(f"{number} 0 R" for number in page_numbers)
    document.update_object(tree, f"<</Type/Pages/Count {len(page_numbers)}/Kids[{kids}]>>")
    document.update_object(catalogue, f"<</Type/Catalog/Pages {tree} 0 R>>")
    document.xref_set_key(-1, "Root", f"{catalogue} 0 R")
