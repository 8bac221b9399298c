"""The bundle as it lies in the repository, as the CLI resolves it, and a workspace that says who asks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.loopback import Call, Loopback, Reply
from tests.template.harness.databricks_cli import cli_json, run_cli

ROOT = Path(__file__).parents[3]
TARGETS = ("dev", "staging", "prod")
PRINCIPAL = "3f1a6c1e-8a6e-4f0b-9c47-2f6d9b1e5a10"
"""The service principal that deploys."""
PARTS = ("databricks.yml", "resources", "notebooks", "conf")
"""What the CLI reads before anything is built."""


def bundle_files(root: Path) -> dict[str, dict[str, Any]]:
    """databricks.yml and what it includes, by path, with references unresolved."""
    paths = [root / "databricks.yml", *sorted((root / "resources").glob("*.yml"))]
    return {path.relative_to(root).as_posix(): yaml.safe_load(path.read_text("utf-8")) for path in paths}


def declared(root: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, key and content of each resource, also of those of a single target, with references unresolved."""
    for content in bundle_files(root).values():
        for part in (content, *(content.get("targets") or {}).values()):
            for kind, named in (part.get("resources") or {}).items():
                yield from ((kind, key, resource) for key, resource in named.items())


def copy_bundle(root: Path, folder: Path) -> Path:
    """A copy to change, with what a build leaves beside it."""
    for part in filter(lambda name: (root / name).exists(), PARTS):
        copy = shutil.copytree if (root / part).is_dir() else shutil.copy
        copy(root / part, folder / part)
    (folder / "dist").mkdir()
    for made in ("code.json", "dist/requirements.txt", "dist/nothing-1.0-py3-none-any.whl"):
        (folder / made).touch()
    return folder


@contextmanager
def somewhere() -> Iterator[str]:
    """The address of a workspace without a deployment, which knows the principal and one warehouse."""
    server = Loopback()
    missing = Reply(status=404, json={"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Path does not exist."})
    me = {"id": "1", "userName": PRINCIPAL, "displayName": "deployer", "active": True}
    warehouse = {"id": "abcdef0123456789", "name": "Serverless Starter Warehouse"}

    folders = {f"/Workspace/Users/{PRINCIPAL}"}

    def folder(call: Call) -> Any:
        path = call.query["path"]
        return {"object_type": "DIRECTORY", "path": path, "object_id": 7} if path in folders else missing

    def made(call: Call) -> Any:
        folders.add(call.json()["path"])
        return {}

    server.teach("GET", "/.well-known/databricks-config", lambda _: Reply(status=404, json={}))
    server.teach("GET", "/api/2.0/preview/scim/v2/Me", lambda _: me)
    server.teach("GET", "/api/2.0/workspace/get-status", folder)
    server.teach("POST", "/api/2.0/workspace/mkdirs", made)
    server.teach("GET", "/api/2.0/sql/warehouses", lambda _: {"warehouses": [warehouse]})
    server.teach(
        "GET",
        "/api/2.0/permissions/directories/7",
        lambda _: {
            "object_id": "/directories/7",
            "access_control_list": [
                {"service_principal_name": PRINCIPAL, "all_permissions": [{"permission_level": "CAN_MANAGE"}]}
            ],
        },
    )
    with server.running():
        yield server.url


def validate(folder: Path, target: str, host: str, variables: Mapping[str, str]) -> str:
    """What `bundle validate --strict` objects to; empty if nothing."""
    done = run_cli(
        *("bundle", "validate", "--strict", "--target", target), at=folder, host=host, check=False, **given(variables)
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def resolved(folder: Path, target: str, host: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """The whole configuration of a target, with every reference but those to ids resolved."""
    return cli_json("bundle", "validate", "--target", target, at=folder, host=host, **given(variables))


def given(variables: Mapping[str, str]) -> dict[str, str]:
    """Environment variables for variables of the bundle."""
    return {f"BUNDLE_VAR_{name}": value for name, value in ({"service_principal": PRINCIPAL} | dict(variables)).items()}
