"""Real files through ingest, coarse and recognition: good pages get labels, bad ones get reasons, alone."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pymupdf
import pytest
from fpdf import FPDF
from fpdf.enums import EncryptionMethod
from PIL import Image, ImageDraw, ImageFont
from sqlalchemy import select, update

from flywheel.database import transaction
from flywheel.database.tables import DocumentRow, ExportRow, LabelRow, LeaseRow, PageRow, ShardRow, TrialRow
from flywheel.document import Box, Kind, Label, Line, TextOrigin
from flywheel.figures import ExportProgress, Unit
from flywheel.labels.review import review_page
from flywheel.labels.standing import current_label
from flywheel.labels.storage import load_label, store_labels
from flywheel.local.processes import spawn
from flywheel.local.programs import PROGRAMS, argv_values
from flywheel.loop import submission
from flywheel.loop.sides import split
from flywheel.pdf import Sandbox
from flywheel.states import ReviewVerdict
from flywheel.work import broker, ledger
from flywheel.work.ledger import Work
from tasks.patches import PagePatches, cut_patches
from tasks.worker import process
from tests.flywheel import draw
from tests.flywheel.rows import store
from tests.tasks.drain import drain

SOUND = ("labelled", "accepted", "accepted")  # state, verdict, reason


@pytest.fixture(autouse=True)
def fresh(environment: dict[str, str]) -> None:
    """A worker's warm things belong to one cluster; the PDF child may stay."""
    process.store.cache_clear()


def submit(path: Path, language: str | None = "en") -> int:
    with transaction() as session:
        done = submission.submit(
            session,
            store(),
            corpus="mixed",
            name=path.name,
            path=path,
            media_type="application/pdf",
            language=language,
        )
    return done.document_id


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def standing(document_id: int) -> list[tuple[str, str | None, str | None]]:
    """(state, verdict, reason) of a document's pages, in order."""
    with transaction() as session:
        query = select(PageRow).where(PageRow.document_id == document_id).order_by(PageRow.number)
        return [(page.state, page.verdict, page.reason) for page in session.execute(query).scalars()]


def document(document_id: int) -> DocumentRow:
    with transaction() as session:
        return session.get_one(DocumentRow, document_id)


def said(document_id: int, stop: str = "coarse") -> list[str]:
    """The texts of a document's labels, page by page."""
    with transaction() as session:
        query = (
            select(LabelRow)
            .join(PageRow, PageRow.id == LabelRow.page_id)
            .where(PageRow.document_id == document_id, LabelRow.stop == stop)
            .order_by(PageRow.number)
        )
        return [load_label(store(), row).text for row in session.execute(query).scalars()]


def nothing_is_open() -> bool:
    with transaction() as session:
        return session.execute(select(LeaseRow)).first() is None


def encrypted() -> bytes:
    book = draw.blank_book()
    book.add_page()
    book.set_font("Helvetica", size=11)
    book.text(60, 60, "nobody reads this")
    book.set_encryption(owner_password="owner", user_password="user", encryption_method=EncryptionMethod.AES_128)
    return bytes(book.output())


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.pdf": (lambda: b"", "empty_file"),
    "page.pdf": (lambda: draw.encoded(draw.scan(), "PNG"), "not_pdf"),
    "notes.txt": (lambda: b"just some words", "unsupported_type"),
    "garbage.pdf": (lambda: b"%PDF-1.7\n" + bytes(range(256)) * 20, "pdf_unreadable"),
    "no-pages.pdf": (lambda: draw.pdf([draw.CATALOGUE, draw.tree([])]), "pdf_no_pages"),
    "million.pdf": (lambda: draw.small_pdf(draw.HELLO, count=1_000_000), "pdf_bad_page_tree"),
    "locked.pdf": (encrypted, "pdf_encrypted"),
}


