"""The registry as the SDK and the bundle see it (`/api/2.1/unity-catalog/models`)."""

from __future__ import annotations

from typing import Any

from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.registry import Model, Registry, Version

_UC = "/api/2.1/unity-catalog/models"


class RegistryOfSdk:
    """The same store, other names for everything."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def teach(self, front: Front) -> None:
        for method, path, handler in (
            ("POST", "", self._create),
            ("GET", "", self._list),
            ("GET", "/{name}", self._get),
            ("PATCH", "/{name}", self._update),
            ("DELETE", "/{name}", self._registry.delete),
            ("PUT", "/{name}/aliases/{alias}", self._set_alias),
            ("DELETE", "/{name}/aliases/{alias}", self._registry.delete_alias),
            ("GET", "/{name}/aliases/{alias}", lambda r: _version(*self._registry.aliased(r))),
            ("GET", "/{name}/versions", self._versions),
            ("GET", "/{name}/versions/{version}", self._get_version),
            ("PATCH", "/{name}/versions/{version}", self._update_version),
            ("DELETE", "/{name}/versions/{version}", self._registry.delete_version),
        ):
            front.teach(method, _UC + path, self._registry.locked(handler))

    def _create(self, request: Request) -> Any:
        asked = request.asked()
        name = f"{asked['catalog_name']}.{asked['schema_name']}.{asked['name']}"
        model = self._registry.new(request.caller, name, asked)
        model.storage_location = asked.get("storage_location") or ""
        return self._shown(model)

    def _list(self, request: Request) -> Any:
        within = ".".join(request.query[k] for k in ("catalog_name", "schema_name") if k in request.query)
        models = [m for m in self._registry.models.values() if not within or m.name.startswith(f"{within}.")]
        return {"registered_models": [self._shown(m) for m in models]}

    def _get(self, request: Request) -> Any:
        model = self._registry.read(request.caller, request.parts["name"])
        return self._shown(model, aliases=request.query.get("include_aliases") == "true")

    def _update(self, request: Request) -> Any:
        asked, model = request.json(), self._registry.managed(request.caller, request.parts["name"])
        model.description = asked.get("comment", model.description)
        if asked.get("owner"):
            self._registry.unity.owners[model.name] = asked["owner"]
        if asked.get("new_name"):
            self._registry.rename(model, f"{model.name.rpartition('.')[0]}.{asked['new_name']}")
        return self._shown(model)

    def _set_alias(self, request: Request) -> Any:
        asked = {"name": request.parts["name"], "alias": request.parts["alias"]}
        number = self._registry.point(request.caller, asked["name"], asked["alias"], request.json()["version_num"])
        return {"alias_name": asked["alias"], "version_num": number}

    def _versions(self, request: Request) -> Any:
        model = self._registry.read(request.caller, request.parts["name"])
        return {"model_versions": [_version(model, version) for version in model.versions.values()]}

    def _get_version(self, request: Request) -> Any:
        model = self._registry.read(request.caller, request.parts["name"])
        return _version(model, self._registry.version(model, request.parts["version"]))

    def _update_version(self, request: Request) -> Any:
        model = self._registry.managed(request.caller, request.parts["name"])
        version = self._registry.version(model, request.parts["version"])
        version.description = request.json().get("comment", version.description)
        return _version(model, version)

    def _shown(self, model: Model, *, aliases: bool = False) -> dict[str, Any]:
        catalog, schema, name = model.name.split(".")
        shown = {
            "name": name,
            "catalog_name": catalog,
            "schema_name": schema,
            "full_name": model.name,
            "owner": self._registry.unity.owners[model.name],
            "comment": model.description,
            "created_at": model.created,
            "storage_location": model.storage_location or f"s3://metastore/models/{model.name}",
        }
        held = [{"alias_name": alias, "version_num": number} for alias, number in model.aliases.items()]
        return shown | ({"aliases": held} if aliases else {})


def _version(model: Model, version: Version) -> dict[str, Any]:
    catalog, schema, name = model.name.split(".")
    held = [a for a, number in model.aliases.items() if number == version.number]
    return {
        "catalog_name": catalog,
        "schema_name": schema,
        "model_name": name,
        "version": version.number,
        "source": version.source,
        "run_id": version.run_id,
        "status": version.status,
        "comment": version.description,
        "created_at": version.created,
        "created_by": version.by,
        "aliases": [{"alias_name": alias, "version_num": version.number} for alias in held],
    }
