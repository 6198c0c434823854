"""Training sets for others to load: one module a format, one function for all.

The formats are listed in flywheel/export/formats.py. `write` draws rows from any iterator, so an
export of any size needs the memory of one shard. Every row carries its lineage. Files appear under
their final names only when all of them are whole, and `manifest.json`, with the sha256 of each, is
written last: a directory without a manifest is not an export.
"""

from flywheel.export.formats import ExportFormat
from flywheel.export.rows import ExportedPage, ExportReport, Lineage
from flywheel.export.writing import MANIFEST, read_manifest, write

__all__ = ["MANIFEST", "ExportFormat", "ExportReport", "ExportedPage", "Lineage", "read_manifest", "write"]
