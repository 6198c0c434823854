"""The sample corpus: well-formed, faithful, several faces, and each damaged file wrong in its one way."""

import hashlib
import random
import shutil
import subprocess
import sys
import unicodedata
from dataclasses import astuple

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from flywheel.errors import SetupError
from flywheel.sample import draw, load
from flywheel.sample.faces import CUTS, write_faces
from flywheel.sample.pages import Face, Layout, compose, write_pdf
from flywheel.sample.phrases import CHINESE, Phrases, chinese_pieces
from flywheel.sample.syllables import ENDINGS, PARTICLES, Tibetan, draw_syllable, is_well_formed, pieces

pymupdf = pytest.importorskip("pymupdf")


@pytest.fixture(scope="module")
def corpus(sample_corpus):
    return sample_corpus


def extracted(page):
    """NFC text of a page's lines, in the order of the file."""
    blocks = page.get_text("dict")["blocks"]
    lines = [line for block in blocks for line in block.get("lines", ())]
    texts = ["".join(span["text"] for span in line["spans"]).strip() for line in lines]
    return [unicodedata.normalize("NFC", text) for text in texts]


def gray(page, dpi):
    pixels = page.get_pixmap(dpi=dpi, colorspace=pymupdf.csGRAY)
    return np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.stride)[:, : pixels.width]


def test_every_drawn_syllable_is_one_that_the_orthography_allows():
    rng = random.Random(3)
    drawn = [draw_syllable(rng) for _ in range(5000)]
    assert [s for s in (*drawn, *PARTICLES, *ENDINGS) if not is_well_formed(s)] == []
    assert all(unicodedata.is_normalized("NFC", s) for s in drawn)


@pytest.mark.parametrize("syllable", "བསྒྲུབས རྒྱལ འདི དགའ མཁའ སློབ གཅིག ལྷ ཕྱོགས པའི རྩྭ བརྒྱད".split())
def test_the_orthography_knows_ordinary_words(syllable):
    assert is_well_formed(syllable)


@pytest.mark.parametrize("syllable", "གཀི མཀ འཤ སྐྱྲ ལྨ ཀིུ ཀགད ཞྱ ཀཀཀ ི བྷ".split())
def test_the_orthography_refuses_what_no_scribe_writes(syllable):
    assert not is_well_formed(syllable)


def test_pieces_of_a_text_join_to_the_text_and_break_only_where_lines_may():
    text = Tibetan(1, "x").paragraph(30)
    assert "".join(pieces(text)) == text
    assert all(part[-1] in "་ །" or part == pieces(text)[-1] for part in pieces(text))
    chinese = Phrases(CHINESE, 1, "x").paragraph(9)
    assert "".join(chinese_pieces(chinese)) == chinese
    assert not any(part[0] in "\uff0c。" for part in chinese_pieces(chinese))


def test_common_syllables_recur_and_rare_ones_exist():
    words = Tibetan(1, "x").paragraph(2000).replace(" ", "་").replace("།", "").split("་")
    counts = sorted((words.count(word) for word in set(words)), reverse=True)
    assert sum(counts[:100]) > 0.35 * sum(counts)
    assert counts.count(1) > 200


@pytest.mark.parametrize("face", sorted(CUTS))
def test_the_text_layer_of_every_face_says_what_was_drawn(face, corpus, tmp_path):
    font = Face(corpus.faces[face], shaped=True)
    pages = compose(Tibetan(2, face), font, pieces, Layout(size=13, pitch=23), 2)
    write_pdf(pages, font, tmp_path / "x.pdf", title="x")
    with pymupdf.open(tmp_path / "x.pdf") as document:
        for page, drawn in zip(document, pages, strict=True):
            assert sorted(extracted(page)) == sorted(line.text for line in drawn.lines)


@pytest.mark.parametrize("face", ["regular", "slanted"])
def test_what_a_pdf_shows_is_what_another_shaper_draws(face, corpus, tmp_path):
    """Marks that are set a glyph too late extract right and look wrong: only pixels tell."""
    font = Face(corpus.faces[face], shaped=True)
    pages = compose(Tibetan(2, "look"), font, pieces, Layout(size=14, pitch=30), 1)
    write_pdf(pages, font, tmp_path / "x.pdf", title="x")
    with pymupdf.open(tmp_path / "x.pdf") as document:
        shown = gray(document[0], 144)
    pillow = ImageFont.truetype(str(corpus.faces[face]), 28, layout_engine=ImageFont.Layout.RAQM)
    wanted = Image.new("L", shown.shape[::-1], 255)
    for line in pages[0].lines[1:-1]:
        ImageDraw.Draw(wanted).text((line.x * 2, line.y * 2), line.text, font=pillow, anchor="ls")
    for line in pages[0].lines[1:-1]:
        box = [round(v) for v in astuple(line.box.scaled(2.0))]
        ours, theirs = (
            np.asarray(image.crop(box).filter(ImageFilter.GaussianBlur(1.5)), dtype=float).ravel()
            for image in (Image.fromarray(shown), wanted)
        )
        assert np.corrcoef(ours, theirs)[0, 1] > 0.8, line.text


def test_faces_differ_from_one_another(corpus):
    text = Tibetan(2, "width").sentence()
    widths = {name: round(Face(corpus.faces[name], shaped=True).advance(text), 2) for name in CUTS}
    assert len({widths[n] for n in ("regular", "condensed", "expanded", "bold", "light", "tall")}) == 6
    images = set()
    for name in CUTS:
        picture = Image.new("L", (400, 60), 255)
        ImageDraw.Draw(picture).text((5, 5), text[:8], font=ImageFont.truetype(str(corpus.faces[name]), 24))
        images.add(picture.tobytes())
    assert len(images) == len(CUTS)


