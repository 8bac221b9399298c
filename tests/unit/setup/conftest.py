"""A project with three environments on Databricks, and everything around it on loopback."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.unit.setup.servers import ACCOUNT, TOKEN, Account, GitHub, Workspace, minilake

from gatehouse.ci.remote import remote_of
from gatehouse.progress import Silent
from gatehouse.settings import EnvironmentsFile
from gatehouse.setup import sdk
from gatehouse.setup.answers import SetupFile
from gatehouse.setup.record import Record
from gatehouse.setup.resources import Action, Part, Step
from gatehouse.setup.roles import Objects
from gatehouse.setup.session import Session

WORKFLOWS = {
    "pull-request": "environment: pull-request",
    "staging": "environment: staging",
    "release": "environment: prod\nenvironment: prod-approval",
}

TAGS: dict[str, tuple[str, ...]] = {"approval": ("Approved", "Rejected"), "approval_record": ()}


def environments(source: str = "live", driver: str = "ci") -> EnvironmentsFile:
    """dev reads prod, staging is thrown away, prod is protected; each in a catalog of its own."""
    on = {"platform": "databricks", "schema": "parcels"}
    return EnvironmentsFile.model_validate(
        {
            "project": "parcels:PROJECT",
            "environments": {
                "dev": {**on, "catalog": "d", "sources_from": "prod", "source": source},
                "staging": {**on, "catalog": "s"},
                "prod": {**on, "catalog": "p", "protected": True, "driver": driver},
            },
        }
    )


@dataclass
class Town:
    """The servers, and setups of one checkout against them."""

    root: Path
    account: Account
    workspace: Workspace
    github: GitHub
    environ: dict[str, str]

    def session(self, *, source: str = "live", driver: str = "ci", **answers: Any) -> Session:
        """A new one, as a new process would have it."""
        host = {"host": self.workspace.url, "id": 42}
        given = {
            "account": {"host": self.account.url, "id": ACCOUNT},
            "workspaces": {name: [host] for name in ("dev", "staging", "prod")},
            "warehouse": "w1",
            "reviewers": ["anna"],
        }
        return Session(
            root=self.root,
            project="parcels",
            environments=environments(source, driver),
            answers=SetupFile.model_validate({**given, **answers}),
            objects=Objects(model="parcels", audit="audit_log", results=("pipeline_runs",), tags=TAGS),
            remote=remote_of(self.environ, self.root, wait=0),
            record=Record(self.root / "setup-record.json"),
        )

    def apply(self, *parts: Part, **given: Any) -> int:
        """Everything, or some parts; the bundle is deployed as soon as it can be, and setup run again."""
        done = self.session(**given).apply(parts or tuple(Part), Silent())
        return done + (self.session(**given).apply(parts or tuple(Part), Silent()) if self.deploy() else 0)

    def deploy(self) -> bool:
        """What the bundle makes of staging and prod; False if there was nothing to do."""
        with requests.Session() as http:
            http.headers["Authorization"] = f"Bearer {TOKEN}"
            base = f"{self.workspace.url}/api/2.1/unity-catalog"
            catalogs = {entry["name"] for entry in http.get(f"{base}/catalogs").json().get("catalogs", [])}
            new = [c for c in ("s", "p") if c in catalogs and not http.get(f"{base}/schemas/{c}.parcels").ok]
            for catalog in new:
                place = {"catalog_name": catalog}
                http.post(f"{base}/schemas", json={**place, "name": "parcels"}).raise_for_status()
                for volume in ("landing", "gatehouse"):
                    body = {**place, "schema_name": "parcels", "name": volume, "volume_type": "MANAGED"}
                    http.post(f"{base}/volumes", json=body).raise_for_status()
        self.workspace.writes = [w for w in self.workspace.writes if not new or "POST" not in w or "unity" not in w]
        return bool(new)

    def steps(self, *parts: Part, **given: Any) -> dict[str, Step]:
        """The plan by keys."""
        return {step.resource.key: step for step in self.session(**given).plan(parts or tuple(Part))}

    def actions(self, *parts: Part, **given: Any) -> dict[str, Action]:
        """The same, with nothing but what is done."""
        return {key: step.action for key, step in self.steps(*parts, **given).items()}

    @property
    def writes(self) -> list[str]:
        """Everything that was changed anywhere."""
        return [*self.account.writes, *self.workspace.writes, *self.github.writes]

    def grants(self, kind: str, name: str) -> dict[str, set[str]]:
        """What stands in the workspace, by principal; service principals by their names."""
        address = f"{self.workspace.url}/api/2.1/unity-catalog/permissions/{kind}/{name}"
        answer = requests.get(address, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30).json()
        names = {e["applicationId"]: e["displayName"] for e in self.account.kept["ServicePrincipals"].values()}
        return {
            names.get(entry["principal"], entry["principal"]): set(entry["privileges"])
            for entry in answer["privilege_assignments"]
        }


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One minilake for all tests; each empties it."""
    with minilake(tmp_path_factory.mktemp("minilake")) as address:
        yield address


@pytest.fixture
def town(lake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    """Every server, empty, and a checkout whose workflows name three environments of GitHub."""
    requests.post(f"{lake}/_minilake/reset?full=true", timeout=30).raise_for_status()
    for name in [name for name in os.environ if name.startswith(("DATABRICKS_", "GITHUB_", "SYSTEM_", "ARM_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(sdk, "PATIENCE", 1)
    (tmp_path / ".github" / "workflows").mkdir(parents=True)
    for name, text in WORKFLOWS.items():
        (tmp_path / ".github" / "workflows" / f"{name}.yml").write_text(
            f"jobs:\n  a:\n    {text}\n".replace("\ne", "\n    e")
        )
    account, workspace, github = Account(), Workspace(lake), GitHub()
    environ = {"GITHUB_REPOSITORY": "octo/parcels", "GITHUB_API_URL": github.url, "GITHUB_TOKEN": TOKEN}
    with account.running(), workspace.running(), github.running():
        yield Town(tmp_path, account, workspace, github, environ)
