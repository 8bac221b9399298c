"""MLflow's tracking: a real MLflow server, at the addresses and with the rules of a workspace.

Artefacts lie under dbfs:/databricks/mlflow-tracking, so that MLflow's client reads and writes them through the Files
API; a logged model's are called logged_models there. Experiments are objects of the workspace: their names are paths.
"""

from __future__ import annotations

import re
from pathlib import Path

from tests.loopback import Reply
from tests.template.harness.workspace.children import Child
from tests.template.harness.workspace.errors import Refusal, invalid
from tests.template.harness.workspace.front import Front, Request

_LOGGED_MODEL = re.compile(rb"(dbfs:/databricks/mlflow-tracking/\d+)/models/(m-)")
_OTHERS = ("registered-models/", "model-versions/", "unity-catalog/", "databricks/")


class Tracking:
    """The workspace's own registry is switched off, as in workspaces with Unity Catalog: its calls are unknown."""

    def __init__(self, server: Child, files: Path) -> None:
        self._server, self._files = server, files

    def teach(self, front: Front) -> None:
        front.teach("POST", "/api/2.0/mlflow/experiments/create", self._new_experiment)

    def answer(self, request: Request) -> Reply | None:
        """None for what is not MLflow's, or what the server does not know."""
        found = re.fullmatch(r"/api/[23]\.0/mlflow/(.+)", request.path)
        if not found or found[1].startswith(_OTHERS):
            return None
        reply = self._server.passed_on(request)
        if reply.content is None or (reply.status in (404, 405) and not reply.content.startswith(b"{")):
            return None
        return Reply(
            status=reply.status,
            content=_LOGGED_MODEL.sub(rb"\1/logged_models/\2", reply.content),
            headers=reply.headers,
        )

    def _new_experiment(self, request: Request) -> Reply:
        name = request.json().get("name", "")
        if not name.startswith("/"):
            raise invalid(f"Got an invalid experiment name '{name}'. An absolute path in the workspace is needed.")
        parent = Path(name.removeprefix("/Workspace")).parent
        if not (self._files / str(parent).lstrip("/")).is_dir():
            raise Refusal(404, "RESOURCE_DOES_NOT_EXIST", f"Parent directory {parent} does not exist.")
        reply = self.answer(request)
        assert reply is not None
        return reply
