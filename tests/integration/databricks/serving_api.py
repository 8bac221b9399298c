"""Serving endpoints as `/api/2.0/serving-endpoints` has them: a change is pending for some looks, then active."""

from __future__ import annotations

import copy
from typing import Any

from tests.integration.databricks.loopback import Answer, Asked, Loopback, refused

Json = dict[str, Any]
ROOT = "/api/2.0/serving-endpoints"


class ServingApi:
    """`looks`: how many times a change is seen in progress. `failing`: versions that never become ready.

    `models` is what a version answers to a row, by version.
    """

    def __init__(self, server: Loopback) -> None:
        self.endpoints: dict[str, Json] = {}
        self.looks = 2
        self.failing: set[str] = set()
        self.models: dict[str, Any] = {}
        self.asked: list[tuple[str, Json]] = []
        self.deleted: list[str] = []
        self._left: dict[str, int] = {}
        name = "/([^/]+)"
        server.on("POST", ROOT, self._create)
        server.on("GET", ROOT + name, self._get)
        server.on("DELETE", ROOT + name, self._delete)
        server.on("PUT", ROOT + name + "/config", self._configure)
        server.on("PUT", ROOT + name + "/ai-gateway", self._gateway)
        server.on("POST", "/serving-endpoints" + name + "/served-models" + name + "/invocations", self._invoke)

    def traffic(self, name: str) -> dict[str, int]:
        """Active: version by name, with its share."""
        config = self.endpoints[name]["config"]
        versions = {entity["name"]: entity["entity_version"] for entity in config["served_entities"]}
        return {versions[r["served_entity_name"]]: r["traffic_percentage"] for r in config["traffic_config"]["routes"]}

    def _create(self, asked: Asked) -> Any:
        body = asked.body
        if body["name"] in self.endpoints:
            return refused(409, "RESOURCE_ALREADY_EXISTS", f"Endpoint {body['name']} already exists.")
        gateway = {"ai_gateway": body["ai_gateway"]} if "ai_gateway" in body else {}
        self.endpoints[body["name"]] = {
            "name": body["name"],
            "tags": body.get("tags", []),
            "state": {"ready": "NOT_READY", "config_update": "IN_PROGRESS"},
        } | gateway
        return self._pending(body["name"], body["config"])

    def _configure(self, asked: Asked) -> Any:
        name = asked.path.split("/")[4]
        if self.endpoints[name]["state"]["config_update"] == "IN_PROGRESS":
            return refused(409, "RESOURCE_CONFLICT", "Another update is in progress.")
        return self._pending(name, asked.body)

    def _pending(self, name: str, config: Json) -> Json:
        assert sum(route["traffic_percentage"] for route in config["traffic_config"]["routes"]) == 100
        endpoint = self.endpoints[name]
        version = endpoint.get("config", {}).get("config_version", 0) + 1
        had = {entity["name"]: entity["state"] for entity in endpoint.get("config", {}).get("served_entities", [])}
        new = {"deployment": "DEPLOYMENT_CREATING"}
        entities = [entity | {"state": had.get(entity["name"], new)} for entity in config["served_entities"]]
        endpoint["pending_config"] = {
            "served_entities": entities,
            "traffic_config": config["traffic_config"],
            "config_version": version,
        }
        endpoint["state"]["config_update"] = "IN_PROGRESS"
        self._left[name] = self.looks
        return copy.deepcopy(endpoint)

    def _get(self, asked: Asked) -> Any:
        name = asked.path.split("/")[4]
        if name not in self.endpoints:
            return refused(404, "RESOURCE_DOES_NOT_EXIST", f"Endpoint with name '{name}' does not exist.")
        endpoint = self.endpoints[name]
        if "pending_config" in endpoint:
            self._left[name] -= 1
            if self._left[name] < 0:
                self._finish(endpoint)
        return copy.deepcopy(endpoint)

    def _finish(self, endpoint: Json) -> None:
        pending = endpoint["pending_config"]
        bad = [e for e in pending["served_entities"] if e["entity_version"] in self.failing]
        for entity in bad:
            entity["state"] = {"deployment": "DEPLOYMENT_FAILED", "deployment_state_message": "no such package"}
        if bad:
            endpoint["state"]["config_update"] = "UPDATE_FAILED"
            if "config" not in endpoint:
                endpoint["config"] = endpoint.pop("pending_config")
            return
        for entity in pending["served_entities"]:
            entity["state"] = {"deployment": "DEPLOYMENT_READY"}
        endpoint["config"] = endpoint.pop("pending_config")
        endpoint["state"] = {"ready": "READY", "config_update": "NOT_UPDATING"}

    def _delete(self, asked: Asked) -> Any:
        name = asked.path.split("/")[4]
        del self.endpoints[name]
        self.deleted.append(name)
        return {}

    def _gateway(self, asked: Asked) -> Any:
        endpoint = self.endpoints[asked.path.split("/")[4]]
        had, new = endpoint.get("ai_gateway", {}).get("inference_table_config", {}), asked["inference_table_config"]
        place = ("catalog_name", "schema_name", "table_name_prefix")
        if had.get("enabled") and new["enabled"] and any(had[key] != new[key] for key in place):
            return refused(400, "INVALID_PARAMETER_VALUE", "Disable the inference table first.")
        endpoint["ai_gateway"] = asked.body
        return asked.body

    def _invoke(self, asked: Asked) -> Any:
        _, _, name, _, entity, _ = asked.path.split("/")
        loaded = {e["name"]: e["entity_version"] for e in self.endpoints[name]["config"]["served_entities"]}
        if entity not in loaded:
            return refused(404, "RESOURCE_DOES_NOT_EXIST", f"Served model {entity} does not exist.")
        self.asked.append((loaded[entity], asked.body))
        model = self.models[loaded[entity]]
        return model if isinstance(model, Answer) else {"predictions": [model(*row) for row in _rows(asked)]}


def _rows(asked: Asked) -> list[Any]:
    rows: list[Any] = asked["dataframe_split"]["data"]
    return rows
