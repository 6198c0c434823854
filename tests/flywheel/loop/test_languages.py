"""Claims about the language of documents in queries."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow
from flywheel.loop.languages import in_language
from flywheel.text.tags import covers
from tests.flywheel.rows import make_document

TAGS = ("zh", "zh-Hans", "zh-Hans-CN", "zh-Hant", "zhx", "z%", "bo", None)


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("language", ["zh", "zh-Hans", "bo", "z%", "%"])
def test_a_query_and_the_tags_agree_on_what_is_in_a_language(language: str) -> None:
    for number, tag in enumerate(TAGS):
        make_document(1, name=f"{number}.pdf", language=tag)
    with transaction() as session:
        found = session.execute(select(DocumentRow.language).where(in_language(language))).scalars().all()
    assert sorted(map(str, found)) == sorted(str(tag) for tag in TAGS if covers(language, tag))
