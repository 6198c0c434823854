"""Silence: a Redis that takes connections and answers nothing, and a transaction that nobody ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import func, select, text

from flywheel.database import engine
from flywheel.database.tables import LeaseRow
from flywheel.local.ports import HOST, free_port
from flywheel.local.redis import RedisServer, prepare_redis
from tests.chaos.cluster import Cluster


class BlackHole:
    """TCP proxy to a port of this machine. While it is shut, connections stand and no byte comes through."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> BlackHole:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def shut(self) -> None:
        self._loop.call_soon_threadsafe(self._passing.clear)

    def open(self) -> None:
        self._loop.call_soon_threadsafe(self._passing.set)

    def _serve(self) -> None:
        self._passing.set()
        server = self._loop.run_until_complete(
            asyncio.start_server(self._relay, HOST, self.port)  # its handlers are tasks of this loop
        )
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await asyncio.open_connection(HOST, self._target)
        await asyncio.gather(self._pump(reader, their_writer), self._pump(their_reader, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(1 << 16):
                await self._passing.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
def own_redis(cluster: Cluster) -> Iterator[RedisServer]:
    """A running Redis of this cluster alone."""
    server = prepare_redis(cluster.directory / "redis", cluster.directory / "redis.log", free_port())
    process = server.spawn()
    cluster.wait("Redis", server.ready)
    yield server
    process.kill()
    process.wait(10)


@pytest.mark.chaos_long
def test_fault_9_a_redis_that_falls_silent_is_given_up_and_taken_up_again(
    cluster: Cluster, own_redis: RedisServer
) -> None:
    with BlackHole(own_redis.port) as hole:
        cluster.environment["FLYWHEEL_REDIS_URL"] = own_redis.url().replace(
            f":{own_redis.port}/", f":{hole.port}/"
        )
        sweep, worker = cluster.sweep(), cluster.worker()
        pages = cluster.books(4, 4)
        cluster.wait("some work", lambda: cluster.labels() > 0)
        hole.shut()
        pages += cluster.books(6, 5)
        cluster.wait("the sweep to give it up", lambda: "broker unavailable" in sweep.says)
        hole.open()
        cluster.settle(150)
        assert (sweep.process.poll(), worker.process.poll()) == (None, None)
    assert cluster.labels() == pages


def test_fault_17_a_transaction_that_stays_open_holds_up_no_work_and_has_an_end(cluster: Cluster) -> None:
    pages = cluster.books(6, 4)
    with engine().connect().execution_options(isolation_level="REPEATABLE READ") as idle:
        leases = select(func.count()).select_from(LeaseRow)
        before = idle.execute(leases).scalar_one()  # from here on its snapshot keeps every dead lease row
        cluster.sweep()
        cluster.worker()
        cluster.settle()
        assert cluster.labels() == pages
        assert idle.execute(leases).scalar_one() == before > 0
        assert idle.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one() == "1min"
