"""`workspace/import` of any file, also as the form that the SDK sends: minilake knows notebooks only."""

from __future__ import annotations

import base64
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any
from urllib.parse import quote

from tests.loopback import Reply
from tests.template.harness.workspace.children import Child
from tests.template.harness.workspace.errors import Refusal, missing
from tests.template.harness.workspace.front import Front, Request


class Imports:
    """Files as they are; a notebook in SOURCE format is minilake's. As on Databricks, the folder must be there."""

    def __init__(self, lake: Child) -> None:
        self._lake = lake

    def teach(self, front: Front) -> None:
        front.teach("POST", "/api/2.0/workspace/import", self._import)

    def _import(self, request: Request) -> Reply:
        if request.headers.get("content-type", "").startswith("multipart/"):
            asked = _form(request)
            content = asked["content"]
        else:
            asked = request.json()
            content = base64.b64decode(asked.get("content", ""))
        if asked.get("format", "SOURCE") == "SOURCE":
            return self._lake.passed_on(request)
        path = asked["path"]
        if self._status(path.rpartition("/")[0]) != 200:
            raise missing(f"The parent folder of {path}")
        if str(asked.get("overwrite", False)).lower() != "true" and self._status(path) == 200:
            raise Refusal(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        address = f"/api/2.0/workspace-files/import-file{quote(path)}?overwrite=true"
        return self._lake.call("POST", address, body=content)

    def _status(self, path: str) -> int:
        return self._lake.call("GET", f"/api/2.0/workspace/get-status?path={quote(path)}").status


def _form(request: Request) -> dict[str, Any]:
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = BytesParser(policy=HTTP).parsebytes(head + request.body).iter_parts()
    found: dict[str, Any] = {}
    for part in parts:
        content: Any = part.get_payload(decode=True)
        name = str(part.get_param("name", header="content-disposition"))
        found[name] = content if name == "content" else content.decode()
    return found
