"""A reader behind a server: what is asked, what is borne with, and what is given up."""

from __future__ import annotations

import base64
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from flywheel.errors import SetupError, Transient
from models.readers.endpoint import reader as reader_module
from models.readers.endpoint.exchange import ServerNgramGuard, data_url
from models.readers.endpoint.reader import EndpointReader
from models.readers.endpoint.retries import RetryPolicy
from models.readers.protocol import PageInput
from tests.models import misbehaving as m

QUICK = RetryPolicy(connect=1.0, answer=0.4, first_pause=0.01, longest_pause=0.05, outage=3.0, reply_bytes=200_000)
WORDS = {"object": "error", "message": "This image cannot be loaded", "code": 400}


@pytest.fixture
def server() -> Iterator[m.Server]:
    with m.Server() as server:
        yield server


def reader_of(server: m.Server, policy: RetryPolicy = QUICK, requests: int = 4) -> EndpointReader:
    return EndpointReader(server.url, "a-model", requests=requests, policy=policy)


def pages(*levels: int) -> list[PageInput]:
    return [PageInput(np.full((80, 60), level, np.uint8), 72.0, 60.0, 80.0, "en") for level in levels]


def texts(reader: EndpointReader, *levels: int) -> list[str]:
    return [reading.label.text for reading in reader.read_many(pages(*levels))]


def grays(*levels: int) -> list[str]:
    return [f"gray {level}" for level in levels]


# What is asked


def test_a_page_is_asked_about_as_deepseek_ocr_is_on_vllm(server: m.Server) -> None:
    reader = EndpointReader(server.url, "a-model", key="secret", limit=99, guard=ServerNgramGuard(5, 6, (7,)))
    reader.read_many(pages(40))
    [exchange] = server.seen
    [message] = exchange.body.pop("messages")
    assert exchange.body == {
        "model": "a-model",
        "temperature": 0.0,
        "max_tokens": 99,
        "logprobs": True,
        "skip_special_tokens": False,
        "vllm_xargs": {"ngram_size": 5, "window_size": 6, "whitelist_token_ids": [7]},
    }
    assert [part["type"] for part in message["content"]] == ["image_url", "text"]
    assert message["content"][1]["text"] == "<|grounding|>Convert the document to markdown."
    assert exchange.handler.headers["Authorization"] == "Bearer secret"


def test_an_image_arrives_whole_in_gray_and_in_colour() -> None:
    random = np.random.default_rng(0)
    for shape in ((40, 30), (40, 30, 3)):
        image = np.repeat(random.integers(0, 256, shape, np.uint8), 8, axis=0).repeat(8, axis=1)
        header, data = data_url(image).split(",")
        back = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        assert header == "data:image/jpeg;base64"
        assert back.shape == image.shape
        assert np.abs(back.astype(int) - image).mean() < 3


def test_no_page_is_no_request(server: m.Server) -> None:
    assert reader_of(server).read_many([]) == []
    assert server.seen == []


def test_without_a_name_the_only_model_is_taken(server: m.Server) -> None:
    reader = EndpointReader(server.url, policy=QUICK)
    assert texts(reader, 40, 80) == grays(40, 80)
    assert {exchange.body["model"] for exchange in server.seen} == {"a-model"}


@pytest.mark.parametrize("models", [["one", "two"], []])
def test_without_a_name_several_models_are_listed_to_choose_from(server: m.Server, models: list[str]) -> None:
    server.models = models
    with pytest.raises(SetupError, match=r"FLYWHEEL_ENDPOINT_MODEL.*(one, two|none)"):
        EndpointReader(server.url, policy=QUICK).read_many(pages(40))


# How much is asked at once


def test_readings_come_in_the_pages_order_whatever_the_servers(server: m.Server) -> None:
    levels = list(range(20, 240, 20))
    server.of_level = {level: m.slow((240 - level) / 2000) for level in levels}
    assert texts(reader_of(server, requests=8), *levels) == grays(*levels)


