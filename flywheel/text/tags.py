"""BCP-47 language tags in their one usual form, so that `BO` and `bo` are the same language."""

from __future__ import annotations


def canonical(tag: str) -> str:
    """Language in small letters, script with a capital, region in capitals: "ZH-hans_cn" -> "zh-Hans-CN"."""
    first, *rest = tag.replace("_", "-").split("-")
    return "-".join([first.lower(), *map(_subtag, rest)])


def covers(language: str, tag: str | None) -> bool:
    """True when `tag` is the language, or a script's or region's form of it: "zh" covers "zh-Hans-CN"."""
    return tag is not None and (tag == language or tag.startswith(f"{language}-"))


def _subtag(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 and part.isalpha() else part.lower()