def test_every_bad_file_is_quarantined_with_its_reason_and_the_good_ones_beside_it_are_labelled(
    tmp_path: Path,
) -> None:
    first = tmp_path / "first.pdf"
    draw.latin_pdf(first, 2, seed=5)
    last = tmp_path / "last.pdf"
    draw.latin_pdf(last, 2, seed=6)
    good = [submit(first)]
    bad = {name: submit(written(tmp_path / name, make())) for name, (make, _) in BAD.items()}
    good.append(submit(last))
    drain()
    found = {name: document(document_id) for name, document_id in bad.items()}
    assert {name: (row.state, row.reason) for name, row in found.items()} == {
        name: ("quarantined", reason) for name, (_, reason) in BAD.items()
    }
    assert [standing(document_id) for document_id in bad.values()] == [[]] * len(bad)
    assert [standing(document_id) for document_id in good] == [[SOUND, SOUND]] * 2
    assert nothing_is_open()


def test_a_truncated_file_keeps_its_whole_pages_and_says_which_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "book.pdf"
    draw.latin_pdf(path, 10)
    data = path.read_bytes()
    document_id = submit(written(tmp_path / "cut.pdf", data[: len(data) * 6 // 10]))
    drain()
    row = document(document_id)
    pages = standing(document_id)
    if row.state == "quarantined":  # the page tree itself lay in the lost part
        assert (row.reason, pages) == ("pdf_unreadable", [])
    else:
        assert row.facts is not None
        assert row.facts.repaired
        assert {page[2] for page in pages} <= {"accepted", "page_content_missing"}
    assert "blank" not in {page[2] for page in pages}


def test_a_sound_text_layer_becomes_the_label_of_its_page(tmp_path: Path) -> None:
    path = tmp_path / "book.pdf"
    truth = draw.latin_pdf(path, 2, lines=6)
    document_id = submit(path)
    drain()
    assert standing(document_id) == [SOUND, SOUND]
    assert [text.split() for text in said(document_id)] == [" ".join(lines).split() for lines in truth]
    row = document(document_id)
    assert row.facts is not None
    assert (row.state, row.page_count, row.facts.repaired) == ("ready", 2, False)


def test_clean_tibetan_is_accepted_and_keeps_every_letter(tmp_path: Path) -> None:
    path = tmp_path / "tibetan.pdf"
    [lines] = draw.tibetan_pdf(path, 1, lines=5)
    document_id = submit(path, "bo")
    drain()
    assert standing(document_id) == [SOUND]
    assert "".join(said(document_id)[0].split()) == "".join("".join(lines).split())


def test_a_text_layer_in_another_script_than_declared_waits_for_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "latin.pdf"
    draw.latin_pdf(path)
    document_id = submit(path, "bo")
    drain()
    assert standing(document_id) == [("waiting", "rejected", "wrong_script")]


def test_private_use_characters_are_found_out_and_the_page_waits(tmp_path: Path) -> None:
    lines = ["the wheel turns and every page" for _ in range(8)]
    private = {code: chr(0xE000 + code) for code in range(97, 123)}
    document_id = submit(written(tmp_path / "lies.pdf", draw.lying_pdf(lines, private)), "bo")
    drain()
    assert standing(document_id) == [("waiting", "rejected", "garbled_characters")]


def test_a_scan_that_nobody_can_read_waits_and_a_blank_page_is_labelled_blank(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    book = draw.blank_book()
    book.add_page()
    book.image(draw.scan(), x=0, y=0, w=book.w, h=book.h)
    book.add_page()
    book.output(str(path))
    document_id = submit(path, "bo")
    drain()
    scanned, blank = standing(document_id)
    assert scanned[0] == "waiting"
    assert scanned[2] == "no_text_layer"
    assert blank == ("labelled", "accepted", "blank")


def test_a_page_that_hangs_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_PAGE_SECONDS", "4")
    process.settings.cache_clear()
    process.sandbox().close()
    process.sandbox.cache_clear()
    document_id = submit(written(tmp_path / "nested.pdf", draw.nested_forms()))
    drain(only="ingest")
    drain(only="coarse")
    process.sandbox().close()
    process.sandbox.cache_clear()
    first, hung, last = standing(document_id)
    assert hung == ("quarantined", None, "page_timeout")
    assert first == last
    assert first[0] == "labelled"


def test_a_page_on_which_only_the_layout_fails_keeps_its_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tibetan.pdf"
    draw.tibetan_pdf(path, 2)
    visits: list[int] = []

    def crash_the_second_visit(number: int, pid: int) -> None:
        visits.append(number)
        if number == 1 and len(visits) > 2:
            os.kill(pid, signal.SIGKILL)

    document_id = submit(path, "bo")
    drain(only="ingest")
    with Sandbox(on_page=crash_the_second_visit) as sandbox:
        monkeypatch.setattr("tasks.coarse.sandbox", lambda: sandbox)
        drain(only="coarse")
    assert visits == [0, 1, 0, 1, 1]  # read, then arranged; a page that crashes its child is tried twice
    assert standing(document_id) == [SOUND, SOUND]
    assert [len(text) > 200 for text in said(document_id)] == [True, True]


def scanned(lines: list[str]) -> Image.Image:
    """A page of print as a scanner sees it, 150 dpi."""
    image = Image.new("L", (1240, 700), 240)
    pen = ImageDraw.Draw(image)
    font = ImageFont.truetype(io.BytesIO(draw.font_bytes("helv")), 34)
    for number, line in enumerate(lines):
        pen.text((110, 90 + 70 * number), line, fill=25, font=font)
    return image


def scan_of(lines: list[str], path: Path) -> Path:
    """A PDF of one scanned page, without text."""
    book = FPDF(unit="pt", format=(595, 336))
    book.add_page()
    book.image(scanned(lines), x=0, y=0, w=595, h=336)
    book.output(str(path))
    return path


def test_an_english_scan_is_read_by_the_reader_that_comes_with_the_service(tmp_path: Path) -> None:
    lines = ["The wheel turns and every page", "comes back with a label", "that somebody can check"]
    path = scan_of(lines, tmp_path / "scan.pdf")
    document_id = submit(path)
    drain()
    assert standing(document_id) == [SOUND]
    [text] = said(document_id, "recognition")
    assert text.split() == " ".join(lines).split()
    with transaction() as session:
        row = session.execute(select(LabelRow).where(LabelRow.stop == "recognition")).scalar_one()
        parent = session.get_one(LabelRow, row.parent_id)
    assert (row.kind, row.producer, row.checkpoint_id, row.generation) == ("fine", "ppocr", "ppocr-v6-small", 1)
    assert load_label(store(), row).checkpoint == row.checkpoint_id
    assert (parent.stop, parent.reason) == ("coarse", "no_text_layer")
    assert row.confidence is not None
    assert row.confidence > 0.9


def test_the_gpu_worker_spawns_its_process_and_that_process_reads_a_page(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    document_id = submit(scan_of(["The wheel turns and every page"], tmp_path / "scan.pdf"))
    drain(only="ingest")
    drain(only="coarse")
    with transaction() as session:
        shard_id = session.execute(select(ShardRow.id).where(ShardRow.stop == "recognition")).scalar_one()
    [program] = [program for program in PROGRAMS if program.name == "worker-gpu"]
    argv = program.command(argv_values(str(tmp_path), str(tmp_path / "work"), "127.0.0.1", 0))
    log = tmp_path / "worker.log"
    root = Path(__file__).parents[2]
    env = {**os.environ, **environment, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    worker = spawn(argv, log=log, cwd=root, env=env, death_signal=signal.SIGKILL)
    try:
        broker.publish([(shard_id, "recognition")])
        deadline = time.monotonic() + 60
        while not said(document_id, "recognition"):
            assert time.monotonic() < deadline, log.read_text()
            assert worker.poll() is None, log.read_text()
            time.sleep(0.05)  # another process's rows: polling them is all there is
        [child] = [c for c in psutil.Process(worker.pid).children() if "spawn_main" in " ".join(c.cmdline())]
        assert child.ppid() == worker.pid  # by which it finds out that its worker is ending
        worker.terminate()
        assert worker.wait(20) == 0, log.read_text()
    finally:
        worker.kill()
        worker.wait(10)
    assert said(document_id, "recognition")[0].split() == ["The", "wheel", "turns", "and", "every", "page"]


def spoil(key: str) -> None:
    """Other bytes under a blob's key, as many."""
    path = tmp_store() / key
    path.write_bytes(bytes(len(path.read_bytes())))


def tmp_store() -> Path:
    """The directory of this test's store."""
    return Path(urlsplit(process.settings().store_url).path)


def with_tall_boxes(label: Label) -> Label:
    """Line boxes over their neighbours, as fonts with great ascents give them."""

    def tall(line: Line) -> Line:
        box, more = line.box, 1.5 * line.box.height
        return replace(line, box=Box(box.x0, box.y0 - more, box.x1, box.y1 + more))

    regions = (replace(region, lines=tuple(map(tall, region.lines))) for region in label.regions)
    return replace(label, regions=tuple(regions))


def test_a_text_layers_label_is_cut_by_its_characters_also_after_a_person_accepted_it(tmp_path: Path) -> None:
    path = tmp_path / "tibetan.pdf"
    [lines] = draw.tibetan_pdf(path, 1, lines=5)
    document_id = submit(path, "bo")
    drain(only="ingest")
    drain(only="coarse")
    with transaction() as session:
        page = session.execute(select(PageRow).where(PageRow.document_id == document_id)).scalar_one()
        machine = current_label(session, page.id)
    assert machine is not None
    [tall] = store_labels(store(), [with_tall_boxes(load_label(store(), machine))])
    with transaction() as session:
        place = {"blob_key": tall.key, "blob_offset": tall.offset, "blob_length": tall.length}
        session.execute(update(LabelRow).values(place))
        review_page(session, store(), page.id, action=ReviewVerdict.ACCEPT, reviewer="somebody")
        person = current_label(session, page.id)
    assert person is not None
    assert (person.kind, person.blob_key) == ("human", tall.key)
    given = cut_patches(path, document(document_id), page, person, "line")
    assert "".join("".join(patch.text.split()) for patch in given.rows) == "".join("".join(lines).split())
    assert not given.dropped


@pytest.mark.parametrize("unit", ["line", "page"])
def test_a_page_whose_label_is_lost_or_damaged_gives_no_patches_and_says_why(tmp_path: Path, unit: Unit) -> None:
    path = tmp_path / "latin.pdf"
    draw.latin_pdf(path, 1)
    document_id = submit(path)
    drain(only="ingest")
    drain(only="coarse")
    with transaction() as session:
        page = session.execute(select(PageRow).where(PageRow.document_id == document_id)).scalar_one()
        row = current_label(session, page.id)
    assert row is not None
    spoil(row.blob_key)
    assert cut_patches(path, document(document_id), page, row, unit) == PagePatches(
        row, [], Counter({"blob_corrupt": 1})
    )
    store().delete(row.blob_key)
    assert cut_patches(path, document(document_id), page, row, unit) == PagePatches(
        row, [], Counter({"blob_missing": 1})
    )


def test_an_export_says_of_each_page_its_split_its_rights_and_who_wrote_and_confirmed_its_words(
    tmp_path: Path,
) -> None:
    documents = []
    for seed in (1, 2, 3):
        draw.latin_pdf(tmp_path / f"{seed}.pdf", 1, seed=seed)
        documents.append(submit(tmp_path / f"{seed}.pdf"))
    drain()
    with transaction() as session:
        rows = [session.get_one(DocumentRow, number) for number in documents]
        rows[0].rights = "CC BY 4.0"
        pages = {page.document_id: page.id for page in session.execute(select(PageRow)).scalars()}
        review_page(session, store(), pages[documents[1]], action=ReviewVerdict.ACCEPT, reviewer="Tashi")
        own = load_label(store(), current_label(session, pages[documents[2]]) or pytest.fail("no label"))
        review_page(
            session,
            store(),
            pages[documents[2]],
            action=ReviewVerdict.CORRECT,
            reviewer="Pema",
            label=corrected(own),
        )
        export = ExportRow(corpus_id=rows[0].corpus_id, format="jsonl")
        session.add(export)
        session.flush()
        ledger.enqueue(session, [Work("export", export_id=export.id)])
        hashes = [row.sha256 for row in rows]
    sides = split(dict.fromkeys(hashes, 1))
    drain()
    with transaction() as session:
        store().fetch_tree(str(session.get_one(ExportRow, export.id).tree_key), tmp_path / "out")
    written_rows = {}
    for path in (tmp_path / "out").glob("*.jsonl"):
        for found in map(json.loads, path.read_text().splitlines()):
            written_rows[found["sha256"]] = found
            assert path.stem == {"heldout": "test"}.get(found["split"], found["split"])
    told = [
        (
            found["split"],
            found["rights"],
            found["text_origin"],
            found["confirmed_by"],
            found["lineage"]["generation"],
        )
        for found in (written_rows[sha256] for sha256 in hashes)
    ]
    assert told == [
        (sides[hashes[0]], "CC BY 4.0", "text_layer", None, 0),
        (sides[hashes[1]], None, "text_layer", "Tashi", 0),
        (sides[hashes[2]], None, "person", "Pema", 0),
    ]


def corrected(label: Label) -> Label:
    """The label with a word more, as a person's."""
    first = label.regions[0]
    line = replace(first.lines[0], text=f"{first.lines[0].text} indeed")
    regions = (replace(first, lines=(line, *first.lines[1:])), *label.regions[1:])
    return replace(label, kind=Kind.HUMAN, origin=TextOrigin.PERSON, regions=regions)


def test_a_scan_in_a_script_that_its_reader_does_not_know_is_not_labelled_with_its_page_number(
    tmp_path: Path,
) -> None:
    print_ = pymupdf.open().new_page(width=595, height=842)
    said = "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. " * 8
    print_.insert_htmlbox((70, 70, 525, 700), f"<p>{said}</p>", css="* {font-size: 12px}")
    print_.insert_text((290, 800), "138", fontsize=10)
    scan = pymupdf.open()
    scan.new_page(width=595, height=842).insert_image((0, 0, 595, 842), pixmap=print_.get_pixmap(dpi=150))
    scan.save(tmp_path / "scan.pdf")
    document_id = submit(tmp_path / "scan.pdf", "en")
    drain()
    assert standing(document_id) == [("labelled", "rejected", "ink_without_text")]


@pytest.mark.parametrize("harm", [spoil, lambda key: store().delete(key)], ids=["damaged", "lost"])
def test_an_export_leaves_out_pages_whose_label_cannot_be_had_and_counts_them(
    tmp_path: Path, harm: Callable[[str], None]
) -> None:
    documents = []
    for seed in (1, 2):
        draw.latin_pdf(tmp_path / f"{seed}.pdf", 2, seed=seed)
        documents.append(submit(tmp_path / f"{seed}.pdf"))
    drain()
    with transaction() as session:
        of_first = select(LabelRow.blob_key).join(PageRow).where(PageRow.document_id == documents[0]).distinct()
        [key] = session.execute(of_first).scalars()
        corpus_id = session.get_one(DocumentRow, documents[0]).corpus_id
        row = ExportRow(corpus_id=corpus_id, format="jsonl")
        session.add(row)
        session.flush()
        ledger.enqueue(session, [Work("export", export_id=row.id)])
    harm(key)
    drain()
    with transaction() as session:
        row = session.get_one(ExportRow, row.id)
    assert (row.status, row.rows, row.progress) == ("finished", 2, ExportProgress(rows=2, of=4, left_out=2))


def test_a_reading_of_a_damaged_file_ends_with_the_reason(tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "a.pdf", 1)
    key = store().put_file(tmp_path / "a.pdf")
    spoil(key)
    with transaction() as session:
        row = TrialRow(name="a.pdf", blob_key=key, language="en")
        session.add(row)
        session.flush()
        ledger.enqueue(session, [Work("trial", trial_id=row.id)])
    drain()
    with transaction() as session:
        row = session.get_one(TrialRow, row.id)
    assert (row.status, row.reason) == ("failed", "blob_corrupt")
