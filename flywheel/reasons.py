"""Reasons for verdicts and states of pages and documents: stable codes with explanations for people.

A reason is added by one line here, of the code and its explanation, and by the check that gives it. The code
never changes (rows, scripts and tests hold it); the explanation may be reworded.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A stable code with an `explanation` for people."""

    explanation: str

    def __new__(cls, value: str, explanation: str) -> Reason:
        member = str.__new__(cls, value)
        member._value_ = value
        member.explanation = explanation
        return member

    @classmethod
    def of(cls, value: str) -> Reason:
        """The reason with this code; raises ValueError for an unknown one."""
        for member in cls:
            if member.value == value:
                return member
        raise ValueError(f"no reason is called {value!r}")

    # A label that passed
    ACCEPTED = "accepted", "the text agrees with the ink, the script and the orthography"
    BLANK = "blank", "no ink and no text: an empty page, labelled as such"
    CORRECTED = "corrected", "a person wrote or confirmed this label"
    REFUSED = "refused", "a person looked and refused this label"

    # Text layers (the gate)
    NO_TEXT_LAYER = "no_text_layer", "no text layer; the page must be read from its image"
    IMAGE_WITH_TEXT = "image_with_text", "an image under a hidden text layer, which some program read off it"
    TURNED_TEXT = "turned_text", "text that is shown upside down or mirrored"
    GARBLED_CHARACTERS = (
        "garbled_characters",
        "private-use, control or replacement characters in the text layer",
    )
    LEGACY_ENCODING = (
        "legacy_encoding",
        "Latin letters and signs in place of another script, from a font with an encoding of its own",
    )
    WRONG_SCRIPT = "wrong_script", "the text is in another script than the declared language uses"
    FOREIGN_LETTERS = "foreign_letters", "letters of another script stand inside words"
    VERTICAL_TEXT = "vertical_text", "most of the text runs from top to bottom, which no reader of lines can read"
    UNORDERED_TEXT = (
        "unordered_text",
        "words that climb and fall, as in Nastaliq: their order is not told",
    )
    TEXT_WITHOUT_INK = "text_without_ink", "text where the page shows no ink"
    INK_WITHOUT_TEXT = "ink_without_text", "ink that the text does not account for"
    TOO_MUCH_TEXT = "too_much_text", "more text than the ink could hold"
    LAYER_DISAGREES = "layer_disagrees", "the text layer says something else than the page shows"
    BAD_ORTHOGRAPHY = "bad_orthography", "letter combinations that the script does not allow"

    # Readings (the gate, after recognition)
    LOW_CONFIDENCE = "low_confidence", "the reader was unsure of too many characters"
    PICTURE = "picture", "most of the page is a picture, not text"
    NO_LINES = "no_lines", "ink, but no text line was found"
    REPETITION = "repetition", "the reading repeats itself in a loop"
    TRUNCATED = "truncated", "the reader's answer was cut off before its end"
    BROKEN_MARKUP = "broken_markup", "much of the reader's answer is no sound markup"
    BOX_OUTSIDE_PAGE = "box_outside_page", "the reader found text beyond the edges of the page"
    RECITED = "recited", "the reader said the same when most of the page was hidden from it"
    READER_REFUSED = "reader_refused", "the reader would not take this page"

    # Waiting
    NO_READER = "no_reader", "no promoted checkpoint reads this script yet; a round will"

    # Documents and pages in quarantine
    EMPTY_FILE = "empty_file", "the file has no bytes"
    UNSUPPORTED_TYPE = "unsupported_type", "not a PDF, PNG, JPEG, TIFF or ZIP"
    NOT_PDF = "not_pdf", "named .pdf, but the bytes are something else"
    PDF_UNREADABLE = "pdf_unreadable", "no page could be recovered from the bytes"
    PDF_NO_PAGES = "pdf_no_pages", "a PDF without pages"
    PDF_BAD_PAGE_TREE = "pdf_bad_page_tree", "the page tree contradicts itself"
    PDF_ENCRYPTED = "pdf_encrypted", "a password is needed to open the file"
    IMAGE_UNREADABLE = "image_unreadable", "the image could not be decoded"
    PAGE_CONTENT_MISSING = (
        "page_content_missing",
        "the file is truncated and this page's content is gone",
    )
    PAGE_TOO_LARGE = "page_too_large", "the page's size is beyond any paper"
    PAGE_TIMEOUT = "page_timeout", "the page did not finish inside its time limit"
    PAGE_MEMORY = "page_memory", "the page needs more memory than its limit"
    PAGE_CRASHED = "page_crashed", "the page crashes the PDF library"
    PAGE_UNREADABLE = "page_unreadable", "the PDF library refuses this page"
    IMAGE_LIMIT = "image_limit", "an image on the page is larger than the pixel limit"
    ATTEMPTS_EXHAUSTED = "attempts_exhausted", "the worker was lost on this every time it was tried"
    BLOB_MISSING = "blob_missing", "the stored file is gone"
    BLOB_CORRUPT = "blob_corrupt", "the stored file no longer matches its hash"
    BAD_SETTINGS = "bad_settings", "what this work was asked to do cannot be done; the detail says why"
    INTERNAL_ERROR = "internal_error", "an unexpected error; the detail and the log have it"

    # Intake
    TOO_LARGE = "too_large", "the upload is larger than the limit"
    ARCHIVE_UNSAFE_PATH = "archive_unsafe_path", "a member's name leaves the archive"
    ARCHIVE_LIMIT = "archive_limit", "the archive unpacks to too much"
    ARCHIVE_UNREADABLE = "archive_unreadable", "the archive is encrypted or damaged"
    INVALID_TEXT = "invalid_text", "a name holds characters that cannot be stored"
    UNSAFE_MODEL_FORMAT = "unsafe_model_format", "weights must be safetensors"

    # Patches that were dropped
    PATCH_EMPTY = "patch_empty", "a detected line that holds no character"
    PATCH_SPLIT = "patch_split", "a character that two detected lines share between them"
    PATCH_MERGED = "patch_merged", "a detected line that spans several text-layer lines"
    PATCH_CLIPPED = "patch_clipped", "characters stick out of the detected line"
    PATCH_FOREIGN = "patch_foreign", "the picture shows a character that is not in the line's text"
    PATCH_BARE = "patch_bare", "characters of the line's text that the picture does not show"
    PATCH_OVERLAP = "patch_overlap", "characters one over the other, as in text that is drawn twice"
    PATCH_CHARSET = (
        "patch_charset",
        "replacement, private-use, control or unassigned characters in the line's text",
    )
    PATCH_UNSURE = "patch_unsure", "a reading's line that its reader was not sure enough of"
    PATCH_TURNED = "patch_turned", "text that stands sideways, upside down or mirrored"
    PATCH_SMALL = "patch_small", "too small to read"
    PATCH_ORDER = "patch_order", "text from right to left whose order its ink does not tell"
    PATCH_VERTICAL = "patch_vertical", "a line that runs from top to bottom"
    PATCH_LONG = "patch_long", "more characters than the line's width can hold"


def explanation(code: str | None) -> str:
    """Explanation of a code for people; empty for None and for a code of another version."""
    return Reason.of(code).explanation if code in frozenset(Reason) else ""
