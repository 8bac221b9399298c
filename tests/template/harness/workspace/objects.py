"""What a bundle also makes and nobody here runs: dashboards, alerts, quality monitors, tag policies. Kept and shown."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.template.harness.workspace.errors import Refusal, missing
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.permissions import Permissions
from tests.template.harness.workspace.registry import Registry

_DASHBOARDS = "/api/2.0/lakeview/dashboards"


class Objects:
    """Every attribute is a dictionary by id or name."""

    def __init__(self, files: Path, permissions: Permissions, registry: Registry) -> None:
        self._files, self._permissions, self._registry = files, permissions, registry
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.published: dict[str, dict[str, Any]] = {}
        self.alerts: dict[str, dict[str, Any]] = {}
        self.monitors: dict[str, dict[str, Any]] = {}
        self.tag_policies: dict[str, dict[str, Any]] = {}

    def teach(self, front: Front) -> None:
        front.teach("POST", "/telemetry-ext", lambda r: {"errors": [], "numProtoSuccess": len(r.json()["protoLogs"])})
        front.teach("POST", _DASHBOARDS, self._new_dashboard)
        front.teach("GET", _DASHBOARDS, lambda _: {"dashboards": list(self.dashboards.values())})
        front.teach("GET", f"{_DASHBOARDS}/{{id}}", lambda r: _of(self.dashboards, r.parts["id"], "Dashboard"))
        front.teach("PATCH", f"{_DASHBOARDS}/{{id}}", self._change_dashboard)
        front.teach("DELETE", f"{_DASHBOARDS}/{{id}}", self._trash_dashboard)
        front.teach("POST", f"{_DASHBOARDS}/{{id}}/published", self._publish)
        front.teach("GET", f"{_DASHBOARDS}/{{id}}/published", lambda r: _of(self.published, r.parts["id"], "Dashboard"))
        front.teach("DELETE", f"{_DASHBOARDS}/{{id}}/published", lambda r: _drop(self.published, r.parts["id"]))
        self._teach_kept(front, "/api/2.0/alerts", self.alerts, self._new_alert, "alerts")
        self._teach_kept(front, "/api/2.1/tag-policies", self.tag_policies, self._new_policy, "tag_policies")
        monitor = "/api/2.1/unity-catalog/tables/{table}/monitor"
        front.teach("POST", monitor, self._new_monitor)
        front.teach("GET", monitor, lambda r: _of(self.monitors, r.parts["table"], "Monitor of"))
        front.teach("PUT", monitor, self._change_monitor)
        front.teach("DELETE", monitor, lambda r: _drop(self.monitors, r.parts["table"]))

    def _teach_kept(
        self,
        front: Front,
        address: str,
        kept: dict[str, dict[str, Any]],
        new: Callable[[Request], dict[str, Any]],
        plural: str,
    ) -> None:
        def change(request: Request) -> Any:
            return _of(kept, request.parts["id"], plural) | _put(kept, request.parts["id"], request.json())

        front.teach("POST", address, new)
        front.teach("GET", address, lambda _: {plural: list(kept.values())})
        front.teach("GET", f"{address}/{{id}}", lambda r: _of(kept, r.parts["id"], plural))
        front.teach("PATCH", f"{address}/{{id}}", change)
        front.teach("DELETE", f"{address}/{{id}}", lambda r: _drop(kept, r.parts["id"]))

    # Dashboards: the service rewrites what it is given, and a new etag says that it changed.

    def _new_dashboard(self, request: Request) -> Any:
        asked = request.json()
        parent = asked.get("parent_path") or f"/Users/{request.caller}"
        if not (self._files / parent.lstrip("/")).is_dir():
            raise missing(f"Path ({parent})")
        number = uuid.uuid4().hex
        short = parent.removeprefix("/Workspace")
        self.dashboards[number] = {
            **asked,
            "dashboard_id": number,
            "parent_path": short,
            "path": f"{short}/{asked['display_name']}.lvdash.json",
            "serialized_dashboard": _serialized(asked, request),
            "etag": "1",
            "lifecycle_state": "ACTIVE",
            "create_time": _now(),
            "update_time": _now(),
        }
        self._permissions.own("dashboards", number, request.caller)
        return self.dashboards[number]

    def _change_dashboard(self, request: Request) -> Any:
        dashboard, asked = _of(self.dashboards, request.parts["id"], "Dashboard"), request.json()
        if asked.get("etag") and asked["etag"] != dashboard["etag"]:
            raise Refusal(409, "ABORTED", "The dashboard was changed since it was read.")
        changed = {key: value for key, value in asked.items() if key not in ("etag", "parent_path")}
        if "serialized_dashboard" in asked:
            changed["serialized_dashboard"] = _serialized(asked, request)
        if any(dashboard.get(key) != value for key, value in changed.items()):
            dashboard |= {**changed, "etag": str(int(dashboard["etag"]) + 1), "update_time": _now()}
        return dashboard

    def _trash_dashboard(self, request: Request) -> Any:
        _of(self.dashboards, request.parts["id"], "Dashboard")["lifecycle_state"] = "TRASHED"
        self.published.pop(request.parts["id"], None)

    def _publish(self, request: Request) -> Any:
        dashboard = _of(self.dashboards, request.parts["id"], "Dashboard")
        asked = {"embed_credentials": False, "warehouse_id": dashboard.get("warehouse_id", ""), **request.json()}
        published = {"display_name": dashboard["display_name"], **asked, "revision_create_time": _now()}
        self.published[request.parts["id"]] = published
        return published

    # The rest

    def _new_alert(self, request: Request) -> dict[str, Any]:
        number = str(uuid.uuid4())
        parent = request.json().get("parent_path") or f"/Users/{request.caller}"
        if not (self._files / parent.lstrip("/")).is_dir():
            raise missing(f"Path ({parent})")
        made = {"id": number, "owner_user_name": request.caller, "lifecycle_state": "ACTIVE", "parent_path": parent}
        self.alerts[number] = {**request.json(), **made, "create_time": _now(), "update_time": _now()}
        self._permissions.own("alertsv2", number, request.caller)
        return self.alerts[number]

    def _new_policy(self, request: Request) -> dict[str, Any]:
        """The new governed tag; only its maker may assign it until `Workspace.govern` says otherwise."""
        asked = request.json()
        if asked["tag_key"] in self.tag_policies:
            raise Refusal(409, "ALREADY_EXISTS", f"Tag policy '{asked['tag_key']}' already exists.")
        self.tag_policies[asked["tag_key"]] = {**asked, "id": str(uuid.uuid4()), "create_time": _now()}
        values = {value["name"] for value in asked.get("values") or []}
        self._registry.govern(asked["tag_key"], values=values, assigned_by={request.caller})
        return self.tag_policies[asked["tag_key"]]

    def _new_monitor(self, request: Request) -> Any:
        table, asked = request.parts["table"], request.json()
        if table in self.monitors:
            raise Refusal(409, "ALREADY_EXISTS", f"Monitor of '{table}' already exists.")
        kept = {key: value for key, value in asked.items() if key not in ("warehouse_id", "skip_builtin_dashboard")}
        tables = {f"{kind}_metrics_table_name": f"{table}_{kind}_metrics" for kind in ("profile", "drift")}
        made = {"table_name": table, "status": "MONITOR_STATUS_ACTIVE", "monitor_version": 1, **tables}
        self.monitors[table] = {**kept, **made}
        return self.monitors[table]

    def _change_monitor(self, request: Request) -> Any:
        monitor = _of(self.monitors, request.parts["table"], "Monitor of")
        monitor |= request.json() | {"monitor_version": monitor["monitor_version"] + 1}
        return monitor


def _serialized(asked: dict[str, Any], request: Request) -> str:
    """Pages get a type, datasets the catalog and the schema of the query; it comes back as other text."""
    content = json.loads(asked.get("serialized_dashboard") or "{}")
    for page in content.get("pages") or []:
        page.setdefault("pageType", "PAGE_TYPE_CANVAS")
    for dataset in content.get("datasets") or []:
        dataset |= {k: request.query[f"dataset_{k}"] for k in ("catalog", "schema") if f"dataset_{k}" in request.query}
    return json.dumps(content) + "\n"


def _of(kept: dict[str, dict[str, Any]], key: str, what: str) -> dict[str, Any]:
    if key not in kept:
        raise missing(f"{what} {key}")
    return kept[key]


def _put(kept: dict[str, dict[str, Any]], key: str, change: dict[str, Any]) -> dict[str, Any]:
    kept[key] = {**kept[key], **change}
    return kept[key]


def _drop(kept: dict[str, dict[str, Any]], key: str) -> None:
    if kept.pop(key, None) is None:
        raise missing(key)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"
