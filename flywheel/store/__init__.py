"""Blobs by content hash: a directory, or a bucket behind the S3 API; the same verbs.

    store = open_store("file:///var/lib/flywheel/store", work_dir)
    key = store.put(b"...")          # sha256/ab/cd/<64 hex digits>
    store.get(key)                   # the bytes, checked against the key

Reads that hand out a whole blob check it; `get_range` cannot, so its callers
bring their own check. A blob is visible when it is complete, never before.
Open a store after a fork, not before: the S3 one keeps a connection pool.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from flywheel.errors import SetupError
from flywheel.store.disk import DiskStore
from flywheel.store.interface import Store
from flywheel.store.keys import key_of
from flywheel.store.s3 import S3Address, S3Store

__all__ = ["DiskStore", "S3Address", "S3Store", "Store", "key_of", "open_store"]


def open_store(url: str, work_dir: Path) -> Store:
    """The store that `url` names; local copies of remote blobs are kept under `work_dir`.

    `file:///dir`, or `s3://key:secret@host:port/bucket?secure=false&region=us-east-1`
    (key and secret percent-encoded). Raises SetupError for a URL that names no store or
    credentials that are refused, StoreUnavailable when the server does not answer.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        return DiskStore(_directory(url))
    if scheme == "s3":
        return S3Store(s3_address(url), work_dir / "blobs")
    raise SetupError(f"a store URL begins with file:/// or s3://, this one with {scheme!r}")


def _directory(url: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise SetupError("a file store is an absolute directory: file:///dir")
    return Path(unquote(parts.path))


def s3_address(url: str) -> S3Address:
    """The parts of an s3:// URL; raises SetupError, without repeating the secret."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SetupError("the s3:// URL cannot be read; percent-encode the key and the secret") from error
    bucket = parts.path.strip("/")
    if not host or not bucket or "/" in bucket or not parts.username or not parts.password:
        raise SetupError("an S3 store is s3://key:secret@host:port/bucket")
    if unknown := options.keys() - {"secure", "region"}:
        raise SetupError(f"unknown options in the s3:// URL: {', '.join(sorted(unknown))}")
    secure = options.get("secure", "true").lower()
    if secure not in ("true", "false"):
        raise SetupError("secure in the s3:// URL is true or false")
    return S3Address(
        endpoint=f"{host}:{port}" if port else host,
        bucket=bucket,
        access_key=unquote(parts.username),
        secret_key=unquote(parts.password),
        secure=secure == "true",
        region=options.get("region", "us-east-1"),
    )
