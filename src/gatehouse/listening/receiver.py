"""The address that MLflow's server delivers to: on loopback, answering at once, doing nothing but write it down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gatehouse.errors import PlatformError, StorageError
from gatehouse.listening.delivery import MAX_BODY, Delivery, Rejected, read
from gatehouse.listening.queue import Queue

HOST = "127.0.0.1"
PATH = "/model-versions"
_PATIENCE = 10.0
"""Seconds that a request may take to arrive whole."""


@contextmanager
def receiving(
    queue: Queue,
    *,
    model: str,
    secret: str,
    port: int,
    clock: Callable[[], datetime],
    log: Callable[[str], None],
    arrived: Callable[[], None],
) -> Iterator[str]:
    """Receives in the background, inside; the address is what is yielded. `port` 0: any that is free.

    Raises:
        PlatformError: the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _PATIENCE
        server_version, sys_version = "gatehouse", ""

        def do_POST(self) -> None:
            answer = self._read()
            if isinstance(answer, Rejected):
                self._answer(answer.status, answer.reason)
                return
            try:
                new = queue.put(answer.version, answer.id)
            except StorageError as error:
                self._answer(503, error.what)  # MLflow tries again
                return
            arrived()
            self._answer(202 if new else 200, f"version {answer.version} {'is queued' if new else 'is known already'}")

        def do_GET(self) -> None:
            self._answer(405, "only POST is understood")

        do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the library's names

        def _read(self) -> Delivery | Rejected:
            if self.path != PATH:
                return Rejected(status=404, reason="there is nothing here")
            length = self.headers.get("Content-Length", "")
            if not length.isascii() or not length.isdigit():
                return Rejected(status=411, reason="the length is missing")
            if int(length[:20]) > MAX_BODY:
                return Rejected(status=413, reason=f"the body is longer than {MAX_BODY:,} bytes")
            try:
                body = self.rfile.read(int(length))
            except OSError:
                return Rejected(status=408, reason="the body did not arrive")
            if len(body) < int(length):
                return Rejected(status=400, reason="the body is shorter than its length")
            return read(lambda name: self.headers.get(name) or "", body, secret=secret, model=model, now=clock())

        def _answer(self, status: int, said: str) -> None:
            log(f"{status} {said}")
            text = f"{said}\n".encode()
            self.close_connection = True  # what is left of a refused body is not the next request
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:
            """Said by `_answer`, without what the sender wrote."""

    try:
        server = ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise PlatformError(
            f"Port {port} of this machine cannot be listened on: {error.strerror or error}.",
            why="MLflow's server delivers to it.",
            remedy="Choose another with --port, or leave it out: then a free one is taken.",
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}{PATH}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
