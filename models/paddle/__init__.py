"""PaddleOCR: text lines, their text and page layout by the models of `paddleocr`, with an engine of choice.

    page_reader(engine, checkpoint="paddleocr") -> a PageReader      detector and recogniser together
    PaddleLineDetector, PaddleRecogniser, PaddleLayout               each behind the interface of its kind

The library's pins contradict the rest of the service's, so it lives in an environment and a worker image
of its own (`make test-paddle`, deploy/Dockerfile.paddle) and is imported only when a model is loaded:
everywhere else these are ordinary modules whose constructors raise SetupError.
engine.py loads a model, published.py lays out the one that needs no download.
"""

from models.paddle.detector import PaddleLineDetector
from models.paddle.layout import PaddleLayout
from models.paddle.reader import page_reader
from models.paddle.recogniser import PaddleRecogniser

__all__ = ["PaddleLayout", "PaddleLineDetector", "PaddleRecogniser", "page_reader"]
