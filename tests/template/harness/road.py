"""A project of our template in an emulated workspace: deployed by the real CLI, driven by `gatehouse` from outside.

The project is what `gatehouse rename --remove-example` leaves: a small regression, whose rows come from files that land
where any have. Spark's tables and the workspace's
schemas are two systems here and one in Unity Catalog, so a schema that is made in the workspace is made in both.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.template.harness.databricks_cli import databricks_cli
from tests.template.harness.runtime_python import runtime_python
from tests.template.harness.spark.server import SparkServer
from tests.template.harness.workspace import ADMIN, Runtime, Workspace

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

ROOT = Path(__file__).parents[3]
NAME = "little"
ENVIRONMENTS = ("staging", "prod")
APPROVER = "anna@example.org"
AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
_APPROVE = ("USE_CATALOG", "USE_SCHEMA", "SELECT", "EXECUTE", "APPLY_TAG", "READ_VOLUME", "WRITE_VOLUME")
_RIGHTS = ("USE_CATALOG", "USE_SCHEMA", "CREATE_SCHEMA", "CREATE_TABLE", "CREATE_VOLUME", "CREATE_MODEL", "SELECT")


@dataclass(kw_only=True)
class Road:
    """`project` is the checkout that is deployed; `principals` are the service principals, by environment."""

    project: Path
    workspace: Workspace
    spark: SparkServer
    principals: Mapping[str, str]

    def cli(self, *arguments: str, env: str = "prod", check: bool = True) -> str:
        """The Databricks CLI, as the environment's service principal."""
        return self._run(str(databricks_cli()), *arguments, identity=self.principals[env], check=check)[1]

    def deploy(self, env: str) -> str:
        """`databricks bundle deploy`; a clone that a CI made is on no branch."""
        return self.cli("bundle", "deploy", "-t", env, "--force", env=env)

    def gatehouse(self, *arguments: str, env: str = "prod", identity: str = "", code: int = 0) -> str:
        """The command line on somebody's machine; what it printed. `code` is how it has to end."""
        command = (sys.executable, "-m", "gatehouse", *arguments, f"--env={env}")
        ended, said = self._run(*command, identity=identity or self.principals[env], check=False)
        assert ended == code, said
        return said

    def said(self, *arguments: str, env: str = "prod") -> Any:
        """What it printed as JSON."""
        text = self.gatehouse(*arguments, "--json", env=env)
        return json.loads(text[text.index("{") :])

    def sdk(self, identity: str) -> WorkspaceClient:
        """The workspace as somebody's program sees it."""
        from databricks.sdk import WorkspaceClient

        return WorkspaceClient(host=self.workspace.host, token=self.workspace.token_of(identity), auth_type="pat")

    def configure(self, old: str, new: str) -> None:
        """Change conf/environments.yml and commit it."""
        file = self.project / "conf" / "environments.yml"
        text = file.read_text(encoding="utf-8")
        assert old in text
        file.write_text(text.replace(old, new), encoding="utf-8")
        git(self.project, *AUTHOR, "commit", "--quiet", "--all", "--message", f"{new.strip()}")

    def _run(self, *command: str, identity: str, check: bool) -> tuple[int, str]:
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR", "LANG") if name in os.environ}
        programs = [str(Path(sys.executable).parent), str(databricks_cli().parent), *_uv(), os.environ["PATH"]]
        done = subprocess.run(
            command,
            cwd=self.project,
            env=kept
            | self.workspace.environ(identity)
            | {
                "PATH": os.pathsep.join(programs),
                "PYTHONPATH": str(self.project / "src"),
                "SPARK_REMOTE": self.spark.remote,
                "BUNDLE_VAR_service_principal": identity,
                "DATABRICKS_CLI_DISABLE_UPDATE_CHECK": "true",
                "UV_PYTHON": sys.executable,
                "UV_PYTHON_DOWNLOADS": "never",
                "COLUMNS": "160",
                "GATEHOUSE_LAKEHOUSE": str(self.project.parent / "scratch"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stdout
        return done.returncode, done.stdout


@contextmanager
def road(folder: Path, mlflow_database: Path) -> Iterator[Road]:
    """The workspace with catalogs, identities and grants, and a project that is committed and not yet deployed."""
    project = folder / "project"
    _project(project)
    volumes = folder / "databricks" / "workspace" / "lake" / "dbfs" / "Volumes"
    python = str(runtime_python() or sys.executable)
    with SparkServer(("dev", *ENVIRONMENTS), folder=folder / "spark", volumes=volumes, python=python) as spark:
        compiling = {"PYTHONDONTWRITEBYTECODE": ""}  # what tasks import is compiled once, and not by each
        runtime = Runtime(python=python, variables={"SPARK_REMOTE": spark.remote, **compiling})
        with Workspace(folder / "databricks", mlflow_database=mlflow_database, runtime=runtime) as workspace:
            workspace.on_schema(_into_spark(spark))
            principals = {env: workspace.add_service_principal(f"{NAME}-{env}") for env in ENVIRONMENTS}
            workspace.add_user(APPROVER, f"{NAME}-approvers", f"{NAME}-developers")
            _grant(workspace, principals)
            yield Road(project=project, workspace=workspace, spark=spark, principals=principals)


def git(folder: Path, *arguments: str) -> str:
    """In somebody's checkout; what it printed."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _project(folder: Path) -> None:
    """This checkout as it lies, renamed, its environments in the workspace."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, *AUTHOR, "commit", "--quiet", "--message", "The template")
    subprocess.run(
        [sys.executable, "-m", "gatehouse", "rename", NAME, "--remove-example"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder / "src")},
        check=True,
        capture_output=True,
    )
    file = folder / "conf" / "environments.yml"
    text = re.sub(r"(?m)^(    )(catalog: \w+)$", r"\1\2\n\1platform: databricks", file.read_text(encoding="utf-8"))
    file.write_text(text, encoding="utf-8")
    _read_what_landed(folder / "src" / NAME / "project.py")
    git(folder, "add", "--all")
    git(folder, *AUTHOR, "commit", "--quiet", "--message", "Ours")


_LANDED = """
FILES = Files(
    format="csv",
    columns=(
        Column(name="airport", type="string", description="IATA code.", nullable=False),
        Column(name="day", type="timestamp", description="Its beginning.", nullable=False),
        *(Column(name=name, type="double", description="Mean.") for name in MEASURED),
    ),
)


def raw(asked: Extraction) -> pd.DataFrame:
    if not asked.has_landed:
        return pd.read_csv(CSV, parse_dates=["day"])
    rows = asked.landed(FILES).select("airport", "day", *MEASURED).toPandas()
    assert len(rows) > 1000, "Auto Loader took nothing in"
    return rows


PROJECT = Project(
    sample=lambda _: {WEATHER.name: [CSV]},
"""


def _read_what_landed(module: Path) -> None:
    """The starter's source reads its CSV from the package: here, only where nothing has landed."""
    text = module.read_text(encoding="utf-8")
    for old, new in (
        ('pd.read_csv(CSV, parse_dates=["day"])', "raw(asked)"),
        ("\nPROJECT = Project(\n", _LANDED),
        ("    FeatureTable,\n", "    FeatureTable,\n    Files,\n"),
        ("\n# 1. ", '\nMEASURED = ("temperature", "dew_point", "pressure", "wind_speed")\n\n# 1. '),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    module.write_text(text, encoding="utf-8")


def _grant(workspace: Workspace, principals: Mapping[str, str]) -> None:
    """What `gatehouse setup` makes, as far as the emulated workspace looks at it."""
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.catalog import PermissionsChange, Privilege

    admin = WorkspaceClient(host=workspace.host, token=workspace.token_of(ADMIN), auth_type="pat")
    for catalog in ("dev", *ENVIRONMENTS):
        admin.catalogs.create(catalog)
    for env, principal in principals.items():
        change = PermissionsChange(principal=principal, add=[Privilege(right) for right in _RIGHTS])
        people = PermissionsChange(principal=f"{NAME}-approvers", add=[Privilege(right) for right in _APPROVE])
        admin.grants.update("catalog", env, changes=[change, people])


def _into_spark(spark: SparkServer) -> Any:
    """Makes and drops schemas there too, through a session of its own."""

    def told(name: str, there: bool) -> None:
        from pyspark.sql.connect.session import SparkSession

        session = SparkSession.builder.remote(spark.remote).create()
        try:
            quoted = ".".join(f"`{part}`" for part in name.split("."))
            statement = f"CREATE SCHEMA IF NOT EXISTS {quoted}" if there else f"DROP SCHEMA IF EXISTS {quoted} CASCADE"
            session.sql(statement).collect()
        finally:
            session.stop()

    return told


def _uv() -> list[str]:
    """Where the Makefile keeps its uv, if this machine has none on the path."""
    return [str(found.parent) for found in sorted(ROOT.glob(".tools/uv-*/bin/uv"))]
