"""A trained recogniser of lines, champion of a language that no built-in reader knows, holds text layers against
their pages in the coarse stop. A champion that knows little condemns nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from fpdf import FPDF
from sqlalchemy import select

from benchmarks.lies import remap
from flywheel.database import transaction
from flywheel.database.tables import CheckpointRow, PageRow
from flywheel.loop import promotion, submission
from flywheel.pdf import PageImage, Sandbox
from flywheel.recipes import load_recipe
from models.line_training.dataset import LineSample, write_patches
from models.recognition.line import LineRecogniser
from models.scores import score
from models.trainers import train
from models.training.job import TrainingJob
from models.training.manifest import write_manifest
from models.verification.sampling import LayerPage, LayerPiece, pieces
from tasks.worker import process, verification
from tests.flywheel import draw
from tests.flywheel.rows import store
from tests.tasks.drain import drain

LEARNED = "བོད ཡིག ས བདེ ལེགས བྱང སེམས ཆེན ནས དང མི ཆུ ཁྱིམ གཟུགས འདི ཀླུ".split()
UNSEEN = "རྒྱལ ཕོ ཚོགས ཞིང ཐབས ཤེས ཧ ཕྱི ཞབས ཚེ ཐོས པད".split()  # with letters that are in none of those
SHOWN = "བདེ ལེགས བྱང སེམས དང མི".split()
SIZE = 16
SMALL: dict[str, Any] = {
    "network": {"height": 48, "widths": [8, 8, 16, 32], "dimension": 48, "dilations": [1, 1], "dropout": 0.0},
    "learning_rate": 1e-2,
    "batch_pixels": 2500,
    "degrade": 0.0,
    "evaluate_seconds": 1000.0,
    "checkpoint_seconds": 1000.0,
    "seconds": 300.0,
}
GOOD, WEAK, RAW = 220, 100, 1  # steps


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    """A worker's warm things belong to one cluster; the PDF child may stay."""
    process.store.cache_clear()


def drawn(path: Path, words: Sequence[str], seed: int, lines: int = 18) -> Path:
    rng = random.Random(seed)

    def write(book: FPDF) -> None:
        draw.use_font(book, draw.TIBETAN_SCRIPT, SIZE, path.parent)
        told = ["་".join(rng.choice(words) for _ in range(4)) + "།" for _ in range(lines)]
        draw.write_lines(book, told, y=50, pitch=2.4 * SIZE)

    return draw.book_of(path, write)


def sampled(path: Path) -> list[LayerPiece]:
    with Sandbox() as sandbox:
        [image] = sandbox.render(path, [0], 150)
        assert isinstance(image, PageImage)
        page = LayerPage(0, sandbox.characters(path, 0), image.image, image.dpi)
    return [piece for found in pieces([page]).values() for piece in found]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A checkpoint after so many steps on lines whose texts are changed before they are learned."""
    directory, made = tmp_path_factory.mktemp("champions"), {}
    looks = [piece for seed in range(9) for piece in sampled(drawn(directory / f"{seed}.pdf", LEARNED, seed))]

    def checkpoint(steps: int, change: Callable[[str], str] = str, name: str = "") -> Path:
        there = directory / f"{name}{steps}"
        if there not in made:
            (there / "data").mkdir(parents=True)
            rows = [
                LineSample("d", 0, n, change(p.text), p.image, label=n, dpi=150.0) for n, p in enumerate(looks)
            ]
            write_patches(there / "data" / "a.parquet", rows)
            write_manifest(there / "data", splits={"d": "train"}, language="bo")
            recipe = load_recipe("line").with_overrides({**SMALL, "steps": steps})
            job = TrainingJob(
                dataset=there / "data",
                out=there / "out",
                recipe=recipe,
                language="bo",
                scripts=("Tibt",),
                resume=there / "resume",
                seed=1,
            )
            made[there] = train(job).directory
        return made[there]

    return checkpoint


def promote(checkpoint: Path) -> None:
    tree = store().put_tree(checkpoint)
    with transaction() as session:
        row = CheckpointRow(
            id="pupil", architecture="line-conv-ctc", language="bo", scripts=["Tibt"], tree_key=tree
        )
        session.add(row)
        session.flush()
        promotion.promote(session, "pupil", actor="a person")


def verdicts(*paths: Path) -> list[tuple[str | None, str]]:
    """Reason and detail of each document's page after the coarse stop."""
    with transaction() as session:
        ids = [
            submission.submit(
                session,
                store(),
                corpus="layers",
                name=path.name,
                path=path,
                media_type="application/pdf",
                language="bo",
            ).document_id
            for path in paths
        ]
    drain(only="ingest")
    drain(only="coarse")
    with transaction() as session:
        pages = {page.document_id: page for page in session.execute(select(PageRow)).scalars()}
    return [(pages[document].reason, pages[document].detail or "") for document in ids]


