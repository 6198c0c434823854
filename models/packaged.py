"""ONNX networks that the rapidocr wheel carries, opened on the CPU."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import rapidocr


def packaged_network(file: str) -> Path:
    """The path of a network's file inside the wheel."""
    return Path(rapidocr.__file__).parent / "models" / file


def open_packaged(file: str, threads: int) -> onnxruntime.InferenceSession:
    """A session of its own; one call may use `threads`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # image sizes differ, and an arena keeps the largest for good
    return onnxruntime.InferenceSession(str(packaged_network(file)), options, providers=["CPUExecutionProvider"])
