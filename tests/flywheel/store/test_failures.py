"""Every vendor's error is one of ours."""

from __future__ import annotations

import errno
import os

import pytest
from minio.error import InvalidResponseError, ServerError
from urllib3.exceptions import MaxRetryError, ProtocolError, ReadTimeoutError

from flywheel.errors import BlobCorrupt, BlobMissing, FlywheelError, StoreUnavailable, Transient
from flywheel.store.failures import reading, requesting, writing


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("NoSuchKey", BlobMissing),
        ("NoSuchVersion", BlobMissing),
        ("InvalidRange", BlobCorrupt),
        ("NoSuchBucket", StoreUnavailable),
        ("AccessDenied", StoreUnavailable),
        ("SignatureDoesNotMatch", StoreUnavailable),
        ("SlowDown", StoreUnavailable),
        ("InternalError", StoreUnavailable),
        ("XMinioStorageFull", StoreUnavailable),
    ],
)
def test_every_s3_code_is_mapped(code: str, expected: type[FlywheelError]) -> None:
    from minio.error import S3Error

    with pytest.raises(expected), requesting("blob"):
        raise S3Error(None, code, "said the server", "/b/k", "1", "2")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "error",
    [
        InvalidResponseError(502, "text/html", "<html>"),
        ServerError("500", 500),
        MaxRetryError(None, "/"),  # type: ignore[arg-type]
        ReadTimeoutError(None, "/", "slow"),  # type: ignore[arg-type]
        ProtocolError("reset"),
        ConnectionResetError(),
        OSError(errno.ENOSPC, "full"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_other_failure_to_speak_is_transient(error: Exception) -> None:
    with pytest.raises(Transient), requesting("blob"):
        raise error


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EDQUOT, errno.EACCES, errno.ESTALE])
def test_every_disk_error_but_absence_is_transient(number: int) -> None:
    for scope in (reading, writing):
        with pytest.raises(StoreUnavailable), scope("blob"):
            raise OSError(number, os.strerror(number))
    with pytest.raises(BlobMissing), reading("blob"):
        raise FileNotFoundError
