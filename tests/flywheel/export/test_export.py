"""Exports: every format loads with the tool it is meant for, carries lineage, and is whole or absent."""

import hashlib
import html
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from flywheel.document import Box, Kind, Label, Line, Region, decode_label, encode
from flywheel.errors import Conflict
from flywheel.export import ExportedPage, ExportFormat, alto, parquet, read_manifest, webdataset, write
from flywheel.export.jsonl import COARSE_PROMPT, FINE_PROMPT
from flywheel.markup import parse
from flywheel.states import Split

TEXT = "བཀྲ་ཤིས།"


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (60, 80), shade).save(out, "JPEG")
    return out.getvalue()


def row(
    page: int, kind: Kind = Kind.FINE, name: str = "../odd\u202ename.pdf", split: Split = Split.TRAIN
) -> ExportedPage:
    body = Region("text", Box(30, 120, 1200, 400), (Line(TEXT, Box(30, 120, 560, 140), 0.5 + page / 100),))
    title = Region("title", Box(30, 40, 560, 80), (Line(f"page {page}", Box(30, 40, 560, 80), 0.9),))
    label = Label(kind, "line", 595.0, 842.0, (title, body), "Tibt", "bo", "ck-1")
    lineage = {
        "label_id": f"label-{page}",
        "kind": kind.value,
        "producer": "line",
        "checkpoint": "ck-1" if kind is Kind.FINE else None,
        "round": "round-1" if kind is Kind.FINE else None,
        "dataset_hash": "d" * 64,
        "parent_label": None,
        "generation": 1 if kind is Kind.FINE else 0,
    }
    sha = hashlib.sha256(name.encode()).hexdigest()
    return ExportedPage(
        *("tib", name, sha, page, jpeg(page), label, "accepted", "accepted", lineage),
        split=split,
        text_origin=label.origin,
        rights="CC BY 4.0",
        confirmed_by="somebody" if kind is Kind.HUMAN else None,
    )


def rows(count: int) -> list[ExportedPage]:
    return [row(n, Kind.COARSE if n % 2 else Kind.FINE) for n in range(count)]


def read_without_boxes(page: int) -> ExportedPage:
    """A page that a reader gave as plain text: one region over all of it."""
    source = row(page)
    whole = Box(0, 0, source.label.width, source.label.height)
    lines = tuple(Line(text, whole) for text in (f"page {page}", "", TEXT))
    return replace(source, label=replace(source.label, regions=(Region("text", whole, lines),)))


def read_by_regions(page: int) -> ExportedPage:
    """A page of which a reader grounded the regions: each line has its region's box."""
    source = row(page)
    body = Box(30, 120, 560, 300)
    paragraph = Region("text", body, tuple(Line(f"{TEXT} {n}", body) for n in range(3)))
    return replace(source, label=replace(source.label, regions=(source.label.regions[0], paragraph)))


