"""A web server on this machine that answers what it was taught, and remembers every call that it was not."""

from __future__ import annotations

import json
import re
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class NotUnderstood(AssertionError):
    """Something that a stand-in does not know. Teach it, with the provider's documentation; never let it pass."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request. `parts` are the named groups of the route's pattern."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    parts: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body; an empty one is an empty object."""
        return json.loads(self.body or b"{}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """What goes back: JSON, or bytes as they are."""

    status: int = 200
    json: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Reply | Any]


class Loopback:
    """Routes by method and pattern. A call nobody taught answers 501 and is kept in `surprises`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.surprises: list[str] = []
        self.lock = threading.RLock()
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def teach(self, method: str, pattern: str, handler: Handler) -> None:
        """`{name}` in the pattern is one segment, `{name...}` the rest of the path."""
        expression = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
        expression = re.sub(r"\\\{(\w+)(?:\\\.){3}\\\}", r"(?P<\1>.+)", expression)
        self._routes.append((method, re.compile(expression), handler))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serves inside the block; afterwards a call that nobody taught is an error."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
        if self.surprises:
            raise NotUnderstood("the loopback server was asked: " + "; ".join(self.surprises))

    def answer(self, call: Call) -> Reply:
        """The first route that fits."""
        self.calls.append(f"{call.method} {call.path}")
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(call.path)
            if method in (call.method, "*") and found:
                parts = {name: unquote(part) for name, part in found.groupdict().items()}
                with self.lock:
                    return self._replied(handler, call, parts)
        self.surprises.append(f"{call.method} {call.path}")
        return Reply(status=501, json={"message": f"the harness does not know {call.method} {call.path}"})

    def _replied(self, handler: Handler, call: Call, parts: Mapping[str, str]) -> Reply:
        try:
            given = handler(
                Call(
                    method=call.method,
                    path=call.path,
                    query=call.query,
                    headers=call.headers,
                    body=call.body,
                    parts=parts,
                )
            )
        except Exception as error:  # noqa: BLE001 - the client gets an answer, the test the error
            self.surprises.append(f"{call.method} {call.path}: {error!r}\n{traceback.format_exc()}")
            return Reply(status=501, json={"message": repr(error)})
        return given if isinstance(given, Reply) else Reply(json=given)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        loopback = self

        class Requests(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # header and body are two writes: the second would wait 40 ms for the first

            def handle_one(self) -> None:
                address = urlsplit(self.path)
                query = {name: values[-1] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
                reply = loopback.answer(
                    Call(
                        method=self.command,
                        path=address.path,
                        query=query | {"": address.query},
                        headers={name.lower(): value for name, value in self.headers.items()},
                        body=self._body(),
                    )
                )
                content = reply.content if reply.content is not None else json.dumps(reply.json).encode()
                if reply.status == 204:
                    content = b""
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = handle_one  # noqa: N815 - the base class looks for these

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                whole = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    whole += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return whole

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing on the test's standard error."""

        return Requests
