"""The MLflow server that a listener needs, and how others find it: only a running server delivers webhooks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from gatehouse.errors import PlatformError, UsageError
from gatehouse.listening.receiver import HOST

_ADDRESS, LOG = "server.json", "server.log"
_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def server_in(folder: Path) -> str | None:
    """The address of the server that a listener keeps running, if it answers."""
    known = _known(folder)
    return known[0] if known else None


def answers(address: str) -> bool:
    """Whether an MLflow server answers there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError, HTTPException):  # URLError is an OSError
        return False


@contextmanager
def serving(
    folder: Path, command: Callable[[int], list[str]], settings: Mapping[str, str], *, given: str | None
) -> Iterator[str]:
    """An MLflow server: the one that was given, the one that a killed listener left, or one of our own, while inside.

    `command` starts one on a port. Its address stands in `folder` for those who register versions.

    Raises:
        UsageError: what was given is not on this machine.
        PlatformError: it does not answer.
    """
    if given is not None:
        given = given.rstrip("/")
        if not _on_loopback(given):
            raise UsageError(
                f"--server {given} is not on this machine.",
                why="Its webhooks would carry the secret of this lakehouse over a network.",
                remedy="Write http://127.0.0.1:PORT, or leave it out: then a server is started.",
            )
        if not answers(given):
            raise PlatformError(
                f"No MLflow server answers at {given}.",
                why="Only a running server delivers webhooks.",
                remedy="Start it, or leave --server out: then one is started.",
            )
        with _named(folder, given, None):
            yield given
    elif left := _known(folder):
        address, pid = left
        with _named(folder, address, pid):
            try:
                yield address
            finally:
                if pid is not None:
                    _end(pid, lambda: not answers(address))
    else:
        with _started(folder, command, settings) as (address, process), _named(folder, address, process.pid):
            yield address


def _known(folder: Path) -> tuple[str, int | None] | None:
    """Address and process of a server that answers; the process is None for one that somebody else has started."""
    try:
        content = json.loads((folder / _ADDRESS).read_text(encoding="utf-8"))
        address, pid = str(content["address"]), content["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not _on_loopback(address) or not answers(address):
        return None
    return address, pid if isinstance(pid, int) and pid > 1 else None


@contextmanager
def _started(
    folder: Path, command: Callable[[int], list[str]], settings: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = _free_port()
    address = f"http://{HOST}:{port}"
    log = folder / LOG
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own argument list
            command(port),
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us, who end it with its workers
        )
    try:
        _wait(process, address, log)
        yield address, process
    finally:
        _end(process.pid, lambda: process.poll() is not None)


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    pause, waited = threading.Event(), 0.0
    while not answers(address):
        if process.poll() is not None or waited > _START_SECONDS:
            raise PlatformError(
                f"MLflow's server did not start: it ended with {process.returncode}."
                if process.returncode is not None
                else f"MLflow's server did not answer within {_START_SECONDS:.0f} s.",
                why="Only a running server delivers webhooks.",
                remedy=f"Mend what it says in {log}, then run the same command again.",
            )
        pause.wait(0.25)
        waited += 0.25


def _end(pid: int, ended: Callable[[], bool]) -> None:
    """The server and its workers, which are a group of their own: asked to end, and after a while made to."""
    pause = threading.Event()
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        waited = 0.0
        while not ended() and waited < _STOP_SECONDS:
            pause.wait(0.1)
            waited += 0.1
        if ended():
            return


@contextmanager
def _named(folder: Path, address: str, pid: int | None) -> Iterator[None]:
    path = folder / _ADDRESS
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps({"address": address, "pid": pid}), encoding="utf-8")
    partial.replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _on_loopback(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme == "http" and parts.hostname in _LOOPBACK and parts.username is None
    except ValueError:
        return False