def test_parquet_loads_with_hugging_face_datasets_offline_with_images_decoded(tmp_path):
    report = write(ExportFormat.PARQUET, rows(5), tmp_path / "out")
    script = (
        "import sys, json, datasets\n"
        "d = datasets.load_dataset('parquet', data_files=sys.argv[1], split='train')\n"
        "r = d[3]\n"
        "print(json.dumps([len(d), type(r['image']).__name__, r['image'].size, r['text'], r['lineage'],\n"
        "  r['regions'][1]['lines'][0]['text'], str(d.features['image'])]))\n"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    env = {**clean, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out" / "*.parquet")],
        check=False,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    count, image, size, text, lineage, line, feature = json.loads(done.stdout)
    assert (count, image, size) == (5, "JpegImageFile", [60, 80])
    assert text == f"page 3\n\n{TEXT}"
    assert line == TEXT
    assert lineage == rows(5)[3].lineage
    assert feature.startswith("Image(")
    assert report.rows == 5


def test_a_large_parquet_export_is_cut_into_shards_that_hold_every_row_once(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "SHARD_ROWS", 4)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    write(ExportFormat.PARQUET, rows(9), tmp_path)
    names = sorted(path.name for path in tmp_path.glob("*.parquet"))
    assert names == [f"train-0000{n}-of-00003.parquet" for n in range(3)]
    pages = [p for n in names for p in parquet.pq.read_table(tmp_path / n)["page"].to_pylist()]
    assert pages == list(range(9))


def test_tar_shards_read_back_with_image_label_and_text_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "SHARD_ROWS", 2)
    write(ExportFormat.WEBDATASET, rows(3), tmp_path)
    members = []
    for path in sorted(tmp_path.glob("*.tar")):
        with tarfile.open(path) as archive:
            members += [(m.name, archive.extractfile(m).read()) for m in archive]
    assert len(list(tmp_path.glob("*.tar"))) == 2
    for number, source in enumerate(rows(3)):
        image, described, text = members[number * 3 : number * 3 + 3]
        assert [name for name, _ in (image, described, text)] == [
            f"{source.key}.{ending}" for ending in ("jpg", "json", "txt")
        ]
        assert image[1] == source.image
        assert text[1].decode() == source.label.text
        data = json.loads(described[1])
        assert encode(decode_label(data["label"])) == encode(source.label)
        assert data["lineage"] == source.lineage


def test_jsonl_tells_labels_with_places_from_those_without_by_prompt_and_keeps_boxes_in_bins(tmp_path):
    sources = [read_without_boxes(n) if n % 2 else row(n) for n in range(4)]
    write(ExportFormat.JSONL, sources, tmp_path)
    samples = [json.loads(line) for line in (tmp_path / "train.jsonl").read_text().splitlines()]
    assert [s["prompt"] for s in samples] == [FINE_PROMPT, COARSE_PROMPT] * 2
    assert samples[1]["answer"] == f"page 1\n\n{TEXT}"
    assert samples[1]["boxes"] == []
    reading = parse(samples[0]["answer"], 595.0, 842.0)
    assert [r.category for r in reading.regions] == ["title", "text"]
    assert [list(r.box.bins(595.0, 842.0)) for r in reading.regions] == samples[0]["boxes"]
    assert all(0 <= v <= 999 for s in samples for box in s["boxes"] for v in box)
    for sample, source in zip(samples, sources, strict=True):
        assert (tmp_path / sample["image"]).read_bytes() == source.image
        assert sample["lineage"] == source.lineage


def test_paddleocr_lists_name_pages_and_line_pictures_with_boxes_in_pixels(tmp_path):
    write(ExportFormat.PADDLEOCR, rows(2), tmp_path)
    pages = [line.split("\t") for line in (tmp_path / "det_train.txt").read_text().splitlines()]
    assert [(tmp_path / name).read_bytes() for name, _ in pages] == [row.image for row in rows(2)]
    marks = json.loads(pages[0][1])
    assert [m["transcription"] for m in marks] == ["page 0", TEXT]
    assert marks[0]["points"] == [[3, 4], [56, 4], [56, 8], [3, 8]]  # 60 x 80 pixels for 595 x 842 points
    lines = [line.split("\t") for line in (tmp_path / "rec_train.txt").read_text().splitlines()]
    assert [text for _, text in lines] == ["page 0", TEXT, "page 1", TEXT]
    with Image.open(tmp_path / lines[0][0]) as picture:
        assert picture.size == (54, 5)
    origins = [json.loads(line) for line in (tmp_path / "lineage.jsonl").read_text().splitlines()]
    assert [(o["image"], o["lineage"]) for o in origins] == [
        (page[0], row.lineage) for page, row in zip(pages, rows(2), strict=True)
    ]


def test_a_line_without_text_is_skipped_by_paddleocr_and_has_no_picture(tmp_path):
    source = row(0)
    empty = replace(source.label.regions[0], lines=(Line("", Box(30, 40, 560, 80)),))
    write(ExportFormat.PADDLEOCR, [replace(source, label=replace(source.label, regions=(empty,)))], tmp_path)
    assert '"transcription": "###"' in (tmp_path / "det_train.txt").read_text()
    assert (tmp_path / "rec_train.txt").read_text() == ""


def test_paddleocr_has_no_line_picture_of_a_paragraph_and_its_detector_passes_over_it(tmp_path):
    write(ExportFormat.PADDLEOCR, [read_by_regions(0), read_without_boxes(1)], tmp_path)
    ((name, shown),) = (line.split("\t") for line in (tmp_path / "det_train.txt").read_text().splitlines())
    assert name.endswith(f"{row(0).key}.jpg")  # nothing of the other page has a place
    marks = json.loads(shown)
    assert [m["transcription"] for m in marks] == ["page 0", "###"]
    assert marks[1]["points"] == [[3, 11], [56, 11], [56, 29], [3, 29]]
    assert [line.split("\t")[1] for line in (tmp_path / "rec_train.txt").read_text().splitlines()] == ["page 0"]


def test_label_studio_shows_a_region_once_with_all_its_text_where_its_lines_have_no_boxes(tmp_path):
    write(ExportFormat.LABELSTUDIO, [read_by_regions(0), read_without_boxes(1)], tmp_path)
    grounded, plain = json.loads((tmp_path / "tasks.json").read_text())
    texts = [r["value"]["text"] for r in grounded["predictions"][0]["result"] if r["type"] == "textarea"]
    assert texts == [["page 0"], [f"{TEXT} 0\n{TEXT} 1\n{TEXT} 2"]]
    (box, text) = plain["predictions"][0]["result"]
    assert (box["value"]["width"], box["value"]["height"]) == (100, 100)
    assert text["value"]["text"] == [f"page 1\n\n{TEXT}"]


def test_alto_gives_a_place_only_to_lines_that_have_one(tmp_path):
    write(ExportFormat.ALTO, [read_by_regions(0)], tmp_path)
    (path,) = tmp_path.rglob("*.xml")
    lines = ET.parse(path).getroot().findall(".//a:TextLine", {"a": alto.NAMESPACE})
    assert [[node.get("HPOS") is not None for node in (line, line[0])] for line in lines] == [
        [True, True],
        *[[False, False]] * 3,
    ]
    blocks = ET.parse(path).getroot().findall(".//a:TextBlock", {"a": alto.NAMESPACE})
    assert [block.get("VPOS") for block in blocks] == ["3.80", "11.40"]


def test_readings_without_boxes_are_in_no_format_said_to_be_grounded(tmp_path):
    write(ExportFormat.PARQUET, [row(0), read_without_boxes(1)], tmp_path)
    (path,) = tmp_path.glob("*.parquet")
    found = parquet.pq.read_table(path)["markup"].to_pylist()
    assert parse(found[0], 595.0, 842.0).regions
    assert found[1] is None


def test_alto_pages_hold_text_boxes_confidence_and_lineage_in_the_order_of_the_schema(tmp_path):
    write(ExportFormat.ALTO, rows(1), tmp_path)
    (path,) = tmp_path.rglob("*.xml")
    root = ET.parse(path).getroot()
    ns = {"a": alto.NAMESPACE}
    assert [child.tag.rpartition("}")[2] for child in root] == ["Description", "Tags", "Layout"]
    assert (path.parent / root.find(".//a:fileName", ns).text).read_bytes() == rows(1)[0].image
    page = root.find(".//a:Page", ns)
    assert (page.get("WIDTH"), page.get("HEIGHT"), page.get("LANG")) == ("60", "80", "bo")
    strings = root.findall(".//a:String", ns)
    assert [s.get("CONTENT") for s in strings] == ["page 0", TEXT]
    assert [s.get("WC") for s in strings] == ["0.9000", "0.5000"]
    assert float(strings[0].get("HPOS")) == pytest.approx(30 / 595 * 60, abs=0.01)
    tags = {t.get("ID"): t.get("LABEL") for t in root.findall(".//a:StructureTag", ns)}
    assert [tags[b.get("TAGREFS")] for b in root.findall(".//a:TextBlock", ns)] == ["title", "text"]
    step = root.find(".//a:Processing", ns)
    assert [child.tag.rpartition("}")[2] for child in step] == [
        "processingCategory",
        "processingStepDescription",
        "processingStepSettings",
        "processingSoftware",
    ]
    assert json.loads(step[2].text)["lineage"] == rows(1)[0].lineage


def test_label_studio_gets_predictions_from_readers_and_annotations_from_people(tmp_path):
    write(ExportFormat.LABELSTUDIO, [row(0), row(1, Kind.HUMAN)], tmp_path)
    read, corrected = json.loads((tmp_path / "tasks.json").read_text())
    (prediction,) = read["predictions"]
    assert prediction["model_version"] == "ck-1"
    box, text = prediction["result"][2:4]
    assert box["id"] == text["id"]
    assert text["value"]["text"] == [TEXT]
    assert box["value"]["rectanglelabels"] == ["text"]
    assert box["value"]["x"] == pytest.approx(30 / 595 * 100, abs=0.01)
    assert (tmp_path / read["data"]["ocr"].removeprefix("/data/local-files/?d=")).exists()
    assert read["data"]["lineage"] == row(0).lineage
    assert "predictions" not in corrected
    assert corrected["annotations"][0]["ground_truth"]
    config = ET.parse(tmp_path / "config.xml").getroot()
    assert {node.get("name") for node in config} == {result["from_name"] for result in (box, text)} | {"image"}


# Splits


def load(builder: str, directory: Path, home: Path) -> dict[str, list[int]]:
    """The pages by split, as `datasets` loads an export offline."""
    arguments = [f"'{directory}'"] if builder == "folder" else [f"'{builder}'", f"data_dir='{directory}'"]
    script = (
        "import json, datasets\n"
        f"found = datasets.load_dataset({', '.join(arguments)})\n"
        "page = lambda row: row['json']['page'] if 'json' in row else row['page']\n"
        "print(json.dumps({name: [page(row) for row in part] for name, part in found.items()}))\n"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    env = {**clean, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def split_rows() -> list[ExportedPage]:
    sides = [Split.TRAIN, Split.HELDOUT, Split.VALIDATION, Split.TRAIN, Split.HELDOUT]
    return [row(n, split=side) for n, side in enumerate(sides)]


@pytest.mark.parametrize(
    ("format", "builder"),
    [(ExportFormat.PARQUET, "folder"), (ExportFormat.WEBDATASET, "webdataset"), (ExportFormat.JSONL, "json")],
)
def test_whoever_loads_an_export_as_it_says_gets_its_splits_apart(format, builder, tmp_path):
    write(format, split_rows(), tmp_path / "out")
    call = "'{directory}'" if builder == "folder" else f"'{builder}', data_dir='{{directory}}'"
    assert format.loads == f"datasets.load_dataset({call})"
    assert load(builder, tmp_path / "out", tmp_path / "hf") == {"train": [0, 3], "validation": [2], "test": [1, 4]}


def test_paddleocr_lists_and_alto_folders_are_one_a_split(tmp_path):
    write(ExportFormat.PADDLEOCR, split_rows(), tmp_path / "lists")
    write(ExportFormat.ALTO, split_rows(), tmp_path / "folders")
    for name, pages in (("train", [0, 3]), ("validation", [2]), ("test", [1, 4])):
        keys = {row(n).key for n in pages}
        for stem in ("det", "rec"):
            listed = (tmp_path / "lists" / f"{stem}_{name}.txt").read_text()
            assert set(re.findall(r"[0-9a-f]{24}-\d{5}", listed)) == keys
        assert {path.stem for path in (tmp_path / "folders" / name).rglob("*.xml")} == keys


@pytest.mark.parametrize("format", ExportFormat)
def test_the_manifest_counts_rows_by_split_origin_and_rights(format, tmp_path):
    write(format, [*split_rows(), row(5, Kind.COARSE), row(6, Kind.HUMAN)], tmp_path)
    manifest = read_manifest(tmp_path)
    assert manifest["splits"] == {"heldout": 2, "train": 4, "validation": 1}
    assert manifest["text_origins"] == {"person": 1, "reader": 5, "text_layer": 1}
    assert manifest["rights"] == {"CC BY 4.0": 7}


# The contract of all formats


def contents(directory: Path) -> str:
    """All text and JSON of an export, of whatever files, without the escapes of JSON and XML."""
    found = []
    for path in sorted(directory.rglob("*")):
        if path.suffix == ".parquet":
            found += [
                json.dumps(row, default=repr, ensure_ascii=False)
                for row in parquet.pq.read_table(path).to_pylist()
            ]
        elif path.suffix == ".tar":
            with tarfile.open(path) as archive:
                found += [archive.extractfile(m).read().decode() for m in archive if not m.name.endswith(".jpg")]
        elif path.is_file() and path.suffix != ".jpg":
            found.append(path.read_text())
    return html.unescape("\n".join(found))


def origins(text: str) -> list[dict]:
    """Decode every JSON object in a text that has a lineage."""
    decoder, found = json.JSONDecoder(), []
    for start in (match.start() for match in re.finditer(r"\{", text)):
        try:
            value, _ = decoder.raw_decode(text, start)
        except ValueError:
            continue
        if "lineage" in value:
            found.append(value)
    return found


@pytest.mark.parametrize("format", ExportFormat)
def test_every_row_of_every_format_carries_its_text_and_its_origin(format, tmp_path):
    sources = rows(3)
    write(format, sources, tmp_path)
    text = contents(tmp_path)
    found = origins(text)
    for source in sources:
        assert f"page {source.page}" in text
        assert TEXT in text
        (origin,) = [value for value in found if value["page"] == source.page]
        assert {name: origin[name] for name in source.origin} == source.origin


@pytest.mark.parametrize("format", ExportFormat)
def test_every_image_of_every_format_comes_back_byte_for_byte(format, tmp_path):
    write(format, rows(2), tmp_path)
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    tables = [parquet.pq.read_table(path).to_pylist() for path in tmp_path.rglob("*.parquet")]
    everything += b"".join(row["image"]["bytes"] for table in tables for row in table)
    assert all(source.image in everything for source in rows(2))


@pytest.mark.parametrize("format", ExportFormat)
def test_a_file_that_cannot_be_moved_into_place_leaves_no_manifest(format, tmp_path):
    report = write(format, rows(2), tmp_path)
    last = report.files[-2]
    last.unlink()
    (last / "obstacle").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write(format, rows(2), tmp_path)
    assert not (tmp_path / "manifest.json").exists()


def test_every_format_explains_itself_to_people_and_is_in_the_readme():
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    for format in ExportFormat:
        assert format.explanation
        assert f"`{format}`" in readme


@pytest.mark.parametrize("format", ExportFormat)
def test_the_manifest_names_every_file_with_its_hash_and_nothing_else_is_there(format, tmp_path):
    seen = []
    report = write(format, iter(rows(3)), tmp_path, progress=seen.append)
    manifest = read_manifest(tmp_path)
    on_disk = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert on_disk == {entry["name"] for entry in manifest["files"]} | {"manifest.json"}
    for entry in manifest["files"]:
        data = (tmp_path / entry["name"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (entry["sha256"], entry["bytes"])
    assert manifest["rows"] == report.rows == 3
    assert manifest["checkpoints"] == {"ck-1": 2}
    assert seen == [1, 2, 3]
    assert report.bytes == sum(path.stat().st_size for path in report.files)
    assert {p.relative_to(tmp_path).as_posix() for p in report.files} == on_disk


@pytest.mark.parametrize("format", ExportFormat)
def test_an_export_that_breaks_off_leaves_no_manifest_and_the_next_one_is_whole(format, tmp_path):
    def breaking():
        yield row(0)
        raise OSError("the store went away")

    with pytest.raises(OSError, match="went away"):
        write(format, breaking(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [".partial"]
    write(format, rows(2), tmp_path)
    assert read_manifest(tmp_path)["rows"] == 2
    assert not (tmp_path / ".partial").exists()


@pytest.mark.parametrize("format", ExportFormat)
def test_the_same_rows_written_twice_give_the_same_files(format, tmp_path):
    write(format, rows(6), tmp_path / "a")
    write(format, rows(6), tmp_path / "b")
    write(format, rows(2), tmp_path / "b")
    write(format, rows(6), tmp_path / "b")
    assert read_manifest(tmp_path / "a") == read_manifest(tmp_path / "b")


def test_a_smaller_export_over_a_larger_one_leaves_none_of_its_files(tmp_path):
    write(ExportFormat.JSONL, rows(4), tmp_path)
    write(ExportFormat.JSONL, rows(1), tmp_path)
    assert len(list(tmp_path.rglob("*.jpg"))) == 1


@pytest.mark.parametrize("format", ExportFormat)
def test_an_export_without_rows_is_a_valid_empty_one(format, tmp_path):
    report = write(format, [], tmp_path)
    assert report.rows == read_manifest(tmp_path)["rows"] == 0


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(Conflict, match="empty directory"):
        write(ExportFormat.JSONL, rows(1), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_hostile_document_name_never_becomes_a_path_nor_breaks_a_format(tmp_path):
    for format in ExportFormat:
        write(format, [row(0, name='../../x\x00\u202e<&"\t.pdf')], tmp_path / format)
    ET.parse(next((tmp_path / "alto").rglob("*.xml")))
    json.loads((tmp_path / "labelstudio" / "tasks.json").read_text())
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(ExportFormat)
