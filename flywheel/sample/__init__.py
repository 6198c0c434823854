"""A sample corpus drawn on the spot: born-digital and scanned Tibetan, English, Chinese, and damaged files."""

from flywheel.sample.corpus import DocumentKind, SampleCorpus, SampleDocument, draw, load

__all__ = ["DocumentKind", "SampleCorpus", "SampleDocument", "draw", "load"]
