"""The same port on Unity Catalog's protocol, spoken by MLflow's own client to a server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from gatehouse.errors import AccessDenied, RegistryUnavailable
from gatehouse.lakehouse.registry import Version
from gatehouse.lakehouse.registry_mlflow import MlflowRegistry

pytestmark = pytest.mark.slow

MODEL = "prod.flights.delays"
STORED = {
    "name": MODEL,
    "version": "2",
    "creation_timestamp": 1_364_774_400_000,
    "source": "dbfs:/databricks/mlflow-tracking/1",
    "run_id": "4f2a",
    "status": "MODEL_VERSION_READY",
    "description": "A card",
}
COMPLETE = {**STORED, "tags": [{"key": "seed", "value": "7"}], "aliases": [{"alias": "champion"}]}

BY_ALIAS: dict[str, tuple[int, dict[str, object]]] = {
    "champion": (200, {"model_version": COMPLETE}),
    "challenger": (
        404,
        {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model Alias 'challenger' does not exist."},
    ),
    "secret": (403, {"error_code": "PERMISSION_DENIED", "message": "User does not have EXECUTE on the model."}),
    "broken": (400, {"error_code": "INTERNAL_ERROR", "message": "Registered Model Alias 'broken' does not exist."}),
}


class UnityCatalog(BaseHTTPRequestHandler):
    """One model with one version. What a search returns has neither tags nor aliases, as there."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = {key: found[0] for key, found in parse_qs(url.query).items()}
        status, answer = self._answer(url.path.removeprefix("/api/2.0/mlflow/unity-catalog/"), asked)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def _answer(self, path: str, asked: dict[str, str]) -> tuple[int, dict[str, object]]:
        if path == "registered-models/get":
            return 200, {"registered_model": {"name": MODEL, "aliases": [{"alias": "champion", "version": "2"}]}}
        if path == "model-versions/search":
            return 200, {"model_versions": [STORED]}
        if path == "model-versions/get":
            return 200, {"model_version": COMPLETE}
        if path == "registered-models/alias":
            return BY_ALIAS[asked["alias"]]
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": path}

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowRegistry]:
    server = HTTPServer(("127.0.0.1", 0), UnityCatalog)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    monkeypatch.setenv("DATABRICKS_HOST", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("DATABRICKS_TOKEN", "none")
    yield MlflowRegistry("databricks", "databricks-uc", root=tmp_path, writable=[])
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_version_is_read_the_same_way_whoever_is_asked_for_it(registry: MlflowRegistry) -> None:
    version = Version(
        model=MODEL,
        version="2",
        run_id="4f2a",
        source="dbfs:/databricks/mlflow-tracking/1",
        tags={"seed": "7"},
        description="A card",
        aliases=("champion",),
        created_at=datetime(2013, 4, 1, tzinfo=UTC),
    )

    assert registry.get(MODEL, "2") == version
    assert registry.versions(MODEL) == (version,)
    assert registry.by_alias(MODEL, "champion") == version


@pytest.mark.broken_gate(5)
def test_only_unity_catalogs_own_words_mean_that_nobody_holds_an_alias(registry: MlflowRegistry) -> None:
    assert registry.by_alias(MODEL, "challenger") is None
    with pytest.raises(AccessDenied):
        registry.by_alias(MODEL, "secret")
    with pytest.raises(RegistryUnavailable):
        registry.by_alias(MODEL, "broken")
