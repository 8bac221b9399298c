"""The Files API in front of minilake's: volumes have rights, nothing is overwritten unasked, reads get an address."""

from __future__ import annotations

import secrets
from urllib.parse import quote

from tests.loopback import Reply
from tests.template.harness.workspace.children import Child
from tests.template.harness.workspace.errors import Refusal, missing
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.unity import Unity

_FS = "/api/2.0/fs"


class Files:
    """Files of volumes, of models and of MLflow's artefacts; grants count for volumes."""

    def __init__(self, lake: Child, unity: Unity) -> None:
        self._lake, self._unity = lake, unity
        self._signed: dict[str, str] = {}

    def teach(self, front: Front) -> None:
        front.teach("GET PUT HEAD DELETE", f"{_FS}/{{what}}/{{path...}}", self._answer)
        front.teach("POST", f"{_FS}/create-download-url", lambda request: self._sign(request, front.url))
        front.teach("GET", "/presigned/{key}", self._read_signed)

    def _answer(self, request: Request) -> Reply:
        self._may(request, request.parts["path"], request.method in ("GET", "HEAD"))
        given = f"{_FS}/{request.parts['what']}/{quote(request.parts['path'])}"
        new = request.method == "PUT" and request.parts["what"] == "files"
        kept = new and request.query.get("overwrite", "false") != "true"
        if kept and self._lake.call("HEAD", given).status == 200:
            raise Refusal(409, "ALREADY_EXISTS", "The file being created already exists.")
        return self._lake.passed_on(request)

    def _may(self, request: Request, path: str, reads: bool) -> None:
        if not path.startswith("Volumes/"):
            return
        volume = ".".join(path.split("/")[1:4])
        if volume.count(".") < 2 or not self._unity.exists("volumes", volume):
            raise missing(f"Volume '{volume}'", code="NOT_FOUND")
        self._unity.require(request.caller, "READ_VOLUME" if reads else "WRITE_VOLUME", "volume", volume)

    def _sign(self, request: Request, url: str) -> dict[str, object]:
        path = request.asked()["path"].lstrip("/")
        self._may(request, path, reads=True)
        if self._lake.call("HEAD", f"{_FS}/files/{quote(path)}").status != 200:
            raise missing(f"File /{path}", code="NOT_FOUND")
        key = secrets.token_urlsafe()
        self._signed[key] = path
        return {"url": f"{url}/presigned/{key}", "headers": []}

    def _read_signed(self, request: Request) -> Reply:
        if request.parts["key"] not in self._signed:
            raise Refusal(403, "PERMISSION_DENIED", "The address was not signed here.")
        return self._lake.call("GET", f"{_FS}/files/{quote(self._signed[request.parts['key']])}")
