"""Patches of pages in many faces say what they show: judged by the drawing, not by the text layer.

The pages and the judge are those of benchmarks/patch_truth.py, which measures the same on more of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.patch_truth import SCRIPTS, Clusters, Script, Tally, drawn, judge
from flywheel.pdf import Sandbox
from models.lines.detector import LineDetector
from models.lines.patches import cut


@pytest.fixture(scope="module")
def detector() -> LineDetector:
    return LineDetector(threads=1)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_no_patch_lacks_a_character_that_it_shows_or_has_one_that_it_does_not(
    script: Script, detector: LineDetector, tmp_path: Path
) -> None:
    tally = Tally()
    with Sandbox() as sandbox:
        for page, image, characters, face in drawn(script, 1, 20, tmp_path, sandbox):
            clusters = Clusters(page, face, image)
            assert clusters.agreement(image.image) > 0.97  # the judge sees what the page shows
            lines = detector.find(image.image, image.dpi)
            report = cut(image.image, image.dpi, characters, lines)
            judge(tally, script, page, clusters, lines, report, 3)
    assert (tally.lacking, tally.too_many, tally.order) == (0, 0, 0), tally.examples
    assert tally.patches >= 0.8 * tally.lines, tally.dropped
