"""Checks of JSON and URLs that every request passes before an endpoint sees it.

JSON is what RFC 8259 says and no more: no NaN, numbers that fit a double or a signed
64-bit integer, depth and size bounded, strings that Postgres can store. Paths and
queries are held to the same rule for text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from flywheel.api.failures import Unprocessable
from flywheel.reasons import Reason

BODY_BYTES = 16 << 20
DEPTH = 64


class StrictRequest(Request):
    """Request whose JSON body is bounded and checked."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            body = bytearray()
            async for chunk in self.stream():
                body += chunk
                if len(body) > BODY_BYTES:
                    raise Unprocessable(Reason.TOO_LARGE.value, f"the body is over {BODY_BYTES} bytes", 413)
            self._body = bytes(body)
        return self._body

    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parse(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """Route whose endpoint gets a StrictRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            for text in (*map(str, request.path_params.values()), *request.query_params.values()):
                check_text(text)
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def parse(body: bytes) -> Any:
    """Parse the JSON of a request's body. Raises Unprocessable."""
    try:
        value = json.loads(body, parse_constant=_no_constant, parse_int=_int64, parse_float=_finite)
    except (RecursionError, ValueError) as error:
        raise Unprocessable("invalid_json", f"the body is no JSON: {error}") from error
    _check(value)
    return value


def check_text(text: str) -> None:
    """Raise Unprocessable for text that cannot be stored."""
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Unprocessable(Reason.INVALID_TEXT.value, "NUL and lone surrogates cannot be stored")


def _check(value: Any) -> None:
    # A list instead of recursion: the input decides how deep it is.
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEPTH:
            raise Unprocessable("invalid_json", f"nested deeper than {DEPTH}")
        if isinstance(item, str):
            check_text(item)
        elif isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list):
            waiting += [(part, depth + 1) for part in item]


def _no_constant(name: str) -> NoReturn:
    raise Unprocessable("invalid_json", f"{name} is not JSON")


def _int64(digits: str) -> int:
    number = int(digits) if len(digits) < 21 else 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise Unprocessable("invalid_json", "an integer does not fit 64 bits")
    return number


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise Unprocessable("invalid_json", "a number does not fit a double")
    return number