def test_there_are_never_more_requests_than_allowed_even_from_two_threads(server: m.Server) -> None:
    server.always = m.slow(0.03)
    reader = reader_of(server, requests=3)
    threads = [threading.Thread(target=reader.read_many, args=(pages(*range(20, 100, 10)),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.seen) == 16
    assert max(exchange.together for exchange in server.seen) == 3


def test_an_image_is_encoded_when_its_turn_comes(server: m.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead: list[int] = []

    def counting(image: np.ndarray) -> str:
        ahead.append(len(ahead) + 1 - done())
        return data_url(image)

    def done() -> int:
        return len(server.seen) - server.now

    server.always = m.slow(0.02)
    monkeypatch.setattr(reader_module, "data_url", counting)
    reader_of(server, requests=2).read_many(pages(*range(20, 120, 10)))
    assert len(ahead) == 10
    assert max(ahead) <= 2


# What a server says


def test_confidences_are_the_servers(server: m.Server) -> None:
    [reading] = reader_of(server).read_many(pages(40))
    [line] = reading.label.lines
    assert line.character_confidences == pytest.approx([0.5] * len("gray 40"))
    assert reading.text_tokens == 7


def test_an_answer_at_the_limit_is_truncated_and_the_end_token_is_no_text(server: m.Server) -> None:
    server.does(m.answers(f"{m.HEAD}half", finish="length"), m.answers(f"{m.HEAD}whole<｜end▁of▁sentence｜>"))
    first, second = reader_of(server, requests=1).read_many(pages(40, 80))
    assert (first.label.text, first.truncated) == ("half", True)
    assert (second.label.text, second.truncated) == ("whole", False)


@pytest.mark.parametrize("text", ["", None, "\n"])
def test_an_empty_answer_is_a_label_without_regions(server: m.Server, text: str | None) -> None:
    server.does(m.answers(text))
    [reading] = reader_of(server).read_many(pages(255))
    assert reading.label.regions == ()
    assert reading.flaws == ()


def test_what_a_server_will_not_be_asked_is_left_out_from_then_on(server: m.Server) -> None:
    server.always = m.refuses("logprobs", "logprobs are not enabled")
    reader = reader_of(server, requests=1)
    assert texts(reader, 40, 80) == grays(40, 80)
    assert [("logprobs" in exchange.body) for exchange in server.seen] == [True, False, False]
    assert reader.read_many(pages(40))[0].label.confidence is None
    server.always = m.refuses("vllm_xargs", "body.vllm_xargs: extra inputs are not permitted")
    assert texts(reader, 40, 80) == grays(40, 80)
    assert "vllm_xargs" not in server.seen[-1].body


def test_a_limit_that_does_not_fit_the_context_is_left_to_the_server(server: m.Server) -> None:
    words = "This model's maximum context length is 8192 tokens. However, you requested 8492 tokens"
    server.always = m.refuses("max_tokens", words)
    assert texts(reader_of(server), 40) == grays(40)


# What is borne with

PASSING = {
    "503": m.busy(503),
    "429": m.busy(429),
    "500": m.replies(500, {"error": {"message": "out of memory"}}),
    "reset": m.resets,
    "hang": m.hangs,
    "drip": m.drips,
    "dripped header": m.drips_headers,
    "error with 200": m.error_with_200,
    "html": m.html,
    "cut json": m.cut_json,
    "nested json": m.nested,
    "a list": m.replies(200, []),
    "no choices": m.replies(200, {"choices": []}),
    "odd choices": m.replies(200, {"choices": ["yes"]}),
    "content in parts": m.replies(200, {"choices": [{"message": {"content": [{"text": "yes"}]}}]}),
    "aborted": m.answers("half", finish="abort"),
    "huge": m.huge,
}
USELESS = [name for name in PASSING if name not in ("503", "429")]


@pytest.mark.parametrize("name", PASSING)
def test_a_page_is_asked_again_after(server: m.Server, name: str) -> None:
    server.does(PASSING[name])
    assert texts(reader_of(server), 40) == grays(40)
    assert len(server.seen) == 2


@pytest.mark.parametrize("name", ["hang", "drip", "huge", "500", "reset"])
def test_a_page_that_never_gets_an_answer_costs_that_page_alone(server: m.Server, name: str) -> None:
    server.of_level[80] = PASSING[name]
    first, lost, last = reader_of(server).read_many(pages(40, 80, 120))
    assert [first.label.text, last.label.text] == grays(40, 120)
    assert lost.label.regions == ()
    assert lost.flaws == ("unanswered",)
    assert (lost.label.checkpoint, lost.label.producer, lost.label.language) == ("endpoint", "endpoint", "en")
    assert sum(exchange.level == 80 for exchange in server.seen) == QUICK.attempts


def test_a_reply_without_end_is_cut_by_its_size_long_before_its_time(server: m.Server) -> None:
    server.of_level[80] = m.huge
    start = time.monotonic()
    policy = replace(QUICK, answer=60.0)
    assert reader_of(server, policy).read_many(pages(80))[0].flaws == ("unanswered",)
    assert time.monotonic() - start < 20.0


def test_a_page_that_is_refused_costs_that_page_alone_and_is_asked_once(server: m.Server) -> None:
    server.of_level[80] = m.replies(400, WORDS)
    first, lost, last = reader_of(server).read_many(pages(40, 80, 120))
    assert [first.label.text, last.label.text] == grays(40, 120)
    assert (lost.label.regions, lost.flaws) == ((), ("refused",))
    assert sum(exchange.level == 80 for exchange in server.seen) == 1


def test_a_page_refused_before_any_other_was_answered_is_still_told_from_the_server(server: m.Server) -> None:
    server.of_level[80] = m.replies(400, WORDS)
    assert reader_of(server).read_many(pages(80))[0].flaws == ("refused",)
    server.always = m.replies(400, {"message": "the model takes no images"})
    with pytest.raises(SetupError, match="takes no images"):
        reader_of(server).read_many(pages(80))


def test_everyone_waits_as_long_as_the_server_asks(server: m.Server) -> None:
    server.does(m.busy(429, Retry_After="1"))
    assert texts(reader_of(server, requests=1), 40, 80) == grays(40, 80)
    refused, *later = server.seen
    assert all(exchange.at - refused.at >= 0.99 for exchange in later)


# What is given up


@pytest.mark.parametrize("behaviour", [m.busy(503), m.html, m.resets, m.error_with_200])
def test_a_server_that_does_not_answer_is_left_for_later_within_the_budget(
    server: m.Server, behaviour: m.Behaviour
) -> None:
    server.always = behaviour
    with pytest.raises(Transient, match="does not answer"):
        reader_of(server).read_many(pages(*range(20, 180, 10)))
    # Four at first, then one by one: the spare ones, a fifth of 16 pages, and what the probes may add.
    assert len(server.seen) <= 4 + QUICK.retries + int(QUICK.retries_per_page * 16) + 4 * QUICK.attempts


def test_while_a_server_is_away_one_request_at_a_time_finds_out(server: m.Server) -> None:
    four = threading.Barrier(4)
    server.does(*[m.busy(503, lambda: four.wait(5))] * 4, *[m.busy(503, lambda: time.sleep(0.05))] * 2)
    server.always = m.slow(0.05)
    assert texts(reader_of(server, requests=4), 40, 80, 120, 160) == grays(40, 80, 120, 160)
    assert [exchange.together for exchange in server.seen[4:7]] == [1, 1, 1]  # two in vain, one answered
    assert len(server.seen) == 10


def test_a_closed_port_is_left_for_later() -> None:
    with m.Server() as server:
        url = server.url
    with pytest.raises(Transient, match="no connection"):
        EndpointReader(url, "a-model", policy=QUICK).read_many(pages(40))


def test_a_server_that_wants_to_be_left_alone_for_long_is_left_at_once(server: m.Server) -> None:
    server.always = m.busy(503, Retry_After="3600")
    start = time.monotonic()
    with pytest.raises(Transient):
        reader_of(server).read_many(pages(40, 80))
    assert time.monotonic() - start < 1.0


@pytest.mark.parametrize(
    ("status", "words"), [(401, "KEY"), (403, "KEY"), (404, "MODEL"), (405, "ending in /v1"), (302, "elsewhere")]
)
def test_what_a_person_must_mend_is_said_at_once(server: m.Server, status: int, words: str) -> None:
    server.always = m.replies(status, {"message": "no"}, Location="http://elsewhere")
    with pytest.raises(SetupError, match=words):
        reader_of(server).read_many(pages(40, 80))
    assert len(server.seen) <= 2


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://host/v1", "http://", "http://host:port"])
def test_a_url_that_is_none_is_refused_before_any_page(url: str) -> None:
    with pytest.raises(SetupError, match="FLYWHEEL_ENDPOINT"):
        EndpointReader(url)
