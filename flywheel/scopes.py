"""Scopes of API keys."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """Permission of an API key; `admin` includes all others."""

    READ = "read"
    SUBMIT = "submit"
    REVIEW = "review"
    TRAIN = "train"
    ADMIN = "admin"