def exchanged(text: str) -> str:
    return text.translate(str.maketrans("དང", "ངད"))


def another_text(text: str) -> str:
    letters = "བདེལསངཡགཆནམིུཁཟའཀོྱ"
    consonants = [c for c in letters if c.isalpha()]
    return text.translate(str.maketrans("".join(consonants), "".join(consonants[3:] + consonants[:3])))


def without_vowels(text: str) -> str:
    return "".join(c for c in text if c not in "ིེོུ") or "\u200b"


LIES = {"two letters exchanged": exchanged, "another text": another_text, "vowel signs dropped": without_vowels}


@pytest.fixture(params=["with a typeface of the script", "without"])
def faces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """True where there are drawn letters to bear a champion out."""
    has: bool = request.param != "without"
    if not has:
        monkeypatch.setattr(verification, "typeface", lambda _script: None)
    return has


def test_a_champion_reads_the_sample_and_a_layer_that_lies_is_rejected_with_an_example(
    tmp_path: Path, trained: Callable[..., Path], faces: bool
) -> None:
    checkpoint = trained(GOOD)
    sound = drawn(tmp_path / "sound.pdf", LEARNED, 50)
    fresh_pieces = sampled(sound)
    readings = LineRecogniser.load(checkpoint).read([piece.image for piece in fresh_pieces])
    assert score([p.text for p in fresh_pieces], [r.text for r in readings]).cer < 0.05
    promote(checkpoint)
    lies = [remap(sound, tmp_path / f"{name}.pdf", change) for name, change in LIES.items()]
    kept, *lost = verdicts(sound, *lies)
    assert kept == ("accepted", "")
    if faces:  # drawings decide, and do not see the exchange of two letters that look much alike
        lost.pop(0)
    assert [reason for reason, _ in lost][-2:] == ["layer_disagrees", "bad_orthography"], lost
    assert {reason for reason, _ in lost[:-1]} == {"layer_disagrees"}
    assert all("the layer says" in detail and "the page shows" in detail for _, detail in lost[:-1])


@pytest.mark.parametrize("steps", [WEAK, RAW])
def test_a_weak_or_untrained_champion_condemns_no_sound_layer(
    tmp_path: Path, trained: Callable[..., Path], faces: bool, steps: int
) -> None:
    del faces
    promote(trained(steps))
    sound = [drawn(tmp_path / f"{seed}.pdf", LEARNED, seed) for seed in (60, 61)]
    assert {reason for reason, _ in verdicts(*sound)} == {"accepted"}


def test_letters_that_a_champion_never_saw_condemn_no_layer(
    tmp_path: Path, trained: Callable[..., Path], faces: bool
) -> None:
    del faces
    promote(trained(GOOD))
    paths = [
        drawn(tmp_path / "some.pdf", [*LEARNED, *UNSEEN[:6]], 70),
        drawn(tmp_path / "many.pdf", UNSEEN, 71),
    ]
    assert {reason for reason, _ in verdicts(*paths)} == {"accepted"}


def test_a_champion_that_learned_other_letters_by_heart_condemns_no_sound_layer(
    tmp_path: Path, trained: Callable[..., Path]
) -> None:
    promote(trained(GOOD, another_text, "liar"))
    assert verdicts(drawn(tmp_path / "sound.pdf", LEARNED, 80)) == [("accepted", "")]
