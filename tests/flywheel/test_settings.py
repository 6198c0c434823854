"""Settings: each is read from the environment, explained, and in the README's table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from flywheel.settings import DeviceRule, Settings

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_explained_and_in_the_readme(name: str) -> None:
    assert Settings.model_fields[name].description
    # One row may hold several: `FLYWHEEL_READER_TOKENS`, `_BATCH`.
    in_table = re.findall(r"`((?:FLYWHEEL)?_[A-Z0-9_]+)`", README.read_text())
    assert any(f"FLYWHEEL_{name.upper()}".endswith(listed) for listed in in_table)


def test_a_word_outside_a_closed_vocabulary_is_refused_with_the_words_there_are(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLYWHEEL_DEVICE_RULE", "together")
    assert Settings().device_rule is DeviceRule.TOGETHER  # type: ignore[call-arg]
    monkeypatch.setenv("FLYWHEEL_DEVICE_RULE", "labelling-first")
    with pytest.raises(ValidationError, match="'training-first' or 'together'"):
        Settings()  # type: ignore[call-arg]
