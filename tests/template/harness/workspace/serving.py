"""Model serving: an endpoint is ready after its models have really been loaded, each in a process of its own."""

from __future__ import annotations

import contextlib
import copy
import os
import threading
import time
import uuid
from pathlib import Path
from typing import Any

import requests
from tests.loopback import Reply
from tests.template.harness.workspace.children import Child
from tests.template.harness.workspace.errors import Refusal, invalid, missing
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.permissions import Permissions
from tests.template.harness.workspace.registry import Registry
from tests.template.harness.workspace.unity import Unity
from tests.template.harness.workspace.wheel_task import Runtime

_SCORER = """
import os, sys, uvicorn
from mlflow.pyfunc import load_model, scoring_server
model = load_model(os.environ["GATEHOUSE_EMULATED_MODEL"])
uvicorn.run(scoring_server.init(model), fd=int(sys.argv[1]), log_level="warning")
"""
_KEPT = ("name", "tags", "ai_gateway", "description", "budget_policy_id", "email_notifications", "route_optimized")


class Endpoint:
    """`config` is what answers, `pending` what is being loaded."""

    def __init__(self, asked: dict[str, Any], creator: str) -> None:
        self.given = {key: asked[key] for key in _KEPT if key in asked}
        self.id, self.creator = uuid.uuid4().hex, creator
        self.created = time.time_ns() // 1_000_000
        self.config: dict[str, Any] | None = None
        self.pending: dict[str, Any] | None = None
        self.failure = ""
        self.version = 0
        self.children: dict[str, Child] = {}
        self.answered: dict[str, int] = {}
        self.log: list[dict[str, Any]] = []  # what an inference table would have


