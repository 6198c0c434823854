"""Models of `paddleocr` (3.7), loaded with one of its engines.

    load("TextDetection", "PP-OCRv6_small_det", engine) -> predictor     .predict(images, ...) -> results
    bgr(image) -> array                                                  pages as the library takes them

The engine says what computes; the model's name says which weights. `onnxruntime` reads the PP-OCRv6 small
models of the rapidocr wheel and needs no network; `paddle` and `transformers` take the same models from the
hub, once, into the library's cache ($PADDLE_PDX_CACHE_HOME/official_models), unless a folder is named.
"""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from flywheel.errors import SetupError
from models.paddle.published import ONNX_FILES, laid_out

ENGINES = {  # and the packages that each needs, by the names they are imported with
    "onnxruntime": ("onnxruntime",),
    "paddle": ("paddle",),
    "transformers": ("torch", "torchvision", "transformers"),
}
ONNXRUNTIME = "onnxruntime"


def load(kind: str, model: str, engine: str, *, directory: Path | None = None, threads: int = 1) -> Any:
    """A warm predictor of the library's class `kind`. `threads` is what one call may use on a CPU.

    `directory` holds the model in the published layout (inference.yml and weights). Raises SetupError for an
    unknown engine, a package that is missing, and weights that are absent or do not fit.
    """
    library = _library(engine)
    with ExitStack() as stack:
        if directory is None and engine == ONNXRUNTIME and model in ONNX_FILES:
            directory = stack.enter_context(laid_out(model))
        try:
            return getattr(library, kind)(
                model_name=model,
                model_dir=None if directory is None else str(directory),
                engine=engine,
                engine_config=_onnxruntime(threads) if engine == ONNXRUNTIME else None,
                device=_device() if engine == ONNXRUNTIME else None,
                cpu_threads=threads,
            )
        except Exception as error:  # the library raises bare ones
            raise SetupError(_said(model, engine, directory, error)) from error


def bgr(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray H x W or RGB H x W x 3 as the library takes it: H x W x 3, blue first."""
    order = cv2.COLOR_GRAY2BGR if image.ndim == 2 else cv2.COLOR_RGB2BGR
    return np.asarray(cv2.cvtColor(image, order), dtype=np.uint8)


def _library(engine: str) -> Any:
    """The package, once it is sure that it and what the engine needs are there. Raises SetupError."""
    if engine not in ENGINES:
        raise SetupError(f"FLYWHEEL_PADDLE_ENGINE: {engine!r} is none of {', '.join(ENGINES)}")
    try:
        import paddleocr
    except ImportError as error:
        raise SetupError(
            f"paddleocr is not installed here ({error}). It needs an environment of its own: let a worker from "
            "deploy/Dockerfile.paddle read with it, or on this machine .venv-paddle, which make paddle-venv makes"
        ) from error
    missing = [name for name in ENGINES[engine] if importlib.util.find_spec(name) is None]
    if missing:
        raise SetupError(
            f"FLYWHEEL_PADDLE_ENGINE: the engine {engine!r} needs {', '.join(missing)} beside paddleocr: "
            "install that into its environment, or set the engine to onnxruntime"
        )
    return paddleocr


def _onnxruntime(threads: int) -> dict[str, Any]:
    return {
        "intra_op_num_threads": threads,
        "inter_op_num_threads": 1,
        "enable_cpu_mem_arena": False,  # sizes differ from page to page, and an arena keeps the largest for good
    }


def _device() -> str:
    """The library would take a GPU that torch or Paddle sees, whether or not this engine can use it."""
    import onnxruntime

    return "gpu" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu"


def _said(model: str, engine: str, directory: Path | None, error: Exception) -> str:
    causes = [str(error)]
    while (cause := error.__cause__) is not None and isinstance(cause, Exception):
        causes.append(str(cause))
        error = cause
    where = (
        "they come from the hub on first use; without it, put them into $PADDLE_PDX_CACHE_HOME/official_models/"
        if directory is None
        else f"looked for in {directory}/"
    )
    return f"paddleocr cannot load {model} with the engine {engine!r}: {'; '.join(causes)} (its weights: {where})"
