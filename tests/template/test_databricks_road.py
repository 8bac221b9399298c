"""From training to a promoted champion, its endpoint, and back, in a workspace: the bundle, the jobs, the same commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.template.harness.databricks_cli import databricks_cli
from tests.template.harness.road import Road, road
from tests.template.harness.spark.server import spark_server_or_skip

pytestmark = pytest.mark.slow

MODEL = "prod.little.little"
SPRING, AUTUMN = "2013-08-01", "2013-12-01"


@pytest.fixture
def ready(tmp_path: Path, mlflow_template: Path) -> Iterator[Road]:
    databricks_cli()
    spark_server_or_skip()
    with road(tmp_path, mlflow_template) as found:
        yield found


def test_a_candidate_becomes_the_champion_of_a_workspace_and_goes_back(ready: Road) -> None:
    ready.configure("    protected: true\n", "    protected: true\n    serving: {name: little}\n")

    first = ready.gatehouse("deploy", "--ref", "v1.0.0")
    assert "is live in prod. There is no champion to compare with." in first
    plan = ready.cli("bundle", "plan", "-t", "prod", "--force")
    assert "0 to add, 0 to change, 0 to delete" in plan

    judged = ready.said("release", "--as-of", SPRING)
    assert (judged["verdict"], judged["version"]) == ("promote", "1")
    assert "may not be promoted" in ready.gatehouse("promote", "1", code=10)
    ready.gatehouse("approve", "1", "--reason", "The first one.", "--as", "bob@example.org")
    ready.gatehouse("promote", "1")
    assert champion(ready) == "1"
    assert shares(ready) == {"1": 100}

    scored = ready.gatehouse("run", "daily", "--as-of", "2013-09-15")
    assert "run the job little prod monitoring" in scored

    again = ready.said("release", "--as-of", AUTUMN)
    assert (again["verdict"], again["version"]) == ("promote", "2")
    ready.gatehouse("approve", "2", "--reason", "It knows the summer.", "--as", "bob@example.org")
    ready.gatehouse("promote", "2")
    assert champion(ready) == "2"
    assert shares(ready) == {"1": 0, "2": 100}

    ready.gatehouse("rollback", "--reason", "It predicts snow.")
    assert champion(ready) == "1"
    assert shares(ready) == {"1": 100, "2": 0}

    assert "unbroken" in ready.gatehouse("audit", "verify")


def champion(ready: Road) -> str:
    from mlflow import MlflowClient

    environ = ready.workspace.environ(ready.principals["prod"])
    with pytest.MonkeyPatch.context() as patched:
        for name, value in environ.items():
            patched.setenv(name, value)
        client = MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")
        return str(client.get_model_version_by_alias(MODEL, "champion").version)


def shares(ready: Road) -> dict[str, int]:
    """Percent of the requests that each version of the endpoint answers."""
    from databricks.sdk import WorkspaceClient

    sdk = WorkspaceClient(host=ready.workspace.host, token=ready.workspace.token_of(ready.principals["prod"]))
    endpoint = sdk.serving_endpoints.get("little")
    assert endpoint.config and endpoint.config.traffic_config and endpoint.config.served_entities
    versions = {entity.name: str(entity.entity_version) for entity in endpoint.config.served_entities}
    routes = endpoint.config.traffic_config.routes or []
    return {versions[route.served_entity_name or route.served_model_name]: route.traffic_percentage for route in routes}
