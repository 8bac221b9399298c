"""Endpoints of the emulated workspace answer with the models they were given, and with nothing else."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound
from tests.template.harness.workspace import ADMIN, Workspace

from gatehouse.lakehouse.mlflow_globals import import_mlflow

pytestmark = pytest.mark.slow
ENDPOINT = "/api/2.0/serving-endpoints"
MODEL = "serving.main.delays"
COLUMN = '[{"type": "double", "name": "x", "required": true}]'


@pytest.fixture
def client(workspace: Workspace) -> WorkspaceClient:
    return WorkspaceClient(host=workspace.host, token=workspace.token_of(ADMIN), auth_type="pat")


@pytest.fixture
def versions(
    workspace: Workspace,
    client: WorkspaceClient,
    make_model: Callable[[float], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Version 1 predicts 0.25, version 2 0.75; version 3 cannot be loaded."""
    for name, value in workspace.environ().items():
        monkeypatch.setenv(name, value)
    client.catalogs.create("serving")
    client.schemas.create("main", "serving")
    registry = import_mlflow().MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")
    registry.create_registered_model(MODEL)
    for number in (0.25, 0.75, 0.5):
        folder = make_model(number)
        with (folder / "MLmodel").open("a", encoding="utf-8") as file:
            file.write(f"signature:\n  inputs: '{COLUMN}'\n  outputs: '{COLUMN}'\n")
        if number == 0.5:
            (folder / "number.txt").write_text("not a number")
        registry.create_model_version(MODEL, str(folder))


def configured(**shares: int) -> dict[str, Any]:
    """`v1=90` serves version 1 under the name v1, with 90 % of the calls."""
    return {
        "served_entities": [
            {"name": name, "entity_name": MODEL, "entity_version": name[1:], "scale_to_zero_enabled": True}
            for name in shares
        ],
        "traffic_config": {
            "routes": [{"served_model_name": name, "traffic_percentage": share} for name, share in shares.items()]
        },
    }


def settled(client: WorkspaceClient) -> Any:
    """The endpoint, as soon as it is not being updated."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        endpoint: Any = client.api_client.do("GET", f"{ENDPOINT}/delays")
        if endpoint["state"]["config_update"] != "IN_PROGRESS":
            return endpoint
        time.sleep(0.1)
    raise TimeoutError("the endpoint is still being updated")


def test_an_endpoint_serves_what_it_loaded(
    workspace: Workspace, client: WorkspaceClient, versions: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(served: str = "") -> tuple[str, float]:
        address = f"{workspace.host}/serving-endpoints/delays{served and f'/served-models/{served}'}/invocations"
        answer = requests.post(
            address,
            json={"dataframe_split": {"columns": ["x"], "data": [[1.0]]}},
            headers={"Authorization": f"Bearer {workspace.token_of(ADMIN)}"},
            timeout=60,
        )
        answer.raise_for_status()
        return answer.headers["served-model-name"], answer.json()["predictions"][0]

    with pytest.raises(NotFound, match="Version 9"):
        client.api_client.do("POST", ENDPOINT, body={"name": "delays", "config": configured(v9=100)})
    with pytest.raises(InvalidParameterValue, match="do not add up"):
        client.api_client.do("POST", ENDPOINT, body={"name": "delays", "config": configured(v1=90)})

    table = {"inference_table_config": {"catalog_name": "serving", "schema_name": "main", "enabled": True}}
    made: Any = client.api_client.do(
        "POST", ENDPOINT, body={"name": "delays", "config": configured(v1=100), "ai_gateway": table}
    )
    assert made["state"] == {"ready": "NOT_READY", "config_update": "IN_PROGRESS"}
    endpoint = settled(client)
    assert endpoint["state"] == {"ready": "READY", "config_update": "NOT_UPDATING"}
    assert endpoint["ai_gateway"] == table
    assert ask() == ("v1", 0.25)

    client.api_client.do("PUT", f"{ENDPOINT}/delays/config", body=configured(v1=80, v2=20))
    assert ask() == ("v1", 0.25)  # the old configuration answers meanwhile
    settled(client)
    assert Counter(ask() for _ in range(20)) == {("v1", 0.25): 16, ("v2", 0.75): 4}
    assert ask("v2") == ("v2", 0.75)

    client.api_client.do("PUT", f"{ENDPOINT}/delays/config", body=configured(v3=100))
    endpoint = settled(client)
    assert endpoint["state"] == {"ready": "READY", "config_update": "UPDATE_FAILED"}
    assert Counter(ask() for _ in range(5)) == {("v1", 0.25): 4, ("v2", 0.75): 1}
    assert len(workspace.serving.endpoints["delays"].log) == 28

    client.serving_endpoints.delete("delays")
    with pytest.raises(NotFound):
        client.serving_endpoints.get("delays")
