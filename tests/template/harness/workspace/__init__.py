"""An emulated Databricks workspace on one loopback address, which runs what it is given.

    with Workspace(tmp_path, mlflow_database=template) as workspace:
        person = workspace.add_user("ann@example.com", "flights-developers")
        subprocess.run(["databricks", "bundle", "deploy"], env=os.environ | workspace.environ(person))

Made of: minilake (Unity Catalog's catalogs, schemas, tables, volumes and grants, workspace files, Files API, SCIM, SQL
on DuckDB, warehouses, secrets, clusters and policies), a real MLflow server (experiments, runs, logged models,
traces), and the modules beside this one. At the end of the block a call that nobody knew, and a handler that crashed,
is an error.

Faithful, as far as the documentation says and the tests here try:

- Identities: a token is a user or a service principal; none or an expired one is 401, an unknown one 403. Grants of
  catalogs, schemas, volumes and models count, with USE_CATALOG and USE_SCHEMA; so do permissions on jobs, runs and
  endpoints. Whoever makes something owns it. Members of the group `admins`, and ADMIN, may everything.
- Models of Unity Catalog: three-level names, its error codes, forbidden characters in tags, search by name only,
  governed tags (`govern`), files through the Files API, a deployment job that starts for each new version with the
  rights of the model's owner.
- Jobs: wheel and condition tasks, depends_on, run_if, references, task values, parameters, queue, max_concurrent_runs,
  retries, timeouts, cancellation (SIGINT, then SIGKILL), repair, idempotency tokens, states and messages. A wheel task
  is a process in the runtime's environment with the wheel before it on the path, in an empty folder, with
  DATABRICKS_RUNTIME_VERSION and a token of whom the job runs as.
- Serving: READY only after the models have been loaded, each in a process; the old configuration answers meanwhile and
  stays if the new one fails; traffic is split exactly; an inference table's rows are in `serving.endpoints[..].log`.
- MLflow: artefacts of runs and logged models go through the Files API, as MLflow's client does it with a workspace.

Not faithful:

- /Workspace is a folder of the test: `/Workspace/` in the parameters and libraries of a task is replaced by its path.
  /Volumes exists in the Files API only (`workspace.folder("/Volumes/..")` says where its files lie).
- Dependencies of a task other than wheels are taken to be in the runtime, whatever version they ask for. Wheels with
  compiled parts or data files are refused. Clusters are not made; a job cluster's settings are kept and not looked at.
- `sys.exit()` fails a wheel task with any code, which the documentation only warns of.
- Tables of Spark are not those of minilake's SQL, and its schemas are its own (`workspace.on_schema(..)` links them).
  A monitor does not ask whether its table exists. Dashboards, alerts and monitors are kept, not run. Schedules and
  file triggers do not fire by themselves: `workspace.jobs.start(..)`.
- Permissions on experiments, dashboards, alerts, warehouses and folders are kept, not enforced, like grants on tables.
- Task kinds other than the two, the workspace's own model registry, prompts: 501, and an error at the end.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.loopback import Reply
from tests.template.harness import NotUnderstood
from tests.template.harness.workspace import children
from tests.template.harness.workspace.files import Files
from tests.template.harness.workspace.front import Fault, Front, Request
from tests.template.harness.workspace.identities import ADMIN, ADMINS, Identities
from tests.template.harness.workspace.imports import Imports
from tests.template.harness.workspace.jobs import Jobs
from tests.template.harness.workspace.objects import Objects
from tests.template.harness.workspace.permissions import Permissions
from tests.template.harness.workspace.registry import Registry
from tests.template.harness.workspace.registry_uc import RegistryOfSdk
from tests.template.harness.workspace.runs import Runs
from tests.template.harness.workspace.serving import Serving
from tests.template.harness.workspace.sql_grants import SqlGrants
from tests.template.harness.workspace.tracking import Tracking
from tests.template.harness.workspace.unity import Unity
from tests.template.harness.workspace.wheel_task import Runtime

__all__ = ["ADMIN", "ADMINS", "Runtime", "Workspace"]


class Workspace:
    """`host` is its address, `data` the folder of everything it keeps, `calls` and `unknown_calls` what came."""

    def __init__(
        self, folder: Path, *, mlflow_database: Path, runtime: Runtime | None = None, cancel_grace: float = 10.0
    ) -> None:
        """`mlflow_database` is an empty migrated SQLite file; `cancel_grace` the seconds from SIGINT to SIGKILL."""
        self.data = folder / "workspace"
        files = self.data / "lake" / "workspace"
        (files / "Shared").mkdir(parents=True)
        (files / "Users").mkdir()
        (files / "Workspace").symlink_to(".")  # /Workspace/Shared and /Shared are one folder
        shutil.copy(mlflow_database, self.data / "mlflow.db")
        self._lake = children.minilake(self.data / "lake")
        self._mlflow = children.mlflow(self.data / "mlflow", self.data / "mlflow.db")
        volumes = self.data / "lake" / "dbfs"
        runtime = runtime or Runtime(python=sys.executable)
        self._front = Front(self._identify, self._others)
        self.host = self._front.url
        self.calls, self.unknown_calls = self._front.calls, self._front.unknown_calls
        self.crashes = self._front.crashes
        self.identities = Identities(self._lake)
        self.unity = Unity(self._lake, self.identities)
        self.permissions = Permissions(self.identities)
        self.registry = Registry(self.unity, self.identities)
        self.runs = Runs(self.data / "tasks", files, runtime, self._task_environment, cancel_grace)
        self.jobs = Jobs(self.runs, self.permissions, self.host)
        self.serving = Serving(self.data / "serving", volumes, runtime, self.registry, self.unity, self.permissions)
        self.objects = Objects(files, self.permissions, self.registry)
        self.registry.new_version = self.jobs.start_deployment
        self.registry.deployment_job = self.jobs.check_deployment_job
        self._tracking = Tracking(self._mlflow, files)
        self._files = files
        for part in (
            *(
                self.identities,
                self.unity,
                Files(self._lake, self.unity),
                self.permissions,
                self.registry,
                RegistryOfSdk(self.registry),
            ),
            *(self.jobs, self.serving, self.objects, self._tracking, Imports(self._lake)),
            SqlGrants(self._lake, self.unity),
        ):
            part.teach(self._front)

    def __enter__(self) -> Self:
        self._front.start()
        self.add_user(ADMIN, ADMINS)
        self._lake.call("POST", "/api/2.0/sql/warehouses", body=_FIRST_WAREHOUSE, headers=_JSON)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.runs.stop()
        self.serving.stop()
        self._front.stop()
        self._lake.stop()
        self._mlflow.stop()
        if error is None and (surprises := self.surprises()):
            raise NotUnderstood("the emulated workspace was asked:\n" + "\n".join(surprises))

    def surprises(self) -> list[str]:
        """Calls that nobody knew and crashes of the emulator since the last time."""
        found = [*self.unknown_calls, *self.crashes, *self.runs.crashes]
        for kept in (self.unknown_calls, self.crashes, self.runs.crashes):
            kept.clear()
        return found

    def add_user(self, email: str, *groups: str) -> str:
        """A user with a home folder; groups are made as they are named. Returns the e-mail address."""
        for group in groups:
            self.identities.add_group(group)
        (self._files / "Users" / email).mkdir(exist_ok=True)
        return self.identities.add_user(email, *groups)

    def add_service_principal(self, name: str, *groups: str) -> str:
        """Returns its application id, which is its name in grants and permissions."""
        for group in groups:
            self.identities.add_group(group)
        application = self.identities.add_service_principal(name, *groups)
        (self._files / "Users" / application).mkdir(exist_ok=True)
        return application

    def token_of(self, identity: str) -> str:
        """A token of a user (e-mail address) or a service principal (application id or name)."""
        return self.identities.token_of(identity)

    def expire(self, identity: str) -> None:
        """Its token is refused from now on, and `token_of` gives another."""
        self.identities.expire(identity)

    def environ(self, identity: str = ADMIN) -> dict[str, str]:
        """The variables by which the CLI, the SDK and MLflow find this workspace as this identity."""
        return {
            "DATABRICKS_HOST": self.host,
            "DATABRICKS_TOKEN": self.token_of(identity),
            "DATABRICKS_AUTH_TYPE": "pat",
            "DATABRICKS_CONFIG_FILE": os.devnull,
            "MLFLOW_TRACKING_URI": "databricks",
            "MLFLOW_REGISTRY_URI": "databricks-uc",
        }

    def folder(self, path: str) -> Path:
        """Where the files of /Workspace/.., /Volumes/.. or /Models/.. lie."""
        if path.startswith("/Workspace/"):
            return self._files / path.removeprefix("/Workspace/")
        return self.data / "lake" / "dbfs" / path.lstrip("/")

    def govern(self, tag: str, *, values: set[str], assigned_by: set[str]) -> None:
        """Makes a tag of models governed: these values only, set by these principals (groups too) only."""
        self.registry.govern(tag, values=values, assigned_by=assigned_by)
        self.objects.tag_policies.setdefault(tag, {"tag_key": tag, "values": [{"name": value} for value in values]})

    def on_schema(self, told: Callable[[str, bool], None]) -> None:
        """Calls `told(full name, True)` when a schema was made, with False when one was dropped: a Spark server has
        catalogs of its own, in which nothing else would make it."""
        self.unity.told.append(told)

    def fail(
        self,
        method: str,
        path: str,
        *,
        status: int | None,
        times: int = 1,
        headers: Mapping[str, str] | None = None,
        code: str = "",
        after: bool = False,
        about: str = "",
    ) -> None:
        """The next `times` calls of this method (or `*`) whose path has the pattern fail.

        A status of None drops the connection. With `after` the call is done and only its answer is lost. `about` is a
        text of their query or body.
        """
        code = code or _CODES.get(status or 0, "INTERNAL_ERROR")
        self._front.faults.append(
            Fault(
                method=method,
                path=re.compile(path),
                status=status,
                times=times,
                headers=dict(headers or {}),
                code=code,
                message=f"A fault that the test asked for: {status}.",
                after=after,
                about=about,
            )
        )

    def heal(self) -> None:
        """Faults that have not struck yet do not."""
        self._front.faults.clear()

    def _identify(self, request: Request) -> str:
        return self.identities.identify(request)

    def _task_environment(self, run_as: str) -> dict[str, str]:
        return {"DATABRICKS_HOST": self.host, "DATABRICKS_TOKEN": self.token_of(run_as)}

    def _others(self, request: Request) -> Reply | None:
        """What no module here answers: MLflow's, then minilake's; None if neither knows it."""
        reply = self._tracking.answer(request)
        if reply is not None or "/mlflow/" in request.path or "/jobs/" in request.path:
            return reply
        reply = self._lake.passed_on(request)
        self.identities.forget(request)
        unknown = reply.status in (501, 405) or (reply.content or b"").startswith(b'{"detail"')
        return None if unknown else reply


_JSON = {"Content-Type": "application/json"}
_FIRST_WAREHOUSE = b'{"name": "Serverless Starter Warehouse", "cluster_size": "Small"}'
_CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    409: "RESOURCE_CONFLICT",
    429: "REQUEST_LIMIT_EXCEEDED",
    503: "TEMPORARILY_UNAVAILABLE",
}
