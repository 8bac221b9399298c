"""The one address: who asks is looked up, a fault may strike, then the first route that fits answers."""

from __future__ import annotations

import json
import re
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.loopback import Reply
from tests.template.harness.workspace.errors import Refusal


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A call, and who made it. `parts` are the named groups of the route's pattern."""

    method: str
    path: str
    query: Mapping[str, str]
    address: str  # path and query as they came
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    caller: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body; an empty one is an empty object."""
        return json.loads(self.body or b"{}")

    def asked(self) -> dict[str, Any]:
        """What was given, wherever: query, body and path."""
        return {**self.query, **self.json(), **self.parts}


@dataclass(kw_only=True, slots=True)
class Fault:
    """Strikes `times` calls. A status of None drops the connection before anything was done."""

    method: str
    path: re.Pattern[str]
    status: int | None
    times: int
    headers: Mapping[str, str]
    code: str
    message: str
    after: bool  # the call is done, only its answer is lost
    about: str  # stands in its query or body; empty: any

    def strikes(self, request: Request) -> bool:
        """Whether this call is one of them."""
        fits = self.method in (request.method, "*") and self.path.search(request.path)
        return bool(self.times and fits and self.about in f"{request.address} {request.body!r}")


_OPEN = ("/.well-known/", "/oidc/", "/presigned/")  # without a token
WORKSPACE_ID = "4211000000000001"
Handler = Callable[[Request], Reply | Any]


class Front:
    """Routes by method and pattern; `fallback` answers what no route does, or returns None."""

    def __init__(self, identify: Callable[[Request], str], fallback: Callable[[Request], Reply | None]) -> None:
        self.calls: list[str] = []
        self.unknown_calls: list[str] = []
        self.crashes: list[str] = []
        self.faults: list[Fault] = []
        self._identify, self._fallback = identify, fallback
        self._lock = threading.Lock()
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _requests(self))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def teach(self, methods: str, pattern: str, handler: Handler) -> None:
        """`{name}` in the pattern is one segment, `{name...}` the rest of the path; `methods` are parted by spaces."""
        expression = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(pattern))
        expression = re.sub(r"\\\{(\w+)(?:\\\.){3}\\\}", r"(?P<\1>.+)", expression)
        self._routes += [(method, re.compile(expression), handler) for method in methods.split()]

    def answer(self, request: Request) -> Reply | None:
        """None: the connection is dropped."""
        self.calls.append(f"{request.method} {request.path}")
        try:
            fault = self._struck(request)
            if fault and not fault.after:
                return _failed(fault)
            reply = self._routed(request)
        except Refusal as refusal:
            return refusal.reply()
        except Exception as error:  # noqa: BLE001 - the client gets an answer, the test the error
            self.crashes.append(f"{request.method} {request.path}: {error!r}\n{traceback.format_exc()}")
            return Reply(status=500, json={"error_code": "INTERNAL_ERROR", "message": repr(error)})
        return _failed(fault) if fault else reply

    def _routed(self, request: Request) -> Reply:
        caller = "" if request.path.startswith(_OPEN) else self._identify(request)
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path) if method in (request.method, "*") else None
            if found:
                parts = found.groupdict()
                given = handler(_with(request, caller, parts))
                return given if isinstance(given, Reply) else Reply(json={} if given is None else given)
        reply = self._fallback(_with(request, caller, {}))
        if reply is None:
            self.unknown_calls.append(f"{request.method} {request.address} {request.body[:500]!r}")
            message = f"The emulated workspace does not know {request.method} {request.path}"
            return Reply(status=501, json={"error_code": "NOT_IMPLEMENTED", "message": message})
        return reply

    def _struck(self, request: Request) -> Fault | None:
        with self._lock:
            for fault in self.faults:
                if fault.strikes(request):
                    fault.times -= 1
                    return fault
        return None


def _with(request: Request, caller: str, parts: Mapping[str, str]) -> Request:
    return Request(
        method=request.method,
        path=request.path,
        query=request.query,
        address=request.address,
        headers=request.headers,
        body=request.body,
        caller=caller,
        parts=parts,
    )


def _failed(fault: Fault) -> Reply | None:
    if fault.status is None:
        return None
    return Reply(
        status=fault.status, json={"error_code": fault.code, "message": fault.message}, headers=dict(fault.headers)
    )


def _requests(front: Front) -> type[BaseHTTPRequestHandler]:
    class Requests(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait for each other's acknowledgement
        disable_nagle_algorithm = True

        def handle_one(self) -> None:
            address = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(address.query, keep_blank_values=True).items()}
            reply = front.answer(
                Request(
                    method=self.command,
                    path=unquote(address.path),
                    query=query,
                    address=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self._body(),
                )
            )
            if reply is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
                return
            content = reply.content if reply.content is not None else json.dumps(reply.json).encode()
            self.send_response(reply.status)
            headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
            headers["X-Databricks-Org-Id"] = WORKSPACE_ID
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = do_HEAD = handle_one  # noqa: N815 - names of the base class

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
