"""The real CLI deploys the bundle of this repository to the emulated workspace: built, planned, kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import PermissionsChange, Privilege, SecurableType
from tests.template.harness.bundle import PARTS, ROOT, TARGETS
from tests.template.harness.databricks_cli import cli_json, databricks_cli, run_cli
from tests.template.harness.workspace import ADMIN, Workspace

pytestmark = pytest.mark.slow

BUILT_FROM = (*PARTS, ".gitignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE", "src", "examples")
ALSO_NAMED = "tests/unit/examples/test_use_case.py"
"""A second use case begins as a copy of the example's; its test is one of the files."""
DEVELOPER = "ann@example.com"
LASTING = {
    "resources.experiments.runs",
    "resources.registered_models.model",
    "resources.schemas.project",
    "resources.volumes.gatehouse",
    "resources.volumes.landing",
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is deployed, committed on `main` of a repository of its own, which has a second use case, `buses`."""
    databricks_cli()  # or the tests are skipped
    folder = tmp_path_factory.mktemp("checkout")
    for path in BUILT_FROM:
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, folder / path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, folder / path)
    (folder / ALSO_NAMED).parent.mkdir(parents=True)
    shutil.copy(ROOT / ALSO_NAMED, folder / ALSO_NAMED)
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    begin = (("add", "--all"), (*who, "commit", "-qm", "Begin"))
    for arguments in (("init", "--quiet", "--initial-branch=main"), *begin):
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    renaming = [sys.executable, "-m", "gatehouse", "rename", "--add", "buses"]
    subprocess.run(renaming, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder / "src")}, check=True)
    for arguments in begin:
        subprocess.run(["git", *arguments], cwd=folder, check=True)
    return folder


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path
) -> Iterator[tuple[Workspace, dict[str, str]]]:
    """A workspace as the set-up leaves it: catalogs, groups; and who deploys to each target."""
    with Workspace(tmp_path_factory.mktemp("workspace"), mlflow_database=mlflow_template) as workspace:
        admin = administrator(workspace)
        workspace.add_user(DEVELOPER, "flight_delays-developers")
        for group in ("flight_delays-approvers", "buses-developers", "buses-approvers"):
            workspace.identities.add_group(group)
        for catalog in TARGETS:
            admin.catalogs.create(catalog)
        deployers = {"dev": DEVELOPER}
        for target in ("staging", "prod"):
            deployers[target] = principal = workspace.add_service_principal(f"flight_delays-{target}")
            rights = PermissionsChange(principal=principal, add=[Privilege.USE_CATALOG, Privilege.CREATE_SCHEMA])
            admin.grants.update(SecurableType.CATALOG.value, target, changes=[rights])
        yield workspace, deployers


Cli = Callable[..., Any]


@pytest.fixture
def cli(prepared: tuple[Workspace, dict[str, str]], checkout: Path) -> Cli:
    """A command on a target in the name of who deploys it: what it prints, or the actions if it is to plan.

    `beside` is the folder of another bundle in the checkout.
    """
    workspace, deployers = prepared
    uv = os.environ.get("UV") or shutil.which("uv") or next(map(str, ROOT.glob(".tools/uv-*/bin/uv")), None)
    if uv is None:
        pytest.skip("uv was not found: run make test-slow")

    def run(target: str, verb: str, *arguments: str, check: bool = True, beside: str = ".", **variables: str) -> Any:
        who = deployers[target]
        given = {"service_principal": who, **variables} if target != "dev" else variables
        environment = {f"BUNDLE_VAR_{name}": value for name, value in given.items()} | {"UV": uv}
        words, token = ("bundle", verb, "-t", target, *arguments), workspace.token_of(who)
        if verb == "plan":
            answer = cli_json(*words, at=checkout / beside, host=workspace.host, token=token, **environment)
            return {name: entry["action"] for name, entry in answer["plan"].items()}
        done = run_cli(*words, at=checkout / beside, host=workspace.host, token=token, check=check, **environment)
        return done.stdout + done.stderr

    return run


def administrator(workspace: Workspace) -> WorkspaceClient:
    return WorkspaceClient(host=workspace.host, token=workspace.token_of(ADMIN), auth_type="pat")


def deploy(target: str, cli: Cli, beside: str = ".") -> set[str]:
    """From a fresh clone; then there is nothing to change. Returns what is there."""
    first: dict[str, str] = cli(target, "plan", beside=beside)
    assert set(first.values()) == {"create"}
    assert "Deployment complete!" in cli(target, "deploy", beside=beside)
    assert "Validation OK!" in cli(target, "validate", "--strict", beside=beside)
    assert set(cli(target, "plan", beside=beside).values()) == {"skip"}
    return set(first)


def test_a_developer_deploys_a_copy_of_their_own_and_destroys_it(
    cli: Cli, prepared: tuple[Workspace, dict[str, str]]
) -> None:
    workspace, _ = prepared
    assert deploy("dev", cli) & LASTING == set()

    admin = administrator(workspace)
    jobs = [
        job for job in admin.jobs.list() if job.settings and (job.settings.tags or {}).get("gatehouse_env") == "dev"
    ]
    assert {str(job.settings and job.settings.name).partition("]")[0] for job in jobs} == {"[dev ann"}
    whole = admin.jobs.get(jobs[0].job_id or 0).as_dict()["settings"]
    wheel, requirements = whole["environments"][0]["spec"]["dependencies"]
    assert workspace.folder(wheel).is_file()
    files = workspace.folder(requirements.removeprefix("-r ")).parents[1]
    assert {path.name for path in files.iterdir()} == {"code.json", "conf", "dist", "notebooks"}

    assert "Destroy complete!" in cli("dev", "destroy", "--auto-approve")
    assert set(cli("dev", "plan").values()) == {"create"}


def test_staging_changes_compute_by_one_variable_and_gets_its_monitor_later(cli: Cli) -> None:
    assert deploy("staging", cli) > LASTING

    planned = cli("staging", "plan", data_quality_monitor="yes", compute="cluster")
    changed = {name: action for name, action in planned.items() if action != "skip"}
    jobs = {name: action for name, action in changed.items() if name.startswith("resources.jobs.")}
    assert (len(jobs), set(jobs.values())) == (8, {"update"})
    assert changed.keys() - jobs.keys() == {"resources.quality_monitors.predictions"}


def test_a_second_use_case_is_deployed_beside_the_first(
    cli: Cli, prepared: tuple[Workspace, dict[str, str]], checkout: Path
) -> None:
    workspace, _ = prepared
    cli("staging", "deploy")
    assert deploy("staging", cli, "projects/buses") > LASTING
    assert set(cli("staging", "plan").values()) == {"skip"}  # the first one's are its own still

    admin = administrator(workspace)
    of: dict[str, set[str]] = {"flight_delays": set(), "buses": set()}
    for job in admin.jobs.list(expand_tasks=True):
        settings = job.settings
        assert settings is not None
        if settings.tags and settings.tags["gatehouse_env"] == "staging":
            project = settings.tags["gatehouse_project"]
            of[project].add(f"{settings.name}".removeprefix(f"{project} "))
            arguments = [
                task.python_wheel_task.parameters or [] for task in settings.tasks or () if task.python_wheel_task
            ]
            conf = workspace.folder({words[1] for words in arguments}.pop())
            assert f"project: {project}:PROJECT" in (conf / "environments.yml").read_text("utf-8")
            assert (conf.parent / "code.json").read_text("utf-8").startswith("{")
    assert of["buses"] == of["flight_delays"]
    assert len(of["buses"]) == 8
    models = [model.full_name for model in admin.registered_models.list(catalog_name="staging", schema_name="buses")]
    assert models == ["staging.buses.buses"]


def test_production_keeps_what_holds_data_and_is_deployed_from_main_or_by_a_ci(cli: Cli, checkout: Path) -> None:
    assert deploy("prod", cli) > LASTING
    refused = cli("prod", "destroy", "--auto-approve", check=False)
    assert "has lifecycle.prevent_destroy set" in refused
    assert {name for name in LASTING if name in refused} != set()
    assert set(cli("prod", "plan").values()) == {"skip"}

    subprocess.run(["git", "switch", "--quiet", "--create", "feature"], cwd=checkout, check=True)
    try:
        assert "not on the right Git branch" in cli("prod", "deploy", check=False)
        subprocess.run(["git", "switch", "--quiet", "--detach"], cwd=checkout, check=True)  # as a CI does
        assert set(cli("prod", "plan").values()) == {"skip"}
    finally:
        subprocess.run(["git", "switch", "--quiet", "main"], cwd=checkout, check=True)
