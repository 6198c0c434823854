"""Language of documents, as a condition of queries; `flywheel.text.tags.covers` says the same of two tags."""

from __future__ import annotations

from sqlalchemy import ColumnElement

from flywheel.database.tables import DocumentRow


def in_language(language: str) -> ColumnElement[bool]:
    """Condition on DocumentRow: it is in a language, or in a script's or region's form of it."""
    return (DocumentRow.language == language) | DocumentRow.language.startswith(f"{language}-", autoescape=True)
