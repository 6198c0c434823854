"""The contract of a blob store: disk and S3 run through the same claims, S3 over real HTTP."""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from minio.error import InvalidResponseError, ServerError
from urllib3.exceptions import MaxRetryError, ProtocolError, ReadTimeoutError

import flywheel.store.s3 as s3_module
from flywheel.errors import BlobCorrupt, BlobMissing, FlywheelError, SetupError, StoreUnavailable, Transient
from flywheel.store import DiskStore, S3Store, Store, key_of, open_store, s3_address
from flywheel.store.cache import BlobCache
from flywheel.store.failures import reading, requesting, writing
from flywheel.store.keys import copy_checked


@pytest.fixture(params=["disk", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "disk":
        return open_store(f"file://{quote(str(tmp_path / 'a store'))}", tmp_path / "work")
    return open_store(request.getfixturevalue("s3_url"), tmp_path / "work")


def damage(store: Store, key: str, data: bytes) -> None:
    """Replace a blob's bytes behind the store's back."""
    if isinstance(store, DiskStore):
        (store.root / key).write_bytes(data)
    else:
        assert isinstance(store, S3Store)
        import io

        store._client.put_object(
            bucket_name=store._bucket, object_name=key, data=io.BytesIO(data), length=len(data)
        )


def flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def test_what_is_put_comes_back_under_its_hash(store: Store) -> None:
    data = os.urandom(100_000)
    key = store.put(data)
    digest = hashlib.sha256(data).hexdigest()
    assert key == key_of(data) == f"sha256/{digest[:2]}/{digest[2:4]}/{digest}"
    assert store.get(key) == data
    assert store.exists(key)


def test_the_empty_blob_is_a_blob(store: Store) -> None:
    key = store.put(b"")
    assert store.get(key) == b""
    with store.open_local(key) as path:
        assert path.read_bytes() == b""


def test_putting_twice_stores_once(store: Store) -> None:
    assert store.put(b"same") == store.put(b"same")
    assert list(store.keys()) == [key_of(b"same")]


def test_a_file_is_stored_like_its_bytes(store: Store, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(data)
    assert store.put_file(tmp_path / "file") == key_of(data)
    assert store.get(key_of(data)) == data


def test_a_source_file_that_is_missing_is_the_callers_error(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        store.put_file(tmp_path / "nothing")


def test_keys_come_in_order_and_only_for_blobs(store: Store) -> None:
    keys = [store.put(bytes([n])) for n in range(12)]
    assert list(store.keys()) == sorted(keys)


def test_a_range_is_exact_and_past_the_end_is_corrupt(store: Store) -> None:
    key = store.put(b"0123456789")
    assert store.get_range(key, 3, 4) == b"3456"
    assert store.get_range(key, 0, 10) == b"0123456789"
    assert store.get_range(key, 2, 0) == b""
    with pytest.raises(BlobCorrupt):
        store.get_range(key, 8, 4)
    with pytest.raises(BlobCorrupt):
        store.get_range(key, 50, 4)


READS: dict[str, Callable[[Store, str, Path], object]] = {
    "get": lambda store, key, _: store.get(key),
    "get_range": lambda store, key, _: store.get_range(key, 0, 1),
    "fetch": lambda store, key, scratch: store.fetch(key, scratch / "fetched"),
    "open_local": lambda store, key, _: store.open_local(key).__enter__(),
    "fetch_tree": lambda store, key, scratch: store.fetch_tree(key, scratch / "tree"),
}


@pytest.mark.parametrize("verb", READS)
def test_a_blob_that_was_never_put_is_missing(store: Store, verb: str, tmp_path: Path) -> None:
    with pytest.raises(BlobMissing):
        READS[verb](store, key_of(b"never"), tmp_path)
    assert not store.exists(key_of(b"never"))


@pytest.mark.parametrize("key", ["../../etc/passwd", "/etc/passwd", "", "sha256/00/00/00", "x\0y"])
def test_what_no_store_returned_is_no_key(store: Store, key: str) -> None:
    for verb in (store.get, store.exists, store.delete, store.open_local):
        with pytest.raises(BlobMissing), store.open_local(key) if verb == store.open_local else memoryview(b""):
            verb(key)


def test_a_deleted_blob_is_missing_and_deleting_again_is_harmless(store: Store) -> None:
    key = store.put(b"short life")
    store.delete(key)
    store.delete(key)
    with pytest.raises(BlobMissing):
        store.get(key)
    assert list(store.keys()) == []


@pytest.mark.parametrize("verb", ["get", "fetch", "open_local"])
def test_a_flipped_bit_is_noticed(store: Store, verb: str, tmp_path: Path) -> None:
    data = os.urandom(5000)
    key = store.put(data)
    damage(store, key, flipped(data))
    with pytest.raises(BlobCorrupt):
        READS[verb](store, key, tmp_path)
    assert not (tmp_path / "fetched").exists()


def test_putting_a_damaged_blob_again_heals_it(store: Store) -> None:
    key = store.put(b"precious")
    damage(store, key, b"precioux")
    store.put(b"precious")
    assert store.get(key) == b"precious"


def test_a_local_file_can_be_opened_again_and_again(store: Store) -> None:
    key = store.put(b"weights")
    for _ in range(3):
        with store.open_local(key) as path, store.open_local(key) as again:
            assert path.read_bytes() == again.read_bytes() == b"weights"


def test_a_hot_local_file_is_hashed_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    key = store.put(b"hot")
    with store.open_local(key):
        pass
    monkeypatch.setattr(hashlib, "file_digest", None)
    with store.open_local(key) as path:
        assert path.read_bytes() == b"hot"


def plant(directory: Path) -> dict[str, bytes]:
    files = {"a.json": b"{}", "deep/er/weights": os.urandom(200_000), "deep/empty": b""}
    for name, data in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return files


def contents(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_tree_comes_back_whole_under_a_key_of_its_content(store: Store, tmp_path: Path) -> None:
    files = plant(tmp_path / "tree")
    key = store.put_tree(tmp_path / "tree")
    assert store.put_tree(tmp_path / "tree") == key
    store.fetch_tree(key, tmp_path / "copies" / "first")
    assert contents(tmp_path / "copies" / "first") == files
    assert [p.name for p in (tmp_path / "copies").iterdir()] == ["first"]


def test_fetching_a_tree_again_repairs_what_is_missing(store: Store, tmp_path: Path) -> None:
    files = plant(tmp_path / "tree")
    key = store.put_tree(tmp_path / "tree")
    store.fetch_tree(key, tmp_path / "copy")
    (tmp_path / "copy" / "a.json").unlink()
    store.fetch_tree(key, tmp_path / "copy")
    assert contents(tmp_path / "copy") == files


def test_a_tree_with_a_damaged_or_missing_file_is_not_fetched_in_part(store: Store, tmp_path: Path) -> None:
    files = plant(tmp_path / "tree")
    key = store.put_tree(tmp_path / "tree")
    damage(store, key_of(files["deep/er/weights"]), b"x")
    with pytest.raises(BlobCorrupt):
        store.fetch_tree(key, tmp_path / "copies" / "one")
    store.delete(key_of(files["deep/er/weights"]))
    with pytest.raises(BlobMissing):
        store.fetch_tree(key, tmp_path / "copies" / "one")
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("path", ["/etc/cron.d/x", "../x", "a/../../x", ""])
def test_a_manifest_cannot_write_outside_its_tree(store: Store, tmp_path: Path, path: str) -> None:
    inner = store.put(b"payload")
    key = store.put(json.dumps({"files": [{"path": path, "key": inner, "size": 7}]}).encode())
    with pytest.raises(BlobCorrupt):
        store.fetch_tree(key, tmp_path / "tree")


def test_a_blob_that_is_no_manifest_is_no_tree(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BlobCorrupt):
        store.fetch_tree(store.put(b"\xff not json"), tmp_path / "tree")


def test_an_empty_directory_is_no_tree(store: Store, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no file"):
        store.put_tree(tmp_path / "empty")


def test_many_threads_may_put_and_open_the_same_blob(store: Store) -> None:
    data, failures = os.urandom(300_000), []

    def use() -> None:
        try:
            with store.open_local(store.put(data)) as path:
                assert path.read_bytes() == data
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


# Disk alone


def test_a_full_disk_is_transient_and_leaves_no_blob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = DiskStore(tmp_path)

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreUnavailable, match="No space left"):
        store.put(b"too much")
    assert list(store.keys()) == []
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_real_write_limit_is_transient_too(tmp_path: Path) -> None:
    """/dev/full answers ENOSPC from the kernel itself."""
    with pytest.raises(StoreUnavailable, match="No space left"), writing("x"), open("/dev/full", "wb", 0) as out:
        out.write(b"x")


def test_what_a_crash_left_is_swept_after_a_day_and_not_before(tmp_path: Path) -> None:
    store = DiskStore(tmp_path)
    old, young = tmp_path / "incoming" / "old", tmp_path / "incoming" / "young"
    old.write_bytes(b"half")
    young.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * 86400,) * 2)
    assert list(store.keys()) == []
    DiskStore(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_a_store_directory_that_cannot_be_made_is_a_setup_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SetupError):
        open_store(f"file://{tmp_path}/file/store", tmp_path)


# The edge: what vendors raise


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


# S3 alone: a server that misbehaves, on a real socket


class Wire(http.server.BaseHTTPRequestHandler):
    """Answers HEAD bucket with 200, and everything else as `answer` says."""

    answer: Callable[[Wire], None]
    requests: list[str]

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        type(self).answer(self)

    do_PUT = do_GET

    def log_message(self, *_: object) -> None:
        pass

    def reply(self, status: int, body: bytes, kind: str = "application/octet-stream", length: int = -1) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length < 0 else length))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def misbehaving(answer: Callable[[Wire], None], work: Path) -> Iterator[tuple[Store, list[str]]]:
    handler = type("Handler", (Wire,), {"answer": staticmethod(answer), "requests": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        url = f"s3://key:secret@127.0.0.1:{server.server_port}/bucket?secure=false"
        yield open_store(url, work), handler.requests  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(s3_module, "RETRIES", 1)


def drip(wire: Wire) -> None:
    wire.reply(200, b"", length=1000)
    end = threading.Event()
    for _ in range(20):
        try:
            wire.wfile.write(b"x")
            wire.wfile.flush()
        except OSError:
            return
        end.wait(0.1)


ANSWERS: dict[str, tuple[Callable[[Wire], None], type[FlywheelError]]] = {
    "503": (lambda wire: wire.reply(503, b""), StoreUnavailable),
    "html": (lambda wire: wire.reply(404, b"<html>", "text/html"), StoreUnavailable),
    "bad xml": (lambda wire: wire.reply(400, b"<Error", "application/xml"), StoreUnavailable),
    "hangs up": (lambda wire: wire.connection.close(), StoreUnavailable),
    "breaks off": (lambda wire: wire.reply(200, b"half", length=100), StoreUnavailable),
    "drips": (drip, StoreUnavailable),
    "200 with an error": (
        lambda wire: wire.reply(200, b"<Error><Code>InternalError</Code></Error>", "application/xml"),
        BlobCorrupt,
    ),
}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ANSWERS)
def test_a_server_that_misbehaves_is_never_believed(name: str, tmp_path: Path) -> None:
    answer, expected = ANSWERS[name]
    key = key_of(b"the true bytes")
    with misbehaving(answer, tmp_path) as (store, _):
        with pytest.raises(expected):
            store.get(key)
        with pytest.raises(expected):
            store.fetch(key, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("impatient")
def test_bytes_damaged_on_the_way_are_asked_for_once_more(tmp_path: Path) -> None:
    data = b"the true bytes"
    answers = [flipped(data), data]
    with misbehaving(lambda wire: wire.reply(200, answers.pop(0)), tmp_path) as (store, requests):
        assert store.get(key_of(data)) == data
    assert len(requests) == 2


@pytest.mark.usefixtures("impatient")
def test_no_server_at_all_is_transient(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        open_store("s3://key:secret@127.0.0.1:9/bucket?secure=false", tmp_path)


def test_a_server_that_refuses_the_credentials_is_a_setup_error(tmp_path: Path) -> None:
    class Refusing(Wire):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        with pytest.raises(SetupError, match="refuses"):
            open_store(f"s3://key:secret@127.0.0.1:{server.server_port}/bucket?secure=false", tmp_path)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_large_file_goes_up_in_parts(s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_module, "PART_BYTES", 5 << 20)
    store = open_store(s3_url, tmp_path / "work")
    data = os.urandom(1 << 20) * 11
    (tmp_path / "file").write_bytes(data)
    assert store.get(store.put_file(tmp_path / "file")) == data


# S3's local copies


@pytest.fixture
def cache(tmp_path: Path) -> BlobCache:
    def fetch(key: str, path: Path) -> None:
        data = BLOBS[key]
        with path.open("wb") as target:
            copy_checked(key, [data], target)

    return BlobCache(tmp_path / "cache", fetch, limit=2500)


BLOBS = {key_of(data): data for data in (bytes([n]) * 1000 for n in range(5))}


def test_the_cache_stays_within_its_limit_and_drops_the_least_recently_used(
    cache: BlobCache, tmp_path: Path
) -> None:
    first, second, third = list(BLOBS)[:3]
    for key in (first, second, first, third):
        with cache.open(key) as path:
            assert path.read_bytes() == BLOBS[key]
    kept = {path.name for path in (tmp_path / "cache").iterdir()}
    assert kept == {key.rpartition("/")[2] for key in (first, third)}


def test_a_file_in_use_is_never_evicted(cache: BlobCache) -> None:
    first, *others = BLOBS
    with cache.open(first) as path:
        for key in others:
            with cache.open(key):
                pass
        assert path.read_bytes() == BLOBS[first]


def test_a_local_copy_that_was_tampered_with_is_fetched_again(cache: BlobCache) -> None:
    key = next(iter(BLOBS))
    with cache.open(key) as path:
        pass
    path.write_bytes(b"tampered")
    with cache.open(key) as path:
        assert path.read_bytes() == BLOBS[key]


# URLs


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/just/a/path",
        "ftp://host/dir",
        "file://elsewhere/dir",
        "file:relative",
        "s3://host/bucket",
        "s3://key:hush@host",
        "s3://key:hush@host/bucket/deeper",
        "s3://key:hush@host/bucket?secure=perhaps",
        "s3://key:hush@host/bucket?sekure=false",
        "s3://key:hush@host:port/bucket",
    ],
)
def test_a_url_that_names_no_store_is_a_setup_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        open_store(url, tmp_path)
    assert "hush" not in str(caught.value)


def test_an_s3_url_is_taken_apart_and_its_secret_stays_out_of_repr() -> None:
    address = s3_address("s3://AK%2F1:s%40cret@host:9000/bucket?secure=false&region=eu-west-2")
    assert (address.endpoint, address.bucket, address.access_key, address.secret_key) == (
        "host:9000",
        "bucket",
        "AK/1",
        "s@cret",
    )
    assert (address.secure, address.region) == (False, "eu-west-2")
    assert "s@cret" not in repr(address)
