"""A workspace's interface on loopback: routes of a state machine, and faults on the way to it or back."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A request as it arrived; a body that is not JSON stays bytes."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """`drop` closes the connection: `before` the request is carried out, or `after` it was."""

    status: int = 200
    content: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: Literal["", "before", "after"] = ""


def refused(status: int, code: str, message: str, **headers: str) -> Answer:
    """An error as the platform writes it. A header's _ stands for -."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status=status, content={"error_code": code, "message": message}, headers=named)


Handler = Callable[[Asked], Any]


class Loopback:
    """Answers what it was taught, and keeps what it was not in `surprises`: an error when the test is over."""

    def __init__(self) -> None:
        self.address = ""
        self.asked: list[Asked] = []
        self.surprises: list[str] = []
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._faults: dict[str, list[Answer]] = {}
        self.on("GET", "/.well-known/databricks-config", lambda _: {"oidc_endpoint": f"{self.address}/oidc"})

    def on(self, method: str, pattern: str, handler: Handler, *, first: bool = False) -> None:
        """A handler gives what becomes JSON, bytes, or an Answer. The pattern is a regular expression."""
        self._routes.insert(0 if first else len(self._routes), (method, re.compile(pattern), handler))

    def fail(self, question: str, *answers: Answer) -> None:
        """The next answers to `POST /api/..`, instead of the handler's own."""
        self._faults.setdefault(question, []).extend(answers)

    def count(self, question: str) -> int:
        """How often `POST /api/..` was asked, faults included."""
        return sum(f"{asked.method} {asked.path}" == question for asked in self.asked)

    def to(self, question: str) -> list[Asked]:
        """What was sent with `POST /api/..`."""
        return [asked for asked in self.asked if f"{asked.method} {asked.path}" == question]

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        question = f"{asked.method} {asked.path}"
        faults = self._faults.get(question, [])
        fault = faults.pop(0) if faults else Answer()
        if fault.drop == "before" or fault.status != 200 or fault.content is not None:
            return fault
        for method, pattern, handler in self._routes:
            if method == asked.method and pattern.fullmatch(asked.path):
                given = handler(asked)
                done = given if isinstance(given, Answer) else Answer(content=given)
                return fault if fault.drop else done
        self.surprises.append(question)
        return refused(501, "NOT_IMPLEMENTED", f"nobody taught {question}")

    @contextmanager
    def running(self) -> Iterator[None]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.001}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
        assert self.surprises == []


def _handler(loopback: Loopback) -> type[BaseHTTPRequestHandler]:
    lock = threading.Lock()

    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def handle_one(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            place = urlsplit(self.path)
            try:
                body = json.loads(sent or b"{}")
            except ValueError:
                body = sent
            asked = Asked(
                method=self.command,
                path=unquote(place.path),
                query=dict(parse_qsl(place.query)),
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body,
            )
            with lock:
                answer = loopback.answer(asked)
            if answer.drop:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            content = answer.content if isinstance(answer.content, bytes) else json.dumps(answer.content or {}).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: object) -> None:
            """Not on the terminal."""

    return Requests
