"""A page reader behind an OpenAI-compatible server (vLLM, SGLang): one chat completion a page.

    EndpointReader(url, model).read_many(pages) -> readings

At most `requests` pages are under way; an image is encoded just before it is sent. A page that the server refuses,
or cannot answer while it answers others, has an empty label and the flaw "refused" or "unanswered". A server
that is away raises Transient, and one that is set up wrong SetupError.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace

import httpx
import numpy as np

from flywheel.document import PageReading
from flywheel.errors import SetupError, Transient
from models.readers.answers import page_reading
from models.readers.endpoint.connection import ServerConnection
from models.readers.endpoint.exchange import (
    RequestRefused,
    RequestTemplate,
    ServerAnswer,
    ServerNgramGuard,
    UnusableReply,
    answer_of,
    data_url,
    json_of,
    refused_options,
)
from models.readers.endpoint.retries import RetryBudget, RetryPolicy
from models.readers.protocol import PageInput

PROMPT = "<|grounding|>Convert the document to markdown."  # DeepSeek-OCR's; the server puts the image before it
REFUSED, UNANSWERED = "refused", "unanswered"
GUARD, POLICY = ServerNgramGuard(), RetryPolicy()
BLANK = np.full((64, 64), 255, np.uint8)  # an image that any server takes


class EndpointReader:
    """Reads pages through `url` (a base URL, ending in /v1 as a rule). `model` "" is the only one served there."""

    def __init__(
        self,
        url: str,
        model: str = "",
        *,
        key: str = "",
        checkpoint: str = "endpoint",
        producer: str = "endpoint",
        requests: int = 16,
        prompt: str = PROMPT,
        limit: int = 8192,
        guard: ServerNgramGuard | None = GUARD,
        policy: RetryPolicy = POLICY,
    ) -> None:
        self._url = _base_url(url)
        self._tls = httpx.create_ssl_context() if self._url.startswith("https:") else False
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._request = RequestTemplate(model, prompt, limit, guard)
        self._checkpoint = checkpoint
        self._producer = producer
        self._requests = requests
        self._policy = policy
        self._without: frozenset[str] = frozenset()  # options that this server does not take
        self._has_answered = False  # the server has answered some page
        self._calls = threading.Lock()  # `requests` holds for all threads together

    @property
    def checkpoint(self) -> str:
        return self._checkpoint

    @property
    def producer(self) -> str:
        return self._producer

    def read_many(self, pages: Sequence[PageInput]) -> list[PageReading]:
        """Readings of pages, in their order. Not to be called from inside an event loop.

        Raises Transient when the server does not answer, SetupError when it never will.
        """
        if not pages:
            return []
        with self._calls:
            return asyncio.run(self._read_all(pages))

    async def _read_all(self, pages: Sequence[PageInput]) -> list[PageReading]:
        readings: dict[int, PageReading] = {}
        queue = iter(enumerate(pages))
        budget = RetryBudget(self._policy, len(pages))
        limits = httpx.Limits(max_connections=self._requests)
        timeout = httpx.Timeout(None, connect=self._policy.connect)  # of the whole: see ServerConnection
        async with httpx.AsyncClient(
            headers=self._headers, timeout=timeout, limits=limits, verify=self._tls
        ) as client:
            connection = ServerConnection(client, self._url, budget, self._policy)
            if not self._request.model:
                self._request = replace(self._request, model=await _only_model(connection))
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self._requests, len(pages))):
                        group.create_task(self._work(connection, queue, readings))
            except BaseExceptionGroup as errors:
                raise _first(errors)  # noqa: B904  # it keeps the cause it has
        return [readings[place] for place in range(len(pages))]

    async def _work(
        self,
        connection: ServerConnection,
        queue: Iterator[tuple[int, PageInput]],
        readings: dict[int, PageReading],
    ) -> None:
        """Read page after page from the queue that all workers of a call share."""
        for place, page in queue:
            readings[place] = await self._read(connection, page)

    async def _read(self, connection: ServerConnection, page: PageInput) -> PageReading:
        image = await asyncio.to_thread(data_url, page.image)
        try:
            answer = await self._answer(connection, self._request, image)
        except RequestRefused as error:
            if not self._has_answered:
                await self._check_server(connection, error)
            return self._reading(ServerAnswer(""), page, REFUSED)
        except UnusableReply as error:
            await self._check_server(connection, error)
            return self._reading(ServerAnswer(""), page, UNANSWERED)
        return self._reading(answer, page)

    async def _answer(self, connection: ServerConnection, request: RequestTemplate, image: str) -> ServerAnswer:
        """The answer about one image. Options that the server refuses are left out, now and afterwards."""
        without = self._without
        while True:
            try:
                answer = await connection.request(
                    "POST", "/chat/completions", request.body(image, without), answer_of
                )
            except RequestRefused as error:
                named = refused_options(error, without)
                if not named:
                    raise
                without |= named
            else:
                self._without |= without
                self._has_answered = True
                return answer

    async def _check_server(self, connection: ServerConnection, error: Exception) -> None:
        """Request a blank image's text, to know that the page was at fault and not the server."""
        try:
            await self._answer(connection, replace(self._request, limit=1), data_url(BLANK))
        except RequestRefused as refusal:
            raise SetupError(f"the endpoint refuses even a blank image: {refusal}") from error
        except UnusableReply as failure:
            raise Transient(f"the endpoint does not answer: {failure}") from error

    def _reading(self, answer: ServerAnswer, page: PageInput, *flaws: str) -> PageReading:
        reading = page_reading(
            answer.text,
            page,
            pieces=answer.pieces,
            truncated=answer.truncated,
            checkpoint=self._checkpoint,
            producer=self._producer,
            text_tokens=answer.tokens,
        )
        return replace(reading, flaws=reading.flaws + flaws)


def _base_url(url: str) -> str:
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL:
        parts = httpx.URL()
    if parts.scheme not in ("http", "https") or not parts.host:
        raise SetupError(f"FLYWHEEL_ENDPOINT is no http:// or https:// URL: {url!r}")
    return url.rstrip("/")


async def _only_model(connection: ServerConnection) -> str:
    """The model that the server serves; raises SetupError when it is not one."""
    try:
        listed = (await connection.request("GET", "/models", None, json_of)).get("data")
    except RequestRefused as error:
        raise SetupError(f"the endpoint lists no models, set FLYWHEEL_ENDPOINT_MODEL: {error}") from error
    except UnusableReply as error:
        raise Transient(f"the endpoint does not answer: {error}") from error
    entries = listed if isinstance(listed, list) else []
    names = [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]
    if len(names) != 1:
        raise SetupError(
            f"set FLYWHEEL_ENDPOINT_MODEL to one of the models served there: {', '.join(names) or 'none'}"
        )
    return names[0]


def _first(errors: BaseExceptionGroup) -> BaseException:
    """The first error, out of its groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
