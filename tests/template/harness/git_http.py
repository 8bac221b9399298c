"""A bare repository behind a loopback address, through git's own `http-backend`: pushing takes a token, as it does."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.loopback import Call, Reply


def token_of(call: Call) -> str:
    """From `Authorization: Bearer T`, `token T`, or basic with any user; empty without."""
    kind, _, given = call.headers.get("authorization", "").partition(" ")
    if kind.lower() == "basic":
        return base64.b64decode(given).decode().partition(":")[2]
    return given.strip()


def serve(call: Call, folder: Path, repository: str, *, may: Callable[[str, bool], bool]) -> Reply:
    """One request of git's; `may(token, writes)` says whether it is allowed."""
    writes = "git-receive-pack" in (call.query.get("service", ""), call.path.rsplit("/", 1)[-1])
    token = token_of(call)
    if not may(token, writes):
        if token:
            return Reply(status=403, content=b"Permission to the repository denied.\n")
        return Reply(status=401, content=b"", headers={"WWW-Authenticate": 'Basic realm="GitHub"'})
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(folder),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.receivepack",
        "GIT_CONFIG_VALUE_0": "true",
        "REQUEST_METHOD": call.method,
        "PATH_INFO": f"/{repository}.git/{call.parts['service']}",
        "QUERY_STRING": call.query[""],
        "CONTENT_TYPE": call.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(call.body)),
        "HTTP_CONTENT_ENCODING": call.headers.get("content-encoding", ""),
        "HTTP_GIT_PROTOCOL": call.headers.get("git-protocol", ""),
        "REMOTE_USER": "workflow",
        "REMOTE_ADDR": "127.0.0.1",
    }
    done = subprocess.run(["git", "http-backend"], input=call.body, env=environment, capture_output=True, check=True)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
    status = int(headers.pop("Status", "200").split()[0])
    return Reply(status=status, content=content, headers=headers)
