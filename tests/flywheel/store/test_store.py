"""Blobs: the same claims for every kind of store, and the URLs that name one."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flywheel.errors import BlobCorrupt, BlobMissing, SetupError
from flywheel.store import Store, key_of, open_store, s3_address
from tests.flywheel.store.damage import damage, flipped


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
