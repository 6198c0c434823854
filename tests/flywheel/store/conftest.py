"""The stores that every claim about stores is made of: on disk and on a real S3 server."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from flywheel.store import Store, open_store


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "disk":
        return open_store(f"file://{quote(str(tmp_path / 'a store'))}", tmp_path / "work")
    return open_store(request.getfixturevalue("s3_url"), tmp_path / "work")
