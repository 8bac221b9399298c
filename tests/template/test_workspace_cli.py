"""The real Databricks CLI deploys a bundle to the emulated workspace, finds nothing to change, and runs its job."""

from __future__ import annotations

from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import PermissionsChange, Privilege
from tests.template.harness.databricks_cli import cli_json, databricks_cli, run_cli
from tests.template.harness.workspace import Workspace
from tests.template.harness.workspace.tiny_wheel import make_wheel

pytestmark = pytest.mark.slow
BUNDLE = """
bundle: {name: tiny, engine: direct}
sync: {paths: [conf]}
targets:
  staging:
    mode: production
    workspace:
      root_path: /Workspace/Users/${workspace.current_user.userName}/.bundle/${bundle.name}/${bundle.target}
permissions:
  - {level: CAN_VIEW, group_name: bundle-developers}
  - {level: CAN_MANAGE, service_principal_name: "${workspace.current_user.userName}"}
run_as: {service_principal_name: "${workspace.current_user.userName}"}
resources:
  schemas:
    main:
      catalog_name: bundled
      name: main
      lifecycle: {prevent_destroy: true}
      grants: [{principal: bundle-developers, privileges: [USE_SCHEMA, SELECT]}]
  volumes:
    landing: {catalog_name: bundled, schema_name: "${resources.schemas.main.name}", name: landing, volume_type: MANAGED}
  registered_models:
    delays:
      catalog_name: bundled
      schema_name: ${resources.schemas.main.name}
      name: delays
      comment: How late
      grants: [{principal: bundle-developers, privileges: [EXECUTE]}]
  experiments:
    runs: {name: /Shared/bundled.main.tiny}
  dashboards:
    overview: {display_name: Overview, file_path: ./overview.lvdash.json, warehouse_id: "${var.warehouse}"}
  jobs:
    features:
      name: tiny ${bundle.target} features
      parameters: [{name: as_of, default: "2013-06-01"}]
      queue: {enabled: true}
      tags: {gatehouse_job: features}
      tasks:
        - task_key: say
          environment_key: default
          python_wheel_task:
            {package_name: tiny, entry_point: tiny-task, parameters: [say, "{{job.parameters.as_of}}"]}
        - task_key: read
          depends_on: [{task_key: say}]
          environment_key: default
          python_wheel_task:
            {package_name: tiny, entry_point: tiny-task, parameters: [read, "${workspace.file_path}/conf/tiny.yml"]}
      environments:
        - {environment_key: default, spec: {environment_version: "5", dependencies: [./dist/*.whl]}}
    broken:
      name: tiny ${bundle.target} broken
      tasks:
        - task_key: gates
          environment_key: default
          python_wheel_task: {package_name: tiny, entry_point: tiny-task, parameters: [fail]}
      environments:
        - {environment_key: default, spec: {environment_version: "5", dependencies: [./dist/*.whl]}}
variables:
  warehouse: {lookup: {warehouse: Serverless Starter Warehouse}}
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    databricks_cli()  # or the test is skipped
    (tmp_path / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (tmp_path / "overview.lvdash.json").write_text('{"pages": [{"name": "p", "displayName": "Page"}]}')
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "tiny.yml").write_text("days: 7")
    (tmp_path / "dist").mkdir()
    make_wheel(tmp_path / "dist")
    return tmp_path


def test_a_bundle_is_deployed_run_and_kept(workspace: Workspace, bundle: Path) -> None:
    principal = workspace.add_service_principal("bundle-staging")
    workspace.identities.add_group("bundle-developers")
    admin = WorkspaceClient(host=workspace.host, token=workspace.token_of("admin@example.com"), auth_type="pat")
    admin.catalogs.create("bundled")
    rights = PermissionsChange(principal=principal, add=[Privilege.USE_CATALOG, Privilege.CREATE_SCHEMA])
    admin.grants.update("catalog", "bundled", changes=[rights])

    def cli(*arguments: str, check: bool = True) -> str:
        token = workspace.token_of(principal)
        done = run_cli(*arguments, "-t", "staging", at=bundle, host=workspace.host, token=token, check=check)
        return done.stdout + done.stderr

    def planned() -> dict[str, str]:
        token = workspace.token_of(principal)
        answer = cli_json("bundle", "plan", "-t", "staging", at=bundle, host=workspace.host, token=token)
        return {name: entry["action"] for name, entry in answer["plan"].items()}

    assert "Validation OK!" in cli("bundle", "validate", "--strict")
    first = planned()
    assert set(first.values()) == {"create"}
    assert "Deployment complete!" in cli("bundle", "deploy")
    assert planned() == dict.fromkeys(first, "skip")

    said = cli("bundle", "run", "features", "--params", "as_of=2013-07-01")
    assert "TERMINATED SUCCESS" in said
    assert "2013-07-01" in said
    assert "days: 7" in said
    assert "ValueError: the flights are gone" in cli("bundle", "run", "broken", check=False)

    (job,) = admin.jobs.list(name="tiny staging features")
    assert (job.creator_user_name, job.settings and job.settings.tags) == (principal, {"gatehouse_job": "features"})
    model = admin.registered_models.get("bundled.main.delays")
    assert (model.owner, model.comment) == (principal, "How late")

    refused = cli("bundle", "destroy", "--auto-approve", check=False)
    assert "resources.schemas.main has lifecycle.prevent_destroy set" in refused
    assert set(planned().values()) == {"skip"}
