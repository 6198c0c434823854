"""Claims about language tags."""

from __future__ import annotations

import pytest

from flywheel.text.tags import canonical, covers


@pytest.mark.parametrize(
    ("tag", "usual"), [("BO", "bo"), ("ZH-hans_cn", "zh-Hans-CN"), ("pt-br", "pt-BR"), ("es-419", "es-419")]
)
def test_a_tag_has_one_usual_form(tag: str, usual: str) -> None:
    assert canonical(tag) == usual
    assert canonical(usual) == usual


def test_a_language_covers_its_own_forms_and_no_language_that_only_begins_alike() -> None:
    assert covers("zh", "zh")
    assert covers("zh", "zh-Hans-CN")
    assert covers("zh-Hans", "zh-Hans-CN")
    assert not covers("zh-Hans", "zh")
    assert not covers("zh-Hans", "zh-Hant")
    assert not covers("bo", "bos")
    assert not covers("bo", None)
