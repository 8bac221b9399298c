"""A provider's interface on this machine's loopback address, that answers what a test tells it to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Interface:
    """Answers by method and path, `GET /repos/o/r`; several answers to one question are given one after the other."""

    address: str
    answers: dict[str, list[tuple[int, bytes, dict[str, str]]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def on(self, question: str, content: Any = None, *, status: int = 200, **headers: str) -> None:
        """Bytes as they are, anything else as JSON. A header's _ stands for -."""
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(question, []).append((status, body, named))

    def to(self, method: str) -> list[Asked]:
        """What was asked with a method."""
        return [asked for asked in self.asked if asked.method == method]


@pytest.fixture
def interface() -> Iterator[Interface]:
    """What nothing was said about is 404, as with a provider."""
    known = Interface(address="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def answer(self) -> None:
            place = urlsplit(self.path)
            path = unquote(place.path)
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known.asked.append(
                Asked(
                    self.command,
                    path,
                    dict(parse_qsl(place.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    json.loads(sent) if sent else None,
                )
            )
            told = known.answers.get(f"{self.command} {path}", [])
            nothing: tuple[int, bytes, dict[str, str]] = (404, b'{"message": "Not Found"}', {})
            status, body, headers = nothing if not told else told.pop(0) if len(told) > 1 else told[0]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            """Not on the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.001}, daemon=True)
    thread.start()
    yield known
    server.shutdown()
    server.server_close()
    thread.join()