class Serving:
    """`endpoints` by name."""

    def __init__(
        self, folder: Path, files: Path, runtime: Runtime, registry: Registry, unity: Unity, permissions: Permissions
    ) -> None:
        self._folder, self._files, self._runtime = folder, files, runtime
        self._registry, self._unity, self._permissions = registry, unity, permissions
        self._lock = threading.RLock()
        self.endpoints: dict[str, Endpoint] = {}

    def teach(self, front: Front) -> None:
        address = "/api/2.0/serving-endpoints"
        front.teach("POST", address, self._create)
        front.teach("GET", address, lambda _: {"endpoints": [_shown(e) for e in self.endpoints.values()]})
        front.teach("GET", f"{address}/{{name}}", lambda r: _shown(self._endpoint(r, "CAN_VIEW")))
        front.teach("DELETE", f"{address}/{{name}}", self._delete)
        front.teach("PUT", f"{address}/{{name}}/config", self._configure)
        front.teach("PATCH", f"{address}/{{name}}/tags", self._tag)
        front.teach("PUT", f"{address}/{{name}}/ai-gateway", self._gateway)
        front.teach("PATCH", f"{address}/{{name}}/notifications", self._notify)
        front.teach("GET", f"{address}/{{name}}/served-models/{{served}}/logs", self._logs)
        front.teach("POST", "/serving-endpoints/{name}/invocations", self._invoke)
        front.teach("POST", "/serving-endpoints/{name}/served-models/{served}/invocations", self._invoke)

    def stop(self) -> None:
        for endpoint in self.endpoints.values():
            for child in endpoint.children.values():
                child.stop()

    def _create(self, request: Request) -> Any:
        asked = request.json()
        with self._lock:
            if asked["name"] in self.endpoints:
                raise Refusal(409, "RESOURCE_ALREADY_EXISTS", f"Endpoint '{asked['name']}' already exists.")
            endpoint = Endpoint(asked, request.caller)
            config = self._checked(asked.get("config") or {}, request.caller)
            self.endpoints[asked["name"]] = endpoint
            self._permissions.own("serving-endpoints", endpoint.id, request.caller)
            self._load(endpoint, config)
            return _shown(endpoint)

    def _configure(self, request: Request) -> Any:
        with self._lock:
            endpoint = self._endpoint(request, "CAN_MANAGE")
            if endpoint.pending is not None:
                raise Refusal(409, "RESOURCE_CONFLICT", f"Endpoint '{request.parts['name']}' is being updated.")
            self._load(endpoint, self._checked(request.json(), request.caller))
            return _shown(endpoint)

    def _checked(self, config: dict[str, Any], caller: str) -> dict[str, Any]:
        config = copy.deepcopy(config)
        entities = config.get("served_entities") or []
        for entity in entities:
            name, version = entity["entity_name"], str(entity["entity_version"])
            model = self._registry.models.get(name)
            if model is None or not version.isdigit() or int(version) not in model.versions:
                raise missing(f"Version {version} of registered model '{name}'")
            if model.versions[int(version)].status != "READY":
                raise invalid(f"Version {version} of '{name}' is not ready.")
            self._unity.require(caller, "EXECUTE", "function", name)
            entity.setdefault("name", f"{name.rpartition('.')[2]}-{version}")
        names = [entity["name"] for entity in entities]
        if len(set(names)) < len(names):
            raise invalid("Served entities need names of their own.")
        if len(names) == 1:
            whole = [{"served_model_name": names[0], "traffic_percentage": 100}]
            config.setdefault("traffic_config", {"routes": whole})
        routes = (config.get("traffic_config") or {}).get("routes") or []
        for route in routes:
            route.setdefault("served_model_name", route.get("served_entity_name"))
            if route["served_model_name"] not in names:
                raise invalid(f"Traffic goes to '{route['served_model_name']}', which is not served.")
        if entities and sum(route["traffic_percentage"] for route in routes) != 100:
            raise invalid("The traffic percentages do not add up to 100.")
        return config

    def _load(self, endpoint: Endpoint, config: dict[str, Any]) -> None:
        endpoint.pending, endpoint.failure = config, ""
        endpoint.version += 1
        threading.Thread(target=self._loaded, args=(endpoint, config), daemon=True).start()

    def _loaded(self, endpoint: Endpoint, config: dict[str, Any]) -> None:
        """Starts what is new, waits until it answers, and only then lets it take over."""
        children: dict[str, Child] = {}
        failed = ""
        for entity in config.get("served_entities") or []:
            running = endpoint.children.get(entity["name"])
            same = [e for e in (endpoint.config or {}).get("served_entities") or [] if e == entity]
            children[entity["name"]] = running if running and same else self._scorer(entity)
        for name, child in children.items():
            try:
                if child.call("GET", "/ping").status != 200:
                    failed = name
            except requests.RequestException:
                failed = name
        with self._lock:
            old = endpoint.children
            if failed:
                endpoint.failure = f"Served entity '{failed}' could not be loaded."
                children, old = old, children
            else:
                endpoint.config, endpoint.children, endpoint.answered = config, children, {}
            endpoint.pending = None
        for name, child in old.items():
            if child is not children.get(name):
                child.stop()

    def _scorer(self, entity: dict[str, Any]) -> Child:
        path = self._files / "Models" / Path(*entity["entity_name"].split(".")) / str(entity["entity_version"])
        environment = {
            "PATH": os.defpath,
            "HOME": str(self._folder),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GATEHOUSE_EMULATED_MODEL": str(path),
            **{name: str(value) for name, value in (entity.get("environment_vars") or {}).items()},
        }
        return Child(_SCORER, self._folder / uuid.uuid4().hex, environment, python=self._runtime.python)

    def _delete(self, request: Request) -> Any:
        with self._lock:
            endpoint = self._endpoint(request, "CAN_MANAGE")
            del self.endpoints[request.parts["name"]]
        for child in endpoint.children.values():
            child.stop()

    def _tag(self, request: Request) -> Any:
        endpoint, asked = self._endpoint(request, "CAN_MANAGE"), request.json()
        tags = {tag["key"]: tag for tag in endpoint.given.get("tags") or []}
        tags |= {tag["key"]: tag for tag in asked.get("add_tags") or []}
        endpoint.given["tags"] = [tag for key, tag in tags.items() if key not in (asked.get("delete_tags") or [])]
        return {"tags": endpoint.given["tags"]}

    def _gateway(self, request: Request) -> Any:
        endpoint = self._endpoint(request, "CAN_MANAGE")
        endpoint.given["ai_gateway"] = request.json()
        return endpoint.given["ai_gateway"]

    def _notify(self, request: Request) -> Any:
        endpoint = self._endpoint(request, "CAN_MANAGE")
        endpoint.given |= request.json()
        return {"name": request.parts["name"], **request.json()}

    def _logs(self, request: Request) -> Any:
        endpoint = self._endpoint(request, "CAN_VIEW")
        with contextlib.suppress(KeyError):
            return {"logs": endpoint.children[request.parts["served"]].log.read_text(errors="replace")}
        raise missing(f"Served entity '{request.parts['served']}'")

    def _invoke(self, request: Request) -> Reply:
        endpoint = self._endpoint(request, "CAN_QUERY")
        with self._lock:
            if endpoint.config is None:
                raise Refusal(404, "ENDPOINT_NOT_READY", f"Endpoint '{request.parts['name']}' is not ready.")
            served = request.parts.get("served") or _whose_turn(endpoint)
            if served not in endpoint.children:
                raise missing(f"Served entity '{served}'")
            child = endpoint.children[served]
            if "served" not in request.parts:
                endpoint.answered[served] = endpoint.answered.get(served, 0) + 1
        reply = child.passed_on(request, "/invocations")
        said = {"served_entity": served, "status": reply.status, "request": request.body, "response": reply.content}
        endpoint.log.append(said)
        return Reply(status=reply.status, content=reply.content, headers={**reply.headers, "served-model-name": served})

    def _endpoint(self, request: Request, level: str) -> Endpoint:
        name = request.parts["name"]
        if name not in self.endpoints:
            raise missing(f"Endpoint with name '{name}'")
        self._permissions.require(request.caller, level, "serving-endpoints", self.endpoints[name].id)
        return self.endpoints[name]


