"""The guide of CONTRIBUTING.md, followed: a copy of the project gets one more of each kind, and works with it.

Each test changes the files that the guide lists for its kind, and no others.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Copy:
    """A copy of the rooms; `touched` are the files that were added or changed."""

    directory: Path
    touched: set[str]

    def add(self, file: str, text: str) -> None:
        """Write a new file."""
        assert not (self.directory / file).exists()
        (self.directory / file).write_text(text)
        self.touched.add(file)

    def insert(self, file: str, text: str, *, before: str) -> None:
        """Put lines before the first line that matches, as far indented as it."""
        path = self.directory / file
        match = re.search(rf"^( *)(?:{before})", path.read_text(), re.M)
        assert match is not None, f"nothing in {file} matches {before}"
        indented = "".join(f"{match[1]}{line}\n" if line else "\n" for line in text.splitlines())
        whole = path.read_text()
        path.write_text(whole[: match.start()] + indented + whole[match.start() :])
        self.touched.add(file)

    def run(self, code: str, **environment: str) -> list[str]:
        """Run Python code that imports from the copy; returns the lines of its output."""
        values = {**os.environ, **environment, "PYTHONPATH": str(self.directory)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=self.directory, env=values, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()


@pytest.fixture
def project(tmp_path: Path) -> Copy:
    for room in ("flywheel", "models", "tasks"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return Copy(tmp_path, set())


def listed(thing: str, name: str = "") -> set[str]:
    """The files that the guide says to touch for a thing, `name` in place of <name>."""
    (row,) = re.findall(rf"^\| {thing} \|([^|]*)\|", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    return {file.replace("<name>", name) for file in re.findall(r"`([\w./<>-]+)`", row)}


def test_an_export_format_is_a_module_and_a_line(project: Copy) -> None:
    project.insert("flywheel/export/formats.py", 'LENGTHS = "lengths", "a length a page"', before="ALTO = ")
    project.add(
        "flywheel/export/lengths.py",
        "def write_files(rows, directory):\n"
        "    (directory / 'lengths.txt').write_text(' '.join(str(len(row.label.text)) for row in rows))\n",
    )
    assert project.run(
        "from pathlib import Path\n"
        "from flywheel.document import Kind, Label, TextOrigin\n"
        "from flywheel.states import Split\n"
        "from flywheel.export import ExportedPage, ExportFormat, Lineage, write\n"
        "label = Label(Kind.COARSE, 'fitz', 100.0, 100.0, ())\n"
        "origin = dict.fromkeys(Lineage.__annotations__)\n"
        "page = ExportedPage('c', 'd.pdf', 'ab' * 32, 0, b'', label, 'accepted', 'accepted', origin,"
        " split=Split.TRAIN, text_origin=TextOrigin.TEXT_LAYER)\n"
        "report = write(ExportFormat.named('lengths'), [page], Path('out'))\n"
        "print(*(file.name for file in report.files), Path('out/lengths.txt').read_text())\n"
        "from flywheel.api import app\n"
        "print('lengths: a length a page' in str(app.openapi()))\n"
    ) == ["lengths.txt manifest.json 0", "True"]
    assert project.touched == listed("an export format", "lengths")


def test_a_reason_of_the_gate_is_a_code_a_threshold_and_a_check(project: Copy) -> None:
    project.insert("flywheel/reasons.py", 'SHOUTED = "shouted", "all in capitals"', before="BAD_ORTHOGRAPHY")
    project.insert("flywheel/gate/thresholds.py", "capitals: float = 0.9", before="few_letters")
    project.insert("flywheel/gate/judge.py", "lambda: self._shouted(page),", before=r"lambda: self\._drawn\(")
    project.insert(
        "flywheel/gate/judge.py",
        "def _shouted(self, page: JudgedPage) -> Verdict | None:\n"
        "    share = sum(map(str.isupper, page.text)) / max(1, page.characters)\n"
        "    return _reject(Reason.SHOUTED, f'{share:.0%}') if share > self._t.capitals else None\n\n",
        before=r"def _read_nothing\(",
    )
    assert project.run(
        "from flywheel.document import Box, Kind, Label, Line, PageFacts, Region\n"
        "from flywheel.gate import Gate\n"
        "from flywheel.pdf.coarse import RawCounts\n"
        "box = Box(0, 0, 90, 10)\n"
        "def judged(text):\n"
        "    label = Label(Kind.COARSE, 'fitz', 100.0, 100.0, (Region('text', box, (Line(text, box),)),))\n"
        "    facts = PageFacts(0, 100.0, 100.0, 0, 0.05, True, False, len(text))\n"
        "    verdict = Gate().judge_coarse(label, facts, RawCounts(len(text)))\n"
        "    return verdict.reason.value, verdict.reason.explanation\n"
        "print(*judged('HEAR ME'))\n"
        "print(judged('hear me')[0])\n"
    ) == ["shouted all in capitals", "accepted"]
    assert project.touched == listed("a reason of the gate")


def test_a_setting_is_a_field(project: Copy) -> None:
    field = 'tea_minutes: int = Field(default=4, ge=1, description="how long tea stands")'
    project.insert("flywheel/settings.py", field, before="sweep_seconds: ")
    code = "from flywheel.settings import settings; print(settings().tea_minutes)"
    urls = {f"FLYWHEEL_{name}_URL": "file:///nowhere" for name in ("DATABASE", "REDIS", "STORE")}
    assert project.run(code, **urls) == ["4"]
    assert project.run(code, **urls, FLYWHEEL_TEA_MINUTES="5") == ["5"]
    assert project.touched == listed("a setting")


def test_a_stop_is_a_task_and_its_place_on_the_route(project: Copy) -> None:
    project.insert("flywheel/work/route.py", 'Stop("tidying", "cpu"),', before=r'Stop\("export"')
    project.insert("flywheel/loop/exhaustion.py", '"tidying": _do_without,', before=r'"patches": ')
    project.add(
        "tasks/tidying.py",
        "from flywheel.database import transaction\n"
        "from flywheel.work import ledger\n"
        "from tasks.worker.attempt import Attempt, stop_task\n\n\n"
        "@stop_task('tidying')\n"
        "def tidying(attempt: Attempt) -> None:\n"
        "    with transaction() as session:\n"
        "        ledger.finish(session, attempt.claim)\n",
    )
    project.insert("tasks/app.py", "tidying,", before="training,")
    assert project.run(
        "from flywheel.loop.exhaustion import CONSEQUENCES\n"
        "from flywheel.work.route import ROUTE\n"
        "from tasks.app import app\n"
        "print('tasks.tidying' in app.tasks, app.conf.task_routes['tasks.tidying']['queue'])\n"
        "print(set(CONSEQUENCES) == set(ROUTE))\n"
    ) == ["True cpu", "True"]
    assert project.touched == listed("a stop", "tidying")


def test_a_recipe_is_a_file(project: Copy) -> None:
    project.add("flywheel/recipes/patient.toml", 'unit = "line"\nseconds = 3600.0\n')
    assert project.run(
        "from flywheel.recipes import load_recipe, recipe_names\n"
        "print('patient' in recipe_names(), load_recipe('patient').seconds, load_recipe('patient').unit)\n"
    ) == ["True 3600.0 line"]
    assert project.touched == listed("a recipe", "patient")
