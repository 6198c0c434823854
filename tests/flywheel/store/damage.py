"""Ways to damage what a store keeps."""

from __future__ import annotations

from flywheel.store import DiskStore, S3Store, Store


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
