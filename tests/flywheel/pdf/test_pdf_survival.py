"""The PDF sandbox: what it survives, how it is confined, and the wire to its child."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flywheel.pdf import Limits, PageFailure, PageText, Sandbox
from flywheel.pdf.messages import HEADER, ConnectionLost, receive, send
from flywheel.reasons import Reason
from tests.flywheel import draw
from tests.flywheel.pdf_pages import only, saved, texts

SHORT = Limits(page_seconds=2.5)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as shared:
        yield shared


def alive(pid: int) -> bool:
    """True when the process runs; one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until_gone(pid: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


# What it survives


def test_a_page_that_hangs_mupdf_times_out_and_its_neighbours_are_read(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.nested_forms())
    with Sandbox(SHORT) as sandbox:
        started = time.monotonic()
        found = texts(list(sandbox.text(path, range(3), layout=False)))
        assert found == ["hello paper", Reason.PAGE_TIMEOUT, "hello paper"]
        assert time.monotonic() - started < 15


def test_a_page_that_unpacks_twice_to_hundreds_of_megabytes_times_out(tmp_path: Path) -> None:
    data = draw.double_flate()
    assert len(data) < 4_000
    with Sandbox(SHORT) as sandbox:
        found = texts(list(sandbox.text(saved(tmp_path, data), range(3), layout=False)))
    assert found[0] == found[2] == "hello paper"
    assert found[1] in (Reason.PAGE_TIMEOUT, Reason.PAGE_MEMORY)


def test_a_page_that_crashes_mupdf_fails_alone(tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "a.pdf", pages=4, lines=2)
    crashed: list[int] = []

    def crash(number: int, pid: int) -> None:
        if number == 2:
            crashed.append(pid)
            os.kill(pid, signal.SIGSEGV)

    with Sandbox(on_page=crash) as sandbox:
        pages = list(sandbox.text(tmp_path / "a.pdf", range(4), layout=False))
    assert [isinstance(page, PageText) for page in pages] == [True, True, False, True]
    assert isinstance(pages[2], PageFailure)
    assert pages[2].reason is Reason.PAGE_CRASHED
    assert "SIGSEGV" in pages[2].detail
    assert len(set(crashed)) >= 2  # tried again in a fresh child before the page was blamed


def test_a_child_killed_from_outside_costs_no_page(tmp_path: Path) -> None:
    draw.latin_pdf(tmp_path / "a.pdf", pages=5, lines=2)
    killed: list[int] = []

    def kill_once(number: int, pid: int) -> None:
        if number == 3 and not killed:
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)

    with Sandbox(on_page=kill_once) as sandbox:
        pages = list(sandbox.text(tmp_path / "a.pdf", range(5), layout=False))
    assert killed
    assert all(isinstance(page, PageText) for page in pages)


def test_a_child_killed_between_two_documents_costs_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO))
    with Sandbox() as sandbox:
        sandbox.inspect(path)
        assert sandbox.pid is not None
        os.kill(sandbox.pid, signal.SIGKILL)
        assert sandbox.inspect(path).pages == 1


def test_a_page_that_needs_more_memory_than_its_limit_fails_alone(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO, box=b"0 0 14400 14400"))
    good = saved(tmp_path, draw.small_pdf(draw.HELLO), "good.pdf")
    with Sandbox(Limits(memory_bytes=400 << 20, pixel_limit=1_000_000_000)) as sandbox:
        assert only(sandbox.render(path, [0], 140)) is Reason.PAGE_MEMORY
        assert texts(list(sandbox.text(good, [0], layout=False))) == ["hello paper"]


def test_nothing_in_a_pdf_runs_and_nothing_calls_home(sandbox: Sandbox, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        url = b"http://127.0.0.1:%d/" % port
        script = b"<</S/JavaScript/JS(app.launchURL\\('%s'\\); this.submitForm\\('%s'\\);)>>" % (url, url)
        launch = b"<</S/Launch/F(/bin/sh)/Unix<</F(touch %s)>>>>" % str(marker).encode()
        catalogue = b"<</Type/Catalog/Pages 2 0 R/OpenAction 6 0 R/AA<</WC 7 0 R>>>>"
        actions = b"/AA<</O 7 0 R/C 8 0 R>>"
        data = draw.pdf(
            [
                catalogue,
                draw.tree([4]),
                draw.HELVETICA,
                draw.page(5, more=actions),
                draw.stream(draw.HELLO),
                script,
                launch,
                b"<</S/URI/URI(%s)>>" % url,
            ]
        )
        path = saved(tmp_path, data)
        assert sandbox.inspect(path).pages == 1
        assert texts(list(sandbox.text(path, [0], layout=True))) == ["hello paper"]
        list(sandbox.render(path, [0], 100))
        with pytest.raises(TimeoutError):
            server.accept()
    assert not marker.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="limits are read from /proc")
