"""Requests to an OpenAI-compatible server about a page, and its replies parsed.

    RequestTemplate(model, prompt, limit, guard).body(image, without) -> the JSON of a chat completion
    answer_of(reply) -> ServerAnswer               raises the three errors below, and SetupError
    data_url(image) -> the image as a data: URL

Three things can be wrong with a reply, and each is met in another way: the server is away or busy
(`ServerUnavailable`: all pages wait), this reply is of no use (`UnusableReply`: this page is tried again), or the
page is refused (`RequestRefused`: trying again changes nothing). What only a person can mend is a SetupError.
"""

from __future__ import annotations

import base64
import email.utils
import io
import json
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flywheel.errors import SetupError

# Of a 150 dpi page: 9-16 ms and 0.3-0.9 MB, where PNG takes 95-720 ms and, of scans, 1.5-4.5 MB (measured
# 2026-11-22). Colour is not subsampled: that would blur coloured strokes.
QUALITY, WHOLE_COLOUR = 90, 0
ENDS = (
    "<｜end▁of▁sentence｜>",
    "<|im_end|>",
    "<|endoftext|>",
)  # asked to keep special tokens, servers may keep these
BUSY = frozenset((408, 409, 425, 429, 502, 503, 504))
MISPLACED = frozenset((301, 302, 303, 307, 308, 404, 405))
# What a server may refuse, and what its words for it have in common. Such a page is asked again without.
# "max_tokens" is refused when it does not fit behind the prompt; without it an answer may fill the context.
OPTIONS = {
    "logprobs": re.compile("log_?prob", re.I),
    "vllm_xargs": re.compile("xargs|ngram|window_size", re.I),
    "skip_special_tokens": re.compile("skip_special_tokens", re.I),
    "max_tokens": re.compile("max_(completion_|new_)?tokens|context.{0,8}length|too long", re.I),
}


class ServerUnavailable(Exception):
    """The server cannot be reached or has no room. `after`: the seconds it asked to be left alone."""

    def __init__(self, detail: str, after: float | None = None) -> None:
        super().__init__(detail)
        self.after = after


class UnusableReply(Exception):
    """The server replied, or broke off, and there is no answer in it."""


class RequestRefused(Exception):
    """The server does not take this page, or this way of asking."""


@dataclass(frozen=True, slots=True)
class ServerNgramGuard:
    """The n-gram guard of vLLM's DeepSeek-OCR recipe: no `size` tokens twice within `window`, but for those
    `exempt` (<td> and </td>). Servers that do not know it pass it over."""

    size: int = 30
    window: int = 90
    exempt: tuple[int, ...] = (128821, 128822)


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """The request about every page. `limit`: most tokens of an answer."""

    model: str
    prompt: str
    limit: int
    guard: ServerNgramGuard | None

    def body(self, image: str, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        """A chat completion's JSON about an image (a data: URL), without the named `OPTIONS`."""
        content = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": self.prompt}]
        options: dict[str, Any] = {"max_tokens": self.limit, "logprobs": True, "skip_special_tokens": False}
        if self.guard is not None:
            options["vllm_xargs"] = {
                "ngram_size": self.guard.size,
                "window_size": self.guard.window,
                "whitelist_token_ids": list(self.guard.exempt),
            }
        kept = {name: value for name, value in options.items() if name not in without}
        return {
            "model": self.model,
            "messages": [{"role": "user", "content": content}],
            "temperature": 0.0,
            **kept,
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP reply."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """A server's answer about a page. `pieces`: (text, probability) of tokens, or None; `tokens`: their number."""

    text: str
    pieces: list[tuple[str, float]] | None = None
    truncated: bool = False
    tokens: int | None = None


def data_url(image: NDArray[np.uint8]) -> str:
    """A page image (gray H x W or RGB H x W x 3, uint8) as a data: URL."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITY, subsampling=WHOLE_COLOUR)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def refused_options(error: RequestRefused, without: frozenset[str]) -> frozenset[str]:
    """The options that a refusal names, of those that were sent."""
    return frozenset(name for name, words in OPTIONS.items() if words.search(str(error))) - without


def answer_of(reply: Reply) -> ServerAnswer:
    """The first choice of a chat completion."""
    data = json_of(reply)
    choice = _choice(data)
    message = choice.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if content is not None and not isinstance(content, str):
        raise UnusableReply("the content is not text")
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        raise RequestRefused("the server's filter took the answer")
    if finish in ("abort", "error"):
        raise UnusableReply(f"the server stopped with {finish!r}")
    text = content or ""
    for end in ENDS:
        text = text.removesuffix(end)
    usage = data.get("usage")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return ServerAnswer(
        text,
        _pieces(choice.get("logprobs")),
        finish == "length",
        tokens if isinstance(tokens, int) else None,
    )


def json_of(reply: Reply) -> dict[str, Any]:
    """The JSON object of a reply that is good; raises what is wrong with any other."""
    _check_status(reply.status, reply.headers, _words(reply.content))
    try:
        data = json.loads(reply.content)
    except (ValueError, RecursionError) as error:
        raise UnusableReply(f"the reply is not JSON but {_words(reply.content)!r}") from error
    if not isinstance(data, dict):
        raise UnusableReply("the reply is not a JSON object")
    if data.get("error") or data.get("object") == "error":
        # Some servers and proxies send an error with status 200.
        held = data["error"] if isinstance(data.get("error"), dict) else data
        code = held.get("code", data.get("code"))
        _check_status(code if isinstance(code, int) else 500, reply.headers, _words(reply.content))
    return data


def _check_status(status: int, headers: Mapping[str, str], words: str) -> None:
    if 200 <= status < 300:
        return
    if status in BUSY:
        raise ServerUnavailable(f"{status}: {words}", _seconds(headers.get("retry-after")))
    if status in (401, 403):
        raise SetupError(f"the endpoint refuses the key ({status}): set FLYWHEEL_ENDPOINT_KEY; {words}")
    if status in MISPLACED:
        target = headers.get("location", "")
        raise SetupError(
            f"nothing is served there ({status} {target}): FLYWHEEL_ENDPOINT is a base URL, ending in /v1 as a "
            f"rule, and FLYWHEEL_ENDPOINT_MODEL a name from its /models; {words}"
        )
    if 400 <= status < 500:
        raise RequestRefused(f"{status}: {words}")
    raise UnusableReply(f"{status}: {words}")


def _choice(data: dict[str, Any]) -> dict[str, Any]:
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise UnusableReply("the reply has no choices")
    return choices[0]


def _pieces(logprobs: Any) -> list[tuple[str, float]] | None:
    """(text, probability) of each token, or None where the server gave none, or something else."""
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(content, list) or not content:
        return None
    pieces = []
    for entry in content:
        if not isinstance(entry, dict):
            return None
        token, value = entry.get("token"), entry.get("logprob")
        if not isinstance(token, str) or not isinstance(value, int | float):
            return None
        pieces.append((token, math.exp(min(0.0, value))))
    return pieces


def _seconds(after: str | None) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3): a number, or a date; None for anything else."""
    if not after:
        return None
    try:
        return max(0.0, float(int(after)))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(after).timestamp() - time.time())
    except ValueError:
        return None


def _words(content: bytes) -> str:
    """The start of a reply, for people."""
    return " ".join(content[:2000].decode("utf-8", "replace").split())[:400]
