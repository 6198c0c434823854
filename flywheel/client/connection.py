"""HTTP connection under the client: requests, tried again where that is harmless, and answers as models."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter, ValidationError

from flywheel import wire
from flywheel.errors import ApiError

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
OnBytes = Callable[[int], None]

CHUNK = 1 << 18
TRIES = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0  # seconds
POLL_SHARE = 10  # a poll that took 0.2 s is followed by a pause of 2 s


def ignore_bytes(_: int) -> None:
    """Discard the progress."""


class ApiConnection:
    """Pool of connections to one server, with the key that goes with every request."""

    def __init__(self, url: str, key: str, timeout: float, transport: httpx.BaseTransport | None) -> None:
        self.url = url
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(timeout, connect=5.0),
            transport=transport,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, url: str, model: type[M], **params: Any) -> M:
        return parse(self.request("GET", url, params=params), model)

    def listed(self, url: str, model: type[M], **params: Any) -> list[M]:
        response = self.request("GET", url, params=params)
        try:
            return TypeAdapter(list[model]).validate_json(response.content)  # type: ignore[valid-type]
        except ValidationError as error:
            raise _strange(response) from error

    def post(self, url: str, model: type[M], body: Mapping[str, Any]) -> M:
        return parse(self.request("POST", url, json=body), model)

    def listing(self, url: str, model: type[Any], params: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the items of every page of a listing, by following its cursors."""
        cursor: str | None = None
        while True:
            batch = self.get(url, model, **params, cursor=cursor)
            yield from batch.items
            cursor = batch.next
            if cursor is None:
                return

    def request(self, method: str, url: str, *, retry: bool | None = None, **options: Any) -> httpx.Response:
        options["params"] = _present(options.get("params", {}))
        again = method == "GET" if retry is None else retry
        return _attempt(lambda: self._http.request(method, url, **options), self.url, again)

    def send_file(self, url: str, path: Path, params: Mapping[str, Any], on_bytes: OnBytes) -> httpx.Response:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(path.stat().st_size),  # without it httpx sends chunks
        }

        def send() -> httpx.Response:
            with path.open("rb") as file:
                content = _read(file, on_bytes)
                return self._http.post(url, params=_present(params), content=content, headers=headers)

        return _attempt(send, self.url, again=url.endswith("/documents"))

    def download(self, url: str, target: Path, on_bytes: OnBytes) -> str:
        """Stream a GET into `target`; return the sha256 of what came."""
        digests: list[str] = []

        def receive() -> httpx.Response:
            with self._http.stream("GET", url) as response:
                if response.is_error:
                    response.read()
                else:
                    digests.append(_write(response, target, on_bytes))
                return response

        _attempt(receive, self.url, again=True)
        return digests[-1]


def _write(response: httpx.Response, target: Path, on_bytes: OnBytes) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for chunk in response.iter_bytes(CHUNK):
            digest.update(chunk)
            file.write(chunk)
            on_bytes(len(chunk))
    return digest.hexdigest()


def follow(read: Callable[[], T], ended: Callable[[T], bool]) -> Iterator[T]:
    """Yield what `read` returns until it has `ended`; pauses grow with how long an answer takes, so that
    watching a large corpus is no load on it."""
    while True:
        before = time.monotonic()
        value = read()
        yield value
        if ended(value):
            return
        time.sleep(min(LONGEST_PAUSE, max(FIRST_PAUSE, POLL_SHARE * (time.monotonic() - before))))


def _attempt(call: Callable[[], httpx.Response], url: str, again: bool) -> httpx.Response:
    """Make a call, again on 503 and lost connections where `again` allows it.

    A server that was not reached at all has done nothing, so that is tried once more in any case.
    """
    tries = TRIES if again else 2
    for number in range(1, tries + 1):
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**number) * random.uniform(0.5, 1.0)
        try:
            response = call()
        except httpx.TransportError as error:
            if number == tries or not (again or isinstance(error, httpx.ConnectError)):
                raise ApiError(
                    0, "unreachable", f"no answer from {url}: {error or type(error).__name__}"
                ) from error
        else:
            if not response.is_error:
                return response
            if response.status_code != 503 or number == tries or not again:
                raise _refusal(response)
            pause = max(pause, _retry_after(response))
        time.sleep(pause)
    raise AssertionError("unreachable: the last try returns or raises")


def _retry_after(response: httpx.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(30.0, float(value)) if value.isdecimal() else 0.0


def _refusal(response: httpx.Response) -> ApiError:
    try:
        failure = wire.FailureBody.model_validate_json(response.content).error
    except ValidationError:
        return ApiError(response.status_code, "http_error", f"HTTP {response.status_code} from {response.url}")
    return ApiError(response.status_code, failure.code, failure.detail)


def parse(response: httpx.Response, model: type[M]) -> M:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise _strange(response) from error


def _strange(response: httpx.Response) -> ApiError:
    return ApiError(response.status_code, "bad_answer", f"{response.url} does not answer like a Flywheel server")


def _present(params: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in params.items() if value is not None}


def _read(file: IO[bytes], on_bytes: OnBytes) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk
        on_bytes(len(chunk))