def test_the_child_has_limits_and_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLYWHEEL_DATABASE_URL", "postgresql://user:secret@host/db")
    path = saved(tmp_path, draw.small_pdf(draw.HELLO))
    with Sandbox(Limits(memory_bytes=1 << 30)) as sandbox:
        sandbox.inspect(path)
        limits = Path(f"/proc/{sandbox.pid}/limits").read_text()
        environment = Path(f"/proc/{sandbox.pid}/environ").read_text()
    rows = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert rows["Max address space"] == str(1 << 30)
    assert rows["Max file size"] == "0"
    assert rows["Max core file size"] == "0"
    assert int(rows["Max open files"]) <= 64
    assert rows["Max cpu time"] != "unlimited"
    assert "secret" not in environment


ORPHAN = """
import sys
from pathlib import Path
from flywheel.pdf import Sandbox
sandbox = Sandbox()
sandbox.inspect(Path(sys.argv[1]))
print(sandbox.pid, flush=True)
next(iter(sandbox.text(Path(sys.argv[1]), [1, 1], layout=False)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must kill children with their parent")
def test_a_busy_child_dies_with_its_killed_parent(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.nested_forms())
    parent = subprocess.Popen([sys.executable, "-c", ORPHAN, str(path)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert wait_until_gone(child)


def read_in_a_daemon(path: Path) -> None:
    with Sandbox() as sandbox:
        assert sandbox.inspect(path).pages == 1


def test_it_works_in_a_daemonic_process_which_may_not_have_multiprocessing_children(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO))
    process = multiprocessing.get_context("spawn").Process(target=read_in_a_daemon, args=(path,), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode == 0


def test_a_child_is_replaced_after_so_many_documents(tmp_path: Path) -> None:
    paths = [saved(tmp_path, draw.small_pdf(draw.HELLO), f"{k}.pdf") for k in range(4)]
    seen = []
    with Sandbox(Limits(recycle_documents=2), on_page=lambda _, pid: seen.append(pid)) as sandbox:
        for path in paths:
            list(sandbox.text(path, [0], layout=False))
    assert len(set(seen)) == 2


def test_a_sandbox_serves_one_request_at_a_time_and_recovers_from_an_abandoned_one(tmp_path: Path) -> None:
    path = saved(tmp_path, draw.small_pdf(draw.HELLO, draw.HELLO))
    with Sandbox() as sandbox:
        pages = sandbox.text(path, range(2), layout=False)
        next(pages)
        with pytest.raises(RuntimeError, match="one request at a time"):
            sandbox.inspect(path)
        pages.close()  # type: ignore[attr-defined]
        assert texts(list(sandbox.text(path, range(2), layout=False))) == ["hello paper"] * 2


# The wire


@pytest.fixture
def wires() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_messages_arrive_as_sent(wires: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = wires
    send(theirs, {"text": "\ud800 ཀ"}, b"pixels", memoryview(b"more"))
    message = receive(ours)
    assert message.head == {"text": "\ud800 ཀ"}
    assert message.body == b"pixelsmore"


@pytest.mark.parametrize(
    "sent",
    [
        HEADER.pack(1 << 30, 0),
        HEADER.pack(4, 1 << 30),
        HEADER.pack(3, 0) + b"{x}",
        HEADER.pack(2, 0) + b"[]",
        b"\0",
    ],
    ids=["too long a head", "too long a body", "no JSON", "no object", "cut short"],
)
def test_a_lying_child_is_given_up(wires: tuple[socket.socket, socket.socket], sent: bytes) -> None:
    ours, theirs = wires
    theirs.sendall(sent)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(ConnectionLost):
        receive(ours, limit=1 << 20)


def test_a_dripping_child_cannot_stretch_the_deadline(wires: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = wires
    stop = threading.Event()

    def drip() -> None:
        theirs.sendall(HEADER.pack(1000, 0))
        while not stop.wait(0.05):
            theirs.sendall(b" ")

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        with pytest.raises(TimeoutError):
            receive(ours, time.monotonic() + 0.4)
    finally:
        stop.set()
        thread.join()