def _whose_turn(endpoint: Endpoint) -> str:
    """Whoever is furthest behind its share: of any hundred calls each gets exactly its percentage."""
    assert endpoint.config is not None
    routes = endpoint.config["traffic_config"]["routes"]
    total = sum(endpoint.answered.get(route["served_model_name"], 0) for route in routes) + 1
    behind = [
        (route["traffic_percentage"] * total / 100 - endpoint.answered.get(route["served_model_name"], 0), -n)
        for n, route in enumerate(routes)
        if route["traffic_percentage"]
    ]
    return str(routes[-max(behind)[1]]["served_model_name"])


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    update = "IN_PROGRESS" if endpoint.pending is not None else "UPDATE_FAILED" if endpoint.failure else "NOT_UPDATING"
    shown = {
        **endpoint.given,
        "id": endpoint.id,
        "creator": endpoint.creator,
        "creation_timestamp": endpoint.created,
        "state": {"ready": "READY" if endpoint.config is not None else "NOT_READY", "config_update": update},
        "permission_level": "CAN_MANAGE",
    }
    if endpoint.config is not None:
        shown["config"] = _with_state(endpoint.config, endpoint.version, "DEPLOYMENT_READY", "")
    if endpoint.pending is not None or endpoint.failure:
        waiting = "DEPLOYMENT_FAILED" if endpoint.failure else "DEPLOYMENT_CREATING"
        pending = _with_state(endpoint.pending or {}, endpoint.version, waiting, endpoint.failure)
        shown["pending_config"] = pending
    return shown


def _with_state(config: dict[str, Any], version: int, deployment: str, message: str) -> dict[str, Any]:
    shown = {**copy.deepcopy(config), "config_version": version}
    for entity in shown.get("served_entities") or []:
        entity["state"] = {"deployment": deployment, "deployment_state_message": message}
    return shown
