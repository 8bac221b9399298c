"""A `gatehouse` whose libraries are loaded already: each call is a process of its own, forked from one that has them.

Loading takes most of the time of a command, and an executed release calls a dozen. A call gets the caller's arguments,
folder, environment and standard streams; its exit code goes back. `python warm.py SOCKET ARGUMENT ...` is the caller's
side, standard library only.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_SIZE = struct.Struct("!I")
_PRELOAD = (
    "gatehouse.cli.world",
    "gatehouse.pipelines.release",
    "gatehouse.pipelines.promotion",
    "gatehouse.pipelines.monitoring",
    "gatehouse.lakehouse.tracking",
    "gatehouse.lakehouse.registry_mlflow",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "sklearn.linear_model",
    "deltalake",
    "pandas",
    "matplotlib.figure",
    "pyspark.sql.connect.session",
    "requests",
)


@contextmanager
def warm_gatehouse() -> Iterator[Path]:
    """The program; it can be called as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder, _served(Path(folder)) as program:
        yield program


@contextmanager
def _served(folder: Path) -> Iterator[Path]:
    place = folder / "s"  # short: the address of a socket may have about 100 characters
    program = folder / "gatehouse"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{__file__}" "{place}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(place))
    listening.listen()
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", str(listening.fileno())], pass_fds=[listening.fileno()]
    )
    listening.close()
    try:
        yield program
    finally:
        server.kill()
        server.wait()


def _serve(number: int) -> None:
    from importlib import import_module

    from gatehouse.lakehouse.mlflow_globals import set_environment

    set_environment()
    for name in _PRELOAD:
        import_module(name)
    ours = dict(os.environ)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(fileno=number)
    while True:
        connection, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _call(connection, ours)
        connection.close()


def _call(connection: socket.socket, ours: dict[str, str]) -> None:
    """In the forked process; does not return."""
    import random

    code = 1
    try:
        head, streams, _, _ = socket.recv_fds(connection, _SIZE.size, 3)
        (length,) = _SIZE.unpack(head)
        body = b""
        while len(body) < length:
            body += connection.recv(length - len(body))
        asked = json.loads(body)
        connection.sendall(_SIZE.pack(os.getpid()))
        for stream, number in zip(streams, (0, 1, 2), strict=True):
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(asked["folder"])
        mlflow = {name: value for name, value in ours.items() if name.startswith("MLFLOW_")}
        os.environ.clear()
        os.environ.update(mlflow | asked["environment"])
        random.seed()
        sys.argv = ["gatehouse", *asked["arguments"]]
        from gatehouse.cli import main

        main(asked["arguments"])
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(_SIZE.pack(code & 0xFF))
        os._exit(code)


def _ask(place: str, arguments: list[str]) -> int:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(place)
    asked = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}  # noqa: PTH109
    body = json.dumps(asked).encode()
    socket.send_fds(connection, [_SIZE.pack(len(body))], [0, 1, 2])
    connection.sendall(body)
    (process,) = _SIZE.unpack(connection.recv(_SIZE.size))

    def pass_on(number: int, _: FrameType | None) -> None:
        os.kill(process, number)

    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, pass_on)
    answer = connection.recv(_SIZE.size)
    return int(_SIZE.unpack(answer)[0]) if answer else 137


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        sys.path[0] = os.getcwd()  # noqa: PTH109 - not the folder of this file
        _serve(int(sys.argv[2]))
    else:
        sys.exit(_ask(sys.argv[1], sys.argv[2:]))
