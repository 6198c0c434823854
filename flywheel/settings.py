"""Settings, read from the environment (prefix FLYWHEEL_) once and passed down.

Three URLs make a cluster; the embedded stack sets the same three for its children.
"""

from __future__ import annotations

import tempfile
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DeviceRule(StrEnum):
    """Rule for a GPU that serves both labelling and training."""

    TRAINING_FIRST = "training-first"
    TOGETHER = "together"


class PaddleEngine(StrEnum):
    """Library that runs PaddleOCR's models."""

    ONNXRUNTIME = "onnxruntime"
    PADDLE = "paddle"
    TRANSFORMERS = "transformers"


class Settings(BaseSettings):
    """All settings of the service. Field names are the environment variables' without the prefix."""

    model_config = SettingsConfigDict(env_prefix="FLYWHEEL_", extra="ignore", frozen=True)

    # Where the three servers are. No defaults on purpose: a worker without them is a mistake.
    database_url: str = Field(description="postgresql://user:password@host:port/name")
    redis_url: str = Field(description="redis://host:port/0 or redis+socket:///path")
    store_url: str = Field(description="file:///dir, or s3://key:secret@host:port/bucket?secure=false")

    # Where scratch files of this process go: page images, archives, training checkpoints.
    work_dir: Path = Field(default=Path(tempfile.gettempdir()) / "flywheel", description="scratch space")

    # Labelling
    shard_pages: int = Field(default=64, ge=1, le=512, description="pages in one shard")
    render_dpi: int = Field(default=150, ge=72, le=400, description="resolution a page is read at")
    pixel_limit: int = Field(default=40_000_000, description="most pixels of one rendered page")
    coarse_layout: bool = Field(
        default=True, description="find regions of sound text layers with the layout model"
    )
    verify_layers: bool = Field(
        default=True, description="hold a sample of each sound text layer against what its pages show"
    )
    page_seconds: float = Field(default=20.0, gt=0, description="wall limit for one page in MuPDF")
    child_memory: int = Field(default=2 << 30, description="address space of a MuPDF child, bytes")

    # Readers (flywheel/loop/readers.py): a folder with the published files, or owner/name@revision on the hub
    deepseek_ocr: str = Field(default="", description="weights of DeepSeek-OCR: folder, or owner/name@revision")
    deepseek_ocr_2: str = Field(
        default="", description="weights of DeepSeek-OCR-2: folder, or owner/name@revision"
    )
    got_ocr2: str = Field(default="", description="weights of GOT-OCR2.0: folder, or owner/name@revision")
    reader_mode: str = Field(
        default="auto", description="how DeepSeek-OCR looks at a page; auto: base, then gundam"
    )
    reader_tokens: int = Field(default=8192, ge=1, description="most tokens a page reader may answer with")
    reader_batch: int = Field(default=32, ge=1, description="pages a page reader has in hand at once")
    layout: str = Field(
        default="",
        description="PP-DocLayout V2, V3 or V4 (folder, or owner/name@revision): regions for readers of lines",
    )
    endpoint: str = Field(default="", description="base URL of an OpenAI-compatible server, ending in /v1")
    endpoint_model: str = Field(default="", description="the model's name there; empty: the only one it serves")
    endpoint_key: str = Field(default="", description="its API key, if it wants one")
    endpoint_requests: int = Field(default=16, ge=1, description="requests in flight to it at once")
    paddle_engine: PaddleEngine = Field(default=PaddleEngine.ONNXRUNTIME, description="runs PaddleOCR's models")

    device_rule: DeviceRule = Field(
        default=DeviceRule.TRAINING_FIRST,
        description="on a GPU that both want, labelling waits for training to end, or both share its memory",
    )

    # Intake
    upload_limit: int = Field(default=2 << 30, description="largest accepted upload, bytes")
    archive_entries: int = Field(default=100_000, description="most members of a ZIP")
    archive_bytes: int = Field(default=20 << 30, description="most bytes a ZIP may unpack to")
    archive_ratio: int = Field(default=200, description="most a ZIP may unpack to, times its size")

    # Loop
    sweep_seconds: float = Field(default=2.0, gt=0, description="pause between sweeps when nothing wakes one")
    lease_scale: float = Field(default=1.0, gt=0, description="lease lengths are multiplied by this")
    slots: int = Field(default=8, ge=1, description="hints a queue holds at most, about twice its slots")
    round_min_lines: int = Field(default=1000, description="new accepted lines that make a round due")
    round_interval_hours: float = Field(default=0.0, ge=0, description="time that makes a round due; 0: never")
    rounds_automatic: bool = Field(default=False, description="let the scheduler start rounds that are due")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Settings of this process. Raises pydantic.ValidationError that names the missing ones."""
    return Settings()  # type: ignore[call-arg]  # the fields come from the environment
