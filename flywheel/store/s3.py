"""Blobs in a bucket, through the minio SDK; the contract is the S3 API, not one server.

The SDK's own HTTP defaults (300 s, five tries) would hold a lease past its end, so
this store brings its own. Whole reads are hashed, and one that does not match its
key is asked for once more before the blob is called corrupt: the wire may lie, too.
"""

from __future__ import annotations

import hashlib
import io
import logging
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import urllib3
from minio import Minio
from minio.commonconfig import ENABLED, Filter
from minio.error import MinioException, S3Error
from minio.lifecycleconfig import AbortIncompleteMultipartUpload, LifecycleConfig, Rule
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from flywheel.errors import BlobCorrupt, BlobMissing, SetupError, StoreUnavailable
from flywheel.store.cache import BlobCache
from flywheel.store.disk import replace_file
from flywheel.store.failures import requesting, writing
from flywheel.store.keys import CHUNK, KEY, check_data, check_key, copy_checked, key_from, key_of
from flywheel.store.tree import fetch_tree, put_tree

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 20.0  # between two packets
SLOWEST = 256 * 1024  # bytes a second, after SILENCE_SECONDS: a server that drips counts as down
RETRIES = 2
PART_BYTES = 64 << 20
CACHE_BYTES = 8 << 30
REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidBucketName")


@dataclass(frozen=True, slots=True)
class S3Address:
    """Address of a bucket and the keys to it. The secret stays out of `repr`."""

    endpoint: str
    bucket: str
    access_key: str
    secret_key: str = field(repr=False)
    secure: bool = True
    region: str = "us-east-1"


class S3Store:
    """A Store in a bucket, which is made when it is missing. Raises SetupError when it may not be used."""

    def __init__(self, address: S3Address, cache_dir: Path, cache_bytes: int = CACHE_BYTES) -> None:
        self._bucket = address.bucket
        self._client = Minio(
            endpoint=address.endpoint,
            access_key=address.access_key,
            secret_key=address.secret_key,
            secure=address.secure,
            region=address.region,
            http_client=_http_client(),
        )
        self._cache = BlobCache(cache_dir, self.fetch, cache_bytes)
        self._open_bucket()

    def put(self, data: bytes) -> str:
        key = key_of(data)
        with requesting(key):
            self._client.put_object(
                bucket_name=self._bucket,
                object_name=key,
                data=io.BytesIO(data),
                length=len(data),
                part_size=PART_BYTES,
            )
        return key

    def put_file(self, path: Path) -> str:
        with path.open("rb") as source:
            key = key_from(hashlib.file_digest(source, "sha256").hexdigest())
            length = source.tell()
            source.seek(0)
            with requesting(key):
                self._client.put_object(
                    bucket_name=self._bucket,
                    object_name=key,
                    data=source,
                    length=length,
                    part_size=PART_BYTES,
                )
        return key

    def get(self, key: str) -> bytes:
        try:
            return self._read_whole(key)
        except BlobCorrupt:
            return self._read_whole(key)

    def get_range(self, key: str, offset: int, length: int) -> bytes:
        check_key(key)
        if length == 0:  # the SDK takes 0 for "to the end"
            return b""
        with requesting(key), self._response(key, offset, length) as response:
            data = b"".join(_chunks(response, length))
        if len(data) != length:
            raise BlobCorrupt(f"{key}: ends at byte {offset + len(data)}, {offset + length} were asked for")
        return data

    def fetch(self, key: str, path: Path) -> None:
        check_key(key)
        with writing(str(path)):
            try:
                replace_file(path, lambda target: copy_checked(key, self._stream(key), target))
            except BlobCorrupt:
                replace_file(path, lambda target: copy_checked(key, self._stream(key), target))

    def open_local(self, key: str) -> AbstractContextManager[Path]:
        return self._cache.open(check_key(key))

    def exists(self, key: str) -> bool:
        check_key(key)
        try:
            with requesting(key):
                self._client.stat_object(bucket_name=self._bucket, object_name=key)
        except BlobMissing:
            return False
        return True

    def delete(self, key: str) -> None:
        with requesting(check_key(key)):
            self._client.remove_object(bucket_name=self._bucket, object_name=key)

    def keys(self) -> Iterator[str]:
        with requesting(f"bucket {self._bucket}"):
            found = self._client.list_objects(bucket_name=self._bucket, prefix="sha256/", recursive=True)
            for item in found:
                if KEY.fullmatch(name := item.object_name or ""):
                    yield name

    def put_tree(self, directory: Path) -> str:
        return put_tree(self, directory)

    def fetch_tree(self, key: str, directory: Path) -> None:
        fetch_tree(self, key, directory)

    def _read_whole(self, key: str) -> bytes:
        return check_data(key, b"".join(self._stream(check_key(key))))

    def _stream(self, key: str) -> Iterator[bytes]:
        with requesting(key), self._response(key) as response:
            yield from _chunks(response, int(response.headers.get("content-length") or 0))

    @contextmanager
    def _response(self, key: str, offset: int = 0, length: int = 0) -> Iterator[BaseHTTPResponse]:
        response = self._client.get_object(bucket_name=self._bucket, object_name=key, offset=offset, length=length)
        try:
            yield response
        finally:
            response.close()
            response.release_conn()

    def _open_bucket(self) -> None:
        try:
            with requesting(f"bucket {self._bucket}"):
                if not self._client.bucket_exists(bucket_name=self._bucket):
                    self._make_bucket()
        except StoreUnavailable as error:
            if isinstance(error.__cause__, S3Error) and error.__cause__.code in REFUSED:
                raise SetupError(f"the S3 server refuses: {error}") from error
            raise
        except ValueError as error:  # the SDK's own check of bucket names and endpoints
            raise SetupError(f"the S3 store cannot be used: {error}") from error

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(bucket_name=self._bucket)
        except S3Error as error:
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        rule = Rule(
            status=ENABLED,
            rule_filter=Filter(prefix=""),
            rule_id="flywheel-abandoned-uploads",
            abort_incomplete_multipart_upload=AbortIncompleteMultipartUpload(days_after_initiation=7),
        )
        try:
            self._client.set_bucket_lifecycle(bucket_name=self._bucket, config=LifecycleConfig([rule]))
        except (MinioException, HTTPError) as error:
            log.info("the S3 server keeps no lifecycle rules; abandoned uploads stay: %s", error)


def _http_client() -> urllib3.PoolManager:
    return urllib3.PoolManager(
        maxsize=16,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=SILENCE_SECONDS),
        retries=urllib3.Retry(total=RETRIES, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
    )


def _chunks(response: BaseHTTPResponse, length: int) -> Iterator[bytes]:
    """The body in pieces; raises StoreUnavailable when it comes slower than SLOWEST."""
    deadline = time.monotonic() + SILENCE_SECONDS + length / SLOWEST
    while chunk := response.read1(CHUNK):
        yield chunk
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"{length} bytes took longer than {SILENCE_SECONDS} s and {SLOWEST} bytes/s")
