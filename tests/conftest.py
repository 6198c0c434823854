"""The real servers that tests run against: started here once, or named by the environment.

FLYWHEEL_TEST_DATABASE_URL (a user who may create databases), FLYWHEEL_TEST_REDIS_URL (a
database of its own: it is flushed) and FLYWHEEL_TEST_S3_URL (buckets are made beside the one
it names, and removed) stand in for the embedded servers.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from flywheel import database, sample
from flywheel.local import UNSAFE_SETTINGS, postgres_server, redis_server
from flywheel.local.postgres import SETTINGS
from flywheel.sample import SampleCorpus
from flywheel.settings import settings
from flywheel.store import open_store

SEED, SCALE = 7, 0.2  # of the sample corpus
SMALL = {"shared_buffers": "16MB"}  # making and dropping a database goes through all of them
# Files that take longest, so that pytest's processes end together: they are begun first, in this order. The whole
# loops run many processes of their own, so one is not begun beside the other.
LONGEST = (
    "end_to_end/test_whole_loop.py",
    "chaos/test_workers.py",
    "flywheel/local/test_local.py",
    "end_to_end/test_page_round.py",
    "chaos/test_servers.py",
    "models/page_training/test_data_parallel.py",
    "tasks/test_page_round.py",
    "chaos/test_documents.py",
    "chaos/test_hints.py",
    "tasks/test_labelling.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    place = {here / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def servers_dir() -> Iterator[Path]:
    """Not pytest's own temporary directory: that one is closed to the account Postgres runs as for root."""
    directory = Path(tempfile.mkdtemp(prefix="flywheel-tests-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres_url(servers_dir: Path) -> Iterator[str]:
    """A server's maintenance database."""
    if url := os.environ.get("FLYWHEEL_TEST_DATABASE_URL"):
        yield url
        return
    with postgres_server(servers_dir / "postgres", {**SETTINGS, **UNSAFE_SETTINGS, **SMALL}) as server:
        yield server.url("postgres")


def named(url: str, database_name: str) -> str:
    """The same server, another database."""
    return urlsplit(url)._replace(path=f"/{database_name}").geturl()


def run_sql(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)  # type: ignore[arg-type]  # names made here


@pytest.fixture(scope="session")
def template_database(postgres_url: str) -> Iterator[str]:
    """The name of a migrated database that fresh ones are copied from."""
    name = f"flywheel_template_{secrets.token_hex(4)}"
    run_sql(postgres_url, f"CREATE DATABASE {name}")
    database.upgrade(named(postgres_url, name))
    database.engine(named(postgres_url, name)).dispose()
    yield name
    run_sql(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_database_url(postgres_url: str) -> Iterator[str]:
    """A fresh database without tables."""
    yield from fresh_database(postgres_url, "template0")


@pytest.fixture
def database_url(postgres_url: str, template_database: str) -> Iterator[str]:
    """A fresh, migrated database."""
    yield from fresh_database(postgres_url, template_database)


def fresh_database(server: str, template: str) -> Iterator[str]:
    name = f"flywheel_{secrets.token_hex(6)}"
    run_sql(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield named(server, name)
    database.engine(named(server, name)).dispose()
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def redis_server_url(servers_dir: Path) -> Iterator[str]:
    if url := os.environ.get("FLYWHEEL_TEST_REDIS_URL"):
        yield url
        return
    with redis_server(servers_dir / "redis") as server:
        yield server.url()


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(redis_server_url) as client:
        client.flushdb()
    return redis_server_url


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """An empty store on disk."""
    return (tmp_path / "store").as_uri()


@pytest.fixture(scope="session")
def s3_server_url() -> Iterator[str]:
    """An S3 server, with the bucket whose name others are derived from."""
    if url := os.environ.get("FLYWHEEL_TEST_S3_URL"):
        yield url
        return
    from moto.server import ThreadedMotoServer  # slow to import, and few tests need it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"s3://testing:testing@{host}:{port}/flywheel?secure=false"
    server.stop()


@pytest.fixture
def s3_url(s3_server_url: str, tmp_path: Path) -> Iterator[str]:
    """An S3 server and the name of a bucket that does not exist yet."""
    parts = urlsplit(s3_server_url)
    url = parts._replace(path=f"{parts.path.rstrip('/')}-{secrets.token_hex(6)}").geturl()
    yield url
    store = open_store(url, tmp_path / "cleaning")
    for key in list(store.keys()):
        store.delete(key)
    store._client.remove_bucket(bucket_name=store._bucket)  # type: ignore[attr-defined]


@pytest.fixture(scope="session")
def sample_corpus(tmp_path_factory: pytest.TempPathFactory) -> SampleCorpus:
    """A small sample corpus, drawn by the first of pytest's processes that asks. To be read, not changed."""
    own = tmp_path_factory.getbasetemp()
    directory = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "sample-corpus"
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        drawn = (directory / "truth.json").exists()  # written last
        return sample.load(directory) if drawn else sample.draw(directory, seed=SEED, scale=SCALE)


@pytest.fixture
def environment(
    database_url: str, redis_url: str, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """The variables of a small cluster, set for this process, and to hand to its children."""
    values = {
        "FLYWHEEL_DATABASE_URL": database_url,
        "FLYWHEEL_REDIS_URL": redis_url,
        "FLYWHEEL_STORE_URL": store_url,
        "FLYWHEEL_WORK_DIR": str(tmp_path / "work"),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    yield values
    settings.cache_clear()
