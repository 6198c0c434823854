"""One call's requests to a server: each with a deadline of its own, tried again while the budget lasts.

    ServerConnection(client, url, budget, policy).request(method, path, body, parse) -> parse(reply)

The deadline is for the whole exchange: a server that drips a byte a second is cut off like one that is silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from models.readers.endpoint.exchange import Reply, RequestRefused, ServerUnavailable, UnusableReply
from models.readers.endpoint.retries import RetryBudget, RetryPolicy

T = TypeVar("T")


class ServerConnection:
    """Sends through `client` to what lies under `url`."""

    def __init__(self, client: httpx.AsyncClient, url: str, budget: RetryBudget, policy: RetryPolicy) -> None:
        self._client = client
        self._url = url
        self._budget = budget
        self._policy = policy

    async def request(self, method: str, path: str, body: dict[str, Any] | None, parse: Callable[[Reply], T]) -> T:
        """Send, and parse the reply with `parse`.

        Raises RequestRefused at once, UnusableReply when each of `policy.attempts` replies was of no use, and
        Transient when the budget is spent.
        """
        attempts = self._policy.attempts
        while True:
            try:
                async with self._budget.admission():
                    sent = time.monotonic()
                    result = parse(await self._send(method, path, body))
            except RequestRefused:
                self._budget.record_answer()
                raise
            except ServerUnavailable as error:
                pause = self._budget.record_failure(sent, error, error.after)
            except UnusableReply as error:
                attempts -= 1
                if not attempts:
                    raise
                pause = self._budget.record_failure(sent, error)
            else:
                self._budget.record_answer()
                return result
            await asyncio.sleep(pause)

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Reply:
        seconds = self._policy.answer
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, self._url + path, json=body) as response,
            ):
                return Reply(response.status_code, response.headers, await self._content(response))
        except TimeoutError as error:
            raise UnusableReply(f"no whole reply within {seconds:g} s") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ServerUnavailable(f"no connection: {error}") from error
        except httpx.HTTPError as error:
            raise UnusableReply(f"the exchange broke off: {type(error).__name__} {error}") from error

    async def _content(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > self._policy.reply_bytes:
                raise UnusableReply(f"a reply of more than {self._policy.reply_bytes} bytes")
        return bytes(content)
