"""What others have made, each in a process of its own behind a socket that is open before the process has loaded."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import requests
from tests.loopback import Reply
from tests.template.harness.workspace.front import Request

_MINILAKE = """
import sys, uvicorn
from minilake.app import create_app
uvicorn.run(create_app(), fd=int(sys.argv[1]), log_level="critical")
"""
_MLFLOW = """
import sys
from werkzeug.serving import make_server
from mlflow.server import app
make_server("127.0.0.1", 0, app, threaded=True, fd=int(sys.argv[1])).serve_forever()
"""
_DROPPED = {"connection", "content-encoding", "content-length", "date", "server", "transfer-encoding", "keep-alive"}


class Child:
    """A server on loopback. The first call waits until it has loaded; its output is in the file `log`."""

    def __init__(
        self, program: str, folder: Path, environment: dict[str, str], *, python: str = sys.executable
    ) -> None:
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        self.log = folder / "log.txt"
        folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-c", program, str(listening.fileno())],
                pass_fds=[listening.fileno()],
                cwd=folder,
                env=environment,
                stdout=log,
                stderr=log,
            )
        listening.close()
        self._local = threading.local()

    def call(self, method: str, address: str, *, body: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        """Its answer, whatever the status. Raises ConnectionError if it died."""
        session = getattr(self._local, "session", None) or requests.Session()
        self._local.session = session
        session.trust_env = False
        got = session.request(method, self.url + address, data=body, headers=headers, timeout=120)
        kept = {name: value for name, value in got.headers.items() if name.lower() not in _DROPPED}
        if method == "HEAD" and "Content-Length" in got.headers:
            kept["Content-Length"] = got.headers["Content-Length"]
        return Reply(status=got.status_code, content=got.content, headers=kept)

    def passed_on(self, request: Request, address: str | None = None) -> Reply:
        """The answer to the very call that came."""
        kept = {n: v for n, v in request.headers.items() if n not in ("host", "authorization", "connection")}
        kept.pop("transfer-encoding", None)
        kept["accept-encoding"] = "identity"
        return self.call(request.method, address or request.address, body=request.body, headers=kept)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def minilake(data: Path) -> Child:
    environment = {
        **_plain_environment(),
        "MINILAKE_DATA_DIR": str(data),
        "MINILAKE_NOTEBOOK": "0",
        "MINILAKE_DUCKDB_EXTENSION_DIR": str(data / "no-extensions"),  # or it would download one
        "DOCKER_HOST": "unix:///nonexistent",  # its own way to run tasks, which is not used
    }
    return Child(_MINILAKE, data, environment)


def mlflow(folder: Path, database: Path) -> Child:
    """`database` is an SQLite file that MLflow has migrated."""
    environment = {
        **_plain_environment(),
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{database}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "dbfs:/databricks/mlflow-tracking",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    return Child(_MLFLOW, folder, environment)


def _plain_environment() -> dict[str, str]:
    kept = ("PATH", "HOME", "TMPDIR", "LANG")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONDONTWRITEBYTECODE": "1"}
