"""The error of the PDF child's own code: a document or a page that cannot be used."""

from __future__ import annotations

from flywheel.reasons import Reason


class Refusal(Exception):
    """A document or page cannot be used, for `reason`; `detail` is what was seen."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
