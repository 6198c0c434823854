"""Celery's application, and hints: messages that carry a shard's id to the workers of its queue.

A hint is all that travels. The database redelivers, so acknowledgement is early and Celery retries nothing: with
late acknowledgement, killed workers lost tasks for good (docs/faults.md, faults 1 to 4).
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from celery import Celery
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis import Redis
from redis.exceptions import RedisError

from flywheel.errors import BrokerUnavailable
from flywheel.settings import settings
from flywheel.work.route import QUEUES, ROUTE

app = Celery("flywheel", broker=os.environ.get("FLYWHEEL_REDIS_URL", "redis://"), include=[])
app.conf.update(
    task_acks_late=False,
    task_reject_on_worker_lost=False,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    task_serializer="json",
    accept_content=["json"],
    task_queues=[Queue(name, routing_key=name) for name in QUEUES],
    task_routes={stop.task: {"queue": stop.queue} for stop in ROUTE.values()},
    task_default_queue="control",
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "visibility_timeout": 3600,
    },
)


def publish(hints: Sequence[tuple[int, str]]) -> None:
    """Send one hint for each (shard id, stop). Raises BrokerUnavailable when Redis refuses."""
    try:
        with app.connection_for_write(url=settings().redis_url) as connection:
            producer = app.amqp.Producer(connection)
            for shard_id, stop in hints:
                app.send_task(
                    ROUTE[stop].task,
                    args=[shard_id],
                    queue=ROUTE[stop].queue,
                    producer=producer,
                    retry=False,
                )
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerUnavailable(str(error)) from error


def redis_client() -> Redis:
    """A client of the broker's Redis, for `backlog`."""
    url = settings().redis_url.replace("redis+socket://", "unix://")
    return Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)


def backlog(client: Redis, queue: str) -> int:
    """Hints waiting in a queue. Raises BrokerUnavailable."""
    try:
        return int(client.llen(queue))
    except (RedisError, OSError) as error:
        raise BrokerUnavailable(str(error)) from error
