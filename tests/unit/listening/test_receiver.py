"""The receiver, over a real socket: what it answers, and that nothing else happens when it refuses."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gatehouse.errors import PlatformError
from gatehouse.listening.delivery import DELIVERY, MAX_BODY, SIGNATURE, TIMESTAMP, sign
from gatehouse.listening.queue import Queue, State
from gatehouse.listening.receiver import PATH, receiving

MODEL, SECRET = "prod.temperature.temperature", "a secret that nobody else has"


@dataclass(kw_only=True)
class Caller:
    """Calls the receiver. `log` is what it has said, `woken` how often it called for work."""

    port: int
    queue: Queue
    log: list[str] = field(default_factory=list)
    woken: list[bool] = field(default_factory=list)

    def call(self, body: bytes, *, method: str = "POST", path: str = PATH, **headers: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def deliver(self, version: str, *, name: str = MODEL, secret: str = SECRET, event: str = "created") -> int:
        data = {"name": name, "version": version, "tags": {}}
        body = json.dumps({"entity": "model_version", "action": event, "data": data}).encode()
        stamp = str(int(datetime.now(UTC).timestamp()))
        signed = {DELIVERY: f"d-{version}", TIMESTAMP: stamp, SIGNATURE: sign(secret, f"d-{version}", stamp, body)}
        return self.call(body, **signed)

    def raw(self, text: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            return connection.recv(65536)


@pytest.fixture
def caller(tmp_path: Path) -> Iterator[Caller]:
    queue, log, woken = Queue(tmp_path / "queue"), [], []  # type: ignore[var-annotated]
    with receiving(
        queue,
        model=MODEL,
        secret=SECRET,
        port=0,
        clock=lambda: datetime.now(UTC),
        log=log.append,
        arrived=lambda: woken.append(True),
    ) as address:
        assert urlsplit(address).hostname == "127.0.0.1"
        yield Caller(port=urlsplit(address).port or 0, queue=queue, log=log, woken=woken)


def test_a_delivery_is_written_down_and_answered_at_once(caller: Caller) -> None:
    assert caller.deliver("3") == 202
    assert [(e.version, e.id) for e in caller.queue.entries(State.TODO)] == [("3", "d-3")]
    assert caller.woken == [True]


def test_a_repeated_delivery_is_a_success_and_nothing_else(caller: Caller) -> None:
    assert [caller.deliver("3"), caller.deliver("3")] == [202, 200]
    assert len(caller.queue.entries(State.TODO)) == 1


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"secret": "guessed"}, 401),
        ({"name": "dev.temperature.temperature"}, 404),
        ({"event": "deleted"}, 422),
    ],
)
def test_what_is_refused_is_logged_and_nothing_happens(caller: Caller, how: dict[str, str], status: int) -> None:
    assert caller.deliver("3", **how) == status
    assert caller.queue.find("3") is None
    assert caller.woken == []
    assert [line[:3] for line in caller.log] == [str(status)]
    assert SECRET not in "".join(caller.log)


def test_a_body_that_is_too_large_is_refused_before_it_is_read(caller: Caller) -> None:
    answer = caller.raw(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 413")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("Transfer-Encoding: chunked", b"411"),
        ("Content-Length: -1", b"411"),
        ("Content-Length: 1" + "0" * 5000, b"413"),
        ("Content-Length: 10", b"400"),
    ],
)
def test_a_length_that_is_none_is_refused(caller: Caller, head: str, status: bytes) -> None:
    answer = caller.raw(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\nabc".encode())
    assert answer.split()[1] == status


def test_only_one_address_and_one_method_are_understood(caller: Caller) -> None:
    assert caller.call(b"{}", path="/") == 404
    assert caller.call(b"", method="GET") == 405
    assert caller.call(b"", method="DELETE") == 405


def test_a_queue_that_cannot_be_written_has_the_delivery_come_again(caller: Caller) -> None:
    caller.queue.folder.write_text("in the way", encoding="utf-8")
    assert caller.deliver("3") == 503


def test_what_a_sender_writes_does_not_reach_the_log(caller: Caller) -> None:
    caller.call(b"{}", path="/%0a::error::evil")
    assert "evil" not in "".join(caller.log)


def test_a_port_that_is_taken_says_so(caller: Caller, tmp_path: Path) -> None:
    with (
        pytest.raises(PlatformError, match="cannot be listened on"),
        receiving(
            Queue(tmp_path),
            model=MODEL,
            secret=SECRET,
            port=caller.port,
            clock=lambda: datetime.now(UTC),
            log=print,
            arrived=lambda: None,
        ),
    ):
        pass
