"""Training sets for others to load: one file a format, one way in.

    parquet      Hugging Face datasets, images inside
    webdataset   tar shards: key.jpg, key.json, key.txt
    jsonl        DeepSeek-OCR prompts and answers, images beside
    paddleocr    PaddleOCR's detection and recognition lists, with line pictures
    alto         ALTO 4.4, one XML file a page
    labelstudio  Label Studio tasks with our lines as predictions

`write` draws rows from any iterator, so an export of any size needs the memory of one
shard. Every row carries its lineage. Files appear under their final names only when all of
them are whole, and `manifest.json`, with the sha256 of each, is written last: a directory
without a manifest is not an export.
"""

from flywheel.export.rows import ExportedPage, ExportReport, Lineage
from flywheel.export.writing import FORMATS, read_manifest, write

__all__ = ["FORMATS", "ExportReport", "ExportedPage", "Lineage", "read_manifest", "write"]