def test_the_corpus_holds_every_kind_of_document_and_knows_its_text(corpus):
    assert len(corpus.of("born_digital", "bo")) == 12
    assert len({d.face for d in corpus.of("born_digital", "bo")}) >= 4
    assert len(corpus.of("scan", "bo")) == 4
    assert {d.language for d in corpus.of("born_digital")} == {"bo", "en", "zh"}
    for kind in ("garbled", "corrupt", "encrypted", "duplicate"):
        assert len(corpus.of(kind)) == 1
    for document in corpus.documents:
        assert document.path.stat().st_size > 0
        assert (document.truth is None) == (document.kind in ("corrupt", "encrypted"))
    assert corpus == load(corpus.directory)


def test_born_digital_documents_extract_to_their_truth(corpus):
    for item in corpus.of("born_digital"):
        with pymupdf.open(item.path) as document:
            for page, lines in zip(document, item.truth, strict=True):
                assert sorted(extracted(page)) == sorted(lines), item.path.name


def test_truth_boxes_hold_the_ink_of_pages_and_of_tilted_scans(corpus):
    for item in (*corpus.of("scan"), corpus.named("columns-10-light.pdf")):
        with pymupdf.open(item.path) as document:
            for page, lines in zip(document, item.pages, strict=True):
                image = gray(page, 72)
                ink = image < np.median(image) * 0.7
                if "pecha" in item.path.name:
                    ink[:, :58] = ink[:, -58:] = False  # the ruled edges
                ink[:6] = ink[-6:] = ink[:, :6] = ink[:, -6:] = False
                outside = ink.copy()
                for line in lines:
                    x0, y0, x1, y1 = (max(0, round(v)) for v in astuple(line.box))
                    outside[max(0, y0 - 2) : y1 + 2, max(0, x0 - 2) : x1 + 2] = False
                assert ink.sum() > 100
                assert outside.sum() < 0.03 * ink.sum(), item.path.name


def test_scans_have_no_text_layer_and_share_no_line_with_the_born_digital_text(corpus):
    known = {line for item in corpus.of("born_digital") for page in item.truth for line in page if len(line) > 8}
    for item in corpus.of("scan"):
        with pymupdf.open(item.path) as document:
            assert len(document) == len(item.truth)
            assert "".join(page.get_text() for page in document).strip() == ""
            assert all(len(page.get_images()) <= 1 for page in document)
        assert known.isdisjoint(line for page in item.truth for line in page)
        assert item.lines > 0


def test_the_garbled_document_shows_tibetan_and_extracts_none(corpus):
    item = corpus.of("garbled")[0]
    with pymupdf.open(item.path) as document:
        text = "".join(page.get_text() for page in document)
        assert (gray(document[0], 72) < 128).mean() > 0.01
    assert not any("\u0f00" <= c <= "\u0fff" for c in text)
    assert any("\ue000" <= c <= "\uf8ff" for c in text)
    assert any(c.isascii() and c.isalpha() for c in text)


def test_the_encrypted_the_corrupt_and_the_duplicate_are_what_they_claim(corpus):
    with pymupdf.open(corpus.of("encrypted")[0].path) as document:
        assert document.needs_pass
    with pytest.raises(Exception, match=r"open|page"), pymupdf.open(corpus.of("corrupt")[0].path) as document:
        document[0].get_text()
    copy = corpus.of("duplicate")[0]
    assert copy.path.read_bytes() == corpus.named("book-08-regular.pdf").path.read_bytes()


def test_the_same_seed_draws_the_same_bytes_and_another_seed_another_text(corpus, tmp_path):
    def hashes(drawn):
        return {d.path.name: hashlib.sha256(d.path.read_bytes()).hexdigest() for d in drawn.documents}

    shutil.copytree(corpus.directory / "faces", tmp_path / "faces")
    first, again = hashes(corpus), hashes(draw(tmp_path, seed=7, scale=0.2))
    salted = {"encrypted.pdf"}
    assert {k for k in first if first[k] != again[k]} <= salted
    assert Tibetan(7, "x").paragraph(3) == Tibetan(7, "x").paragraph(3)
    assert Tibetan(7, "x").paragraph(3) != Tibetan(8, "x").paragraph(3)


def test_a_face_is_cut_the_same_way_every_time(corpus, tmp_path):
    assert write_faces(tmp_path, ["bold"])["bold"].read_bytes() == corpus.faces["bold"].read_bytes()


def test_a_blank_page_is_drawn_without_a_line(corpus, tmp_path):
    font = Face(corpus.faces["regular"], shaped=True)
    pages = compose(Tibetan(2, "blank"), font, pieces, Layout(size=14, pitch=25), 3, blank=1)
    write_pdf(pages, font, tmp_path / "x.pdf", title="x")
    assert [len(page.lines) > 0 for page in pages] == [True, False, True]
    with pymupdf.open(tmp_path / "x.pdf") as document:
        assert document[1].get_text() == ""
        assert gray(document[1], 72).min() == 255


def test_a_place_that_cannot_be_written_is_a_setup_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError, match="could not be drawn"):
        draw(tmp_path / "file", scale=0.1)
    with pytest.raises(SetupError, match="no sample corpus"):
        load(tmp_path)


def test_neither_the_corpus_nor_the_pictures_load_mupdf_into_the_service():
    code = (
        "import sys, flywheel.sample, flywheel.pictures, flywheel.export\n"
        "flywheel.pictures.text_width('\\u0f40\\u0f0b', 20)\n"
        "sys.exit('pymupdf' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
