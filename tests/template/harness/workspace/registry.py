"""Models in Unity Catalog: the interface of MLflow's client; registry_uc.py has the SDK's.

The store is our own and not the MLflow server's: names of three levels, errors, forbidden characters, what may be
searched for and the deployment job all differ there. The files of a version go through the Files API.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.template.harness.workspace.errors import Refusal, denied, invalid, missing
from tests.template.harness.workspace.front import Front, Request
from tests.template.harness.workspace.identities import Identities
from tests.template.harness.workspace.unity import Unity

_MLFLOW = "/api/2.0/mlflow/unity-catalog"
_FORBIDDEN = re.compile(r"[.,\-=/: ]")  # in the key of a tag
_ALIAS = re.compile(r"(?!v\d+$)[\w-]{1,255}", re.IGNORECASE)
_SEARCH = re.compile(r"\s*name\s*=\s*(['\"])(?P<name>[^'\"]+)\1\s*")


@dataclass(kw_only=True)
class Version:
    number: int
    source: str
    run_id: str
    model_id: str
    description: str
    created: int
    by: str
    status: str = "PENDING_REGISTRATION"
    tags: dict[str, str] = field(default_factory=dict)
    deployment: dict[str, str] = field(default_factory=dict)  # the run of the deployment job that it started


@dataclass(kw_only=True)
class Model:
    name: str
    created: int
    description: str = ""
    deployment_job_id: str = ""
    storage_location: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)
    last: int = 0


class Registry:
    """`new_version` is told of each version that is ready and whose model has a deployment job; it gives its run id."""

    def __init__(self, unity: Unity, identities: Identities) -> None:
        self.unity, self._identities = unity, identities
        self._lock = threading.RLock()
        self.models: dict[str, Model] = {}
        self.new_version: Callable[[Model, Version, str], str] | None = None
        self.deployment_job: Callable[[str], None] | None = None  # refuses one that cannot be linked
        self._governed: dict[str, tuple[set[str], set[str]]] = {}

    def govern(self, key: str, *, values: set[str], assigned_by: set[str]) -> None:
        """Only these principals may set the tag, and only to these values; nobody else, not even the model's owner."""
        self._governed[key] = (values, assigned_by)

    def teach(self, front: Front) -> None:
        for method, path, handler in (
            ("POST", "registered-models/create", self._create),
            ("PATCH", "registered-models/update", self._update),
            ("DELETE", "registered-models/delete", self.delete),
            ("GET", "registered-models/get", self._get),
            ("GET", "registered-models/search", self._search),
            ("POST", "registered-models/alias", self._set_alias),
            ("DELETE", "registered-models/alias", self.delete_alias),
            ("GET", "registered-models/alias", self._by_alias),
            ("POST", "registered-models/set-tag", self._set_tag),
            ("DELETE", "registered-models/delete-tag", self._delete_tag),
            ("POST", "model-versions/create", self._create_version),
            ("POST", "model-versions/finalize", self._finalize),
            ("PATCH", "model-versions/update", self._update_version),
            ("DELETE", "model-versions/delete", self.delete_version),
            ("GET", "model-versions/get", self._get_version),
            ("GET", "model-versions/search", self._search_versions),
            ("GET", "model-versions/get-download-uri", self._download_uri),
            ("POST", "model-versions/set-tag", self._set_tag),
            ("DELETE", "model-versions/delete-tag", self._delete_tag),
            ("POST", "model-versions/emit-lineage", lambda _: {}),
        ):
            front.teach(method, f"{_MLFLOW}/{path}", self.locked(handler))
        flag = "is_databricks_sdk_models_artifact_repository_enabled"
        front.teach("GET", f"{_MLFLOW}/registered-models:{flag.replace('_', '-')}", lambda _: {flag: True})

    def locked(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        def under_lock(request: Request) -> Any:
            with self._lock:
                return handler(request)

        return under_lock

    # Models

    def _create(self, request: Request) -> Any:
        asked = request.asked()
        model = self.new(request.caller, asked["name"], asked)
        self._change_tags(request.caller, model.tags, {t["key"]: t.get("value", "") for t in asked.get("tags", [])})
        return {"registered_model": self._shown(model)}

    def new(self, caller: str, name: str, asked: dict[str, Any]) -> Model:
        self.unity.demand_schema(_schema(name))
        self.unity.require(caller, "CREATE_MODEL", "schema", _schema(name))
        if name in self.models:
            raise Refusal(409, "RESOURCE_ALREADY_EXISTS", f"Routine or Model '{name}' already exists.")
        model = Model(name=name, created=_now(), description=asked.get("description") or asked.get("comment") or "")
        self._link(model, asked)
        self.models[name] = model
        self.unity.owners[name] = caller
        return model

    def _link(self, model: Model, asked: dict[str, Any]) -> None:
        if "deployment_job_id" in asked:
            job = str(asked["deployment_job_id"] or "")
            if job and self.deployment_job:
                self.deployment_job(job)
            model.deployment_job_id = job

    def _update(self, request: Request) -> Any:
        asked = request.asked()
        model = self.managed(request.caller, asked["name"])
        model.description = asked.get("description", model.description)
        self._link(model, asked)
        if new := asked.get("new_name"):
            self.rename(model, new)
        return {"registered_model": self._shown(model)}

    def rename(self, model: Model, new: str) -> None:
        if new in self.models:
            raise Refusal(409, "RESOURCE_ALREADY_EXISTS", f"Routine or Model '{new}' already exists.")
        self.unity.owners[new] = self.unity.owners.pop(model.name)
        self.models[new] = self.models.pop(model.name)
        model.name = new

    def delete(self, request: Request) -> Any:
        model = self.managed(request.caller, request.asked()["name"])
        del self.models[model.name]

    def _get(self, request: Request) -> Any:
        return {"registered_model": self._shown(self.read(request.caller, request.asked()["name"]))}

    def _search(self, request: Request) -> Any:
        if request.query.get("filter"):
            raise invalid("Filtering registered models is not supported in Unity Catalog.")
        seen = [m for m in self.models.values() if self.unity.may(request.caller, "EXECUTE", "function", m.name)]
        return {"registered_models": [self._shown(m) for m in seen]}

    def _shown(self, model: Model) -> dict[str, Any]:
        return {
            "name": model.name,
            "creation_timestamp": model.created,
            "last_updated_timestamp": model.created,
            "user_id": self.unity.owners[model.name],
            "description": model.description,
            "aliases": [{"alias": a, "version": str(v)} for a, v in model.aliases.items()],
            "tags": _tags(model.tags),
            **({"deployment_job_id": model.deployment_job_id} if model.deployment_job_id else {}),
            "deployment_job_state": "CONNECTED" if model.deployment_job_id else "NOT_SET_UP",
        }

    # Aliases and tags

    def _set_alias(self, request: Request) -> Any:
        asked = request.asked()
        self.point(request.caller, asked["name"], asked["alias"], asked["version"])

    def point(self, caller: str, name: str, alias: str, number: str | int) -> int:
        model = self.managed(caller, name)
        if not _ALIAS.fullmatch(alias):
            raise invalid(f"'{alias}' is not a valid alias name.")
        model.aliases[alias] = self.version(model, number).number
        return model.aliases[alias]

    def delete_alias(self, request: Request) -> Any:
        asked = request.asked()
        model = self.managed(request.caller, asked["name"])
        if model.aliases.pop(asked["alias"], None) is None:
            raise missing(f"Alias '{asked['alias']}' of '{model.name}'")

    def _by_alias(self, request: Request) -> Any:
        return {"model_version": self._shown_version(*self.aliased(request))}

    def aliased(self, request: Request) -> tuple[Model, Version]:
        asked = request.asked()
        model = self.read(request.caller, asked["name"])
        if (number := model.aliases.get(asked["alias"])) is None:
            raise missing(f"Alias '{asked['alias']}' of '{model.name}'")
        return model, model.versions[number]

    def _set_tag(self, request: Request) -> Any:
        asked = request.asked()
        self._change_tags(request.caller, self._tagged(request), {asked["key"]: asked.get("value", "")})

    def _delete_tag(self, request: Request) -> Any:
        key, tags = request.asked()["key"], self._tagged(request)
        if key in self._governed:
            self._may_assign(request.caller, key)
        tags.pop(key, None)

    def _tagged(self, request: Request) -> dict[str, str]:
        asked = request.asked()
        model = self._model(asked["name"])
        self.unity.require(request.caller, "APPLY_TAG", "function", model.name)
        return self.version(model, asked["version"]).tags if "version" in asked else model.tags

    def _change_tags(self, caller: str, tags: dict[str, str], new: dict[str, str]) -> None:
        for key, value in new.items():
            if not key or _FORBIDDEN.search(key) or len(key) > 255:
                raise invalid(f"Tag key '{key}' is not valid: it must not contain any of . , - = / : or spaces.")
            if len(value) > 1000:
                raise invalid(f"The value of tag '{key}' has more than 1000 characters.")
            if key in self._governed:
                self._may_assign(caller, key)
                if self._governed[key][0] and value not in self._governed[key][0]:
                    raise invalid(f"'{value}' is not an allowed value of the governed tag '{key}'.")
        if len(tags | new) > 50:
            raise invalid("An object has at most 50 tags.")
        tags.update(new)

    def _may_assign(self, caller: str, key: str) -> None:
        if not self._governed[key][1] & self._identities.principals_of(caller):
            raise denied(f"User does not have ASSIGN on the governed tag '{key}'.")

    # Versions

    def _create_version(self, request: Request) -> Any:
        asked = request.asked()
        model = self._model(asked["name"])
        self.unity.require(request.caller, "CREATE_MODEL_VERSION", "function", model.name)
        tags: dict[str, str] = {}
        self._change_tags(request.caller, tags, {t["key"]: t.get("value", "") for t in asked.get("tags", [])})
        model.last += 1
        version = Version(
            number=model.last,
            source=asked["source"],
            run_id=asked.get("run_id", ""),
            model_id=asked.get("model_id", ""),
            description=asked.get("description", ""),
            created=_now(),
            by=request.caller,
            tags=tags,
        )
        model.versions[version.number] = version
        return {"model_version": self._shown_version(model, version)}

    def _finalize(self, request: Request) -> Any:
        asked = request.asked()
        model = self._model(asked["name"])
        version = self.version(model, asked["version"])
        version.status = "READY"
        if model.deployment_job_id and self.new_version:
            run = self.new_version(model, version, self.unity.owners[model.name])
            version.deployment = {"job_id": model.deployment_job_id, "run_id": run}
        return {"model_version": self._shown_version(model, version)}

    def _update_version(self, request: Request) -> Any:
        asked = request.asked()
        model = self.managed(request.caller, asked["name"])
        version = self.version(model, asked["version"])
        version.description = asked.get("description") or asked.get("comment") or ""
        return {"model_version": self._shown_version(model, version)}

    def delete_version(self, request: Request) -> Any:
        asked = request.asked()
        model = self.managed(request.caller, asked["name"])
        number = self.version(model, asked["version"]).number
        model.aliases = {alias: held for alias, held in model.aliases.items() if held != number}
        del model.versions[number]

    def _get_version(self, request: Request) -> Any:
        asked = request.asked()
        model = self.read(request.caller, asked["name"])
        return {"model_version": self._shown_version(model, self.version(model, asked["version"]))}

    def _search_versions(self, request: Request) -> Any:
        if not (found := _SEARCH.fullmatch(request.query.get("filter", ""))):
            raise invalid("Model versions in Unity Catalog are searched with a filter of the form name='..' only.")
        model = self.models.get(found["name"])
        versions = sorted(model.versions.values(), key=lambda v: -v.number) if model else []
        return {"model_versions": [self._shown_version(self.models[found["name"]], v) for v in versions]}

    def _download_uri(self, request: Request) -> Any:
        asked = request.asked()
        model = self.read(request.caller, asked["name"])
        number = self.version(model, asked["version"]).number
        return {"artifact_uri": f"dbfs:/Models/{model.name.replace('.', '/')}/{number}"}

    def _shown_version(self, model: Model, version: Version) -> dict[str, Any]:
        return {
            "name": model.name,
            "version": str(version.number),
            "creation_timestamp": version.created,
            "last_updated_timestamp": version.created,
            "user_id": version.by,
            "description": version.description,
            "source": version.source,
            "run_id": version.run_id,
            "status": version.status,
            "model_id": version.model_id,
            "aliases": [{"alias": a, "version": str(v)} for a, v in model.aliases.items() if v == version.number],
            "tags": _tags(version.tags),
            **({"deployment_job_state": version.deployment} if version.deployment else {}),
        }

    # Looking up

    def _model(self, name: str) -> Model:
        self.unity.demand_schema(_schema(name))
        if name not in self.models:
            raise missing(f"Registered model '{name}'")
        return self.models[name]

    def read(self, caller: str, name: str) -> Model:
        model = self._model(name)
        self.unity.require(caller, "EXECUTE", "function", name)
        return model

    def managed(self, caller: str, name: str) -> Model:
        model = self._model(name)
        self.unity.require(caller, "MANAGE", "function", name)
        return model

    def version(self, model: Model, number: str | int) -> Version:
        if not str(number).isdigit() or int(number) not in model.versions:
            raise missing(f"Version {number} of '{model.name}'")
        return model.versions[int(number)]


def _schema(name: str) -> str:
    if name.count(".") != 2 or not all(name.split(".")):
        raise invalid(f"'{name}' is not a valid name for a registered model: it needs catalog.schema.model.")
    return name.rpartition(".")[0]


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _now() -> int:
    return time.time_ns() // 1_000_000
