"""Errors of the operating system, minio and urllib3, raised as the project's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from xml.etree.ElementTree import ParseError

from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from flywheel.errors import BlobCorrupt, BlobMissing, StoreUnavailable


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Around reads of a blob's file: a missing file is a missing blob."""
    try:
        yield
    except FileNotFoundError as error:
        raise BlobMissing(f"{what}: no such blob") from error
    except OSError as error:
        raise StoreUnavailable(f"{what}: {error}") from error


@contextmanager
def writing(what: str) -> Iterator[None]:
    """Around writes: a full disk is as transient as a dead mount."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{what}: {error}") from error


@contextmanager
def requesting(what: str) -> Iterator[None]:
    """Around calls to an S3 server.

    A lost bucket, refused credentials and an answer that is not S3 count as the server's
    trouble, not as the blob's: nothing is quarantined for them.
    """
    try:
        yield
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchVersion"):
            raise BlobMissing(f"{what}: no such blob") from error
        if error.code == "InvalidRange":
            raise BlobCorrupt(f"{what}: shorter than the range asked for") from error
        raise StoreUnavailable(f"{what}: {error.code}: {error.message}") from error
    except (MinioException, HTTPError, OSError, ParseError, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"{what}: {type(error).__name__}: {error}"[:500]) from error
