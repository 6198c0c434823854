"""One call's requests to a server: each with a deadline of its own, asked again while the budget lasts.

    Connection(client, url, budget, patience).ask(method, path, body, take) -> take(reply)

The deadline is for the whole exchange: a server that drips a byte a second is cut off like one that is silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from models.readers.endpoint.exchange import Away, Reply, RequestRefused, Spoiled
from models.readers.endpoint.patience import Budget, Patience

T = TypeVar("T")


class Session:
    """Sends through `client` to what lies under `url`."""

    def __init__(self, client: httpx.AsyncClient, url: str, budget: Budget, patience: Patience) -> None:
        self._client = client
        self._url = url
        self._budget = budget
        self._patience = patience

    async def ask(self, method: str, path: str, body: dict[str, Any] | None, take: Callable[[Reply], T]) -> T:
        """What `take` makes of the reply.

        Raises Refused at once, Spoiled when each of `patience.attempts` replies was of no use, and Transient when
        the budget is spent.
        """
        attempts = self._patience.attempts
        while True:
            try:
                async with self._budget.turn():
                    sent = time.monotonic()
                    result = take(await self._send(method, path, body))
            except RequestRefused:
                self._budget.answered()
                raise
            except Away as error:
                pause = self._budget.failed(sent, error, error.after)
            except Spoiled as error:
                attempts -= 1
                if not attempts:
                    raise
                pause = self._budget.failed(sent, error)
            else:
                self._budget.answered()
                return result
            await asyncio.sleep(pause)

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Reply:
        seconds = self._patience.answer
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, self._url + path, json=body) as response,
            ):
                return Reply(response.status_code, response.headers, await self._content(response))
        except TimeoutError as error:
            raise Spoiled(f"no whole reply within {seconds:g} s") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Away(f"no connection: {error}") from error
        except httpx.HTTPError as error:
            raise Spoiled(f"the exchange broke off: {type(error).__name__} {error}") from error

    async def _content(self, response: httpx.Response) -> bytes:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > self._patience.size:
                raise Spoiled(f"a reply of more than {self._patience.size} bytes")
        return bytes(content)
