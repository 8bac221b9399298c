"""One serving endpoint as the platform has it: read, made, changed, and waited for until it is what was asked.

Requests and answers are logged by AI Gateway's inference tables, on custom models too: the older `auto_capture_config`
cannot be enabled since 20 February 2026. The table is asked for with the endpoint, and again before a later change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatehouse.databricks.client import Workspace
from gatehouse.databricks.states import plain
from gatehouse.errors import Busy, ConfigurationError, PlatformError, StateError, Unanswered
from gatehouse.progress import Progress

if TYPE_CHECKING:
    from databricks.sdk.service.serving import (
        AiGatewayInferenceTableConfig,
        EndpointCoreConfigOutput,
        EndpointPendingConfig,
        ServedEntityInput,
        ServingEndpointDetailed,
        TrafficConfig,
    )

LIMIT = 1800.0
"""Seconds until a change has to be there. An image is built for each version, which takes ten minutes and more."""
_PAUSE = 10.0
_STALE_LOOKS = 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")

Traffic = Mapping[str, int]
"""Percent by version; 0 for one that is only loaded. Together 100."""


@dataclass(frozen=True, kw_only=True, slots=True)
class InferenceTable:
    """`CATALOG.SCHEMA.PREFIX_payload` gets one row per request."""

    catalog: str
    schema: str
    prefix: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """What is to be served, where and how. `model` is `catalog.schema.model`; project and env become its tags."""

    name: str
    model: str
    project: str
    env: str
    inference_table: InferenceTable | None = None
    workload_size: str = "Small"
    workload_type: str = "CPU"
    scale_to_zero: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigurationError(
                f"{self.name!r} is no name for a serving endpoint.",
                why="It becomes a part of an address: letters, digits, - and _, 63 at most.",
                remedy="Choose another one in conf/environments.yml.",
            )

    @property
    def tags(self) -> Mapping[str, str]:
        """What tells that it was made here."""
        return {"gatehouse_project": self.project, "gatehouse_env": self.env}


class EndpointApi:
    """The calls. `limit` is how many seconds a change may take."""

    def __init__(self, workspace: Workspace, endpoint: Endpoint, *, progress: Progress, limit: float) -> None:
        self._workspace = workspace
        self._api = workspace.sdk.serving_endpoints
        self._endpoint = endpoint
        self._progress = progress
        self._limit = limit
        self._name = endpoint.name

    def find(self) -> ServingEndpointDetailed | None:
        """None where there is none; an error where it is somebody else's."""
        try:
            now = self._workspace.ask(f"reading the endpoint {self._name}", lambda: self._api.get(self._name))
        except Unanswered as error:
            if error.status == 404:
                return None
            raise
        tags = {tag.key: tag.value for tag in now.tags or []}
        if not self._endpoint.tags.items() <= tags.items():
            raise StateError(
                f"The endpoint {self._name} is not this project's: it lacks the tags"
                f" {', '.join(f'{k}={v}' for k, v in self._endpoint.tags.items())}.",
                why="Somebody else made it and relies on what it answers; nothing was changed.",
                remedy="Choose another name for the endpoint in conf/environments.yml.",
            )
        return now

    def there(self) -> ServingEndpointDetailed:
        """As `find`; an error where there is none."""
        now = self.find()
        if now is None:
            raise StateError(
                f"There is no endpoint {self._name}.",
                why="It was never made, or somebody deleted it.",
                remedy="Serve the champion, which makes it.",
            )
        return now

    def settled(self) -> ServingEndpointDetailed | None:
        """What is there when no update is going on: one of an earlier call may be."""
        now = self.find()
        if now is None or _update_of(now) not in ("IN_PROGRESS", ""):
            return now
        with self._progress.step(f"endpoint {self._name}: an update from before"):
            return next(look for look, update in self._looks() if update not in ("IN_PROGRESS", ""))

    def create(self, version: str) -> ServingEndpointDetailed:
        """The endpoint with its first version, when it is ready."""
        from databricks.sdk.service.serving import AiGatewayConfig, EndpointCoreConfigInput, EndpointTag

        traffic, table = {version: 100}, self._table()
        config = EndpointCoreConfigInput(
            name=self._name, served_entities=self._entities(traffic, None), traffic_config=_routes(traffic)
        )
        gateway = AiGatewayConfig(inference_table_config=table) if table else None
        tags = [EndpointTag(key, value) for key, value in self._endpoint.tags.items()]
        return self._changed(
            f"making the endpoint {self._name}",
            lambda: self._api.create(self._name, config=config, ai_gateway=gateway, tags=tags),
            traffic,
        )

    def configure(self, traffic: Traffic) -> ServingEndpointDetailed:
        """The endpoint when these versions, and no others, are loaded and have this traffic."""
        entities = self._entities(traffic, self.there())
        return self._changed(
            f"changing the endpoint {self._name}",
            lambda: self._api.update_config(self._name, served_entities=entities, traffic_config=_routes(traffic)),
            traffic,
        )

    def delete(self) -> None:
        """Only of one that was made a moment ago, and that nobody has asked anything yet."""
        self._workspace.ask(f"removing the endpoint {self._name}", lambda: self._api.delete(self._name))

    def log_requests(self, now: ServingEndpointDetailed) -> None:
        """The inference table as configured. Its place only changes while it is off; the other settings stay."""
        from databricks.sdk.service.serving import AiGatewayConfig, AiGatewayInferenceTableConfig

        table, gateway = self._table(), now.ai_gateway or AiGatewayConfig()
        had = gateway.inference_table_config
        if table is None or had == table:
            return

        def put(config: AiGatewayInferenceTableConfig) -> None:
            self._workspace.ask(
                f"setting the inference table of {self._name}",
                lambda: self._api.put_ai_gateway(
                    self._name,
                    inference_table_config=config,
                    fallback_config=gateway.fallback_config,
                    guardrails=gateway.guardrails,
                    rate_limits=gateway.rate_limits,
                    usage_tracking_config=gateway.usage_tracking_config,
                ),
            )

        if had is not None and had.enabled:
            put(AiGatewayInferenceTableConfig(enabled=False))
        put(table)

    def _changed(self, what: str, call: Callable[[], object], traffic: Traffic) -> ServingEndpointDetailed:
        """Asks for a change and waits until it is there. A call that arrived twice finds itself in progress."""
        shown = ", ".join(f"version {version} {percent} %" for version, percent in traffic.items())
        with self._progress.step(f"endpoint {self._name}: {shown}"):
            try:
                self._workspace.ask(what, call)
            except Unanswered:
                now = self.find()
                if now is None or traffic not in (traffic_of(now.config), traffic_of(now.pending_config)):
                    raise
            return self._waited(traffic)

    def _waited(self, traffic: Traffic) -> ServingEndpointDetailed:
        stale = 0
        for now, update in self._looks():
            there = traffic_of(now.config) == traffic
            if update == "NOT_UPDATING" and there and _is_ready(now):
                return now
            if update in ("UPDATE_FAILED", "UPDATE_CANCELED"):
                raise PlatformError(
                    f"The endpoint {self._name} did not take the change: {update}{_told(now)}",
                    why="What it served before goes on answering.",
                    remedy=f"databricks serving-endpoints build-logs {self._name} {entity_of([*traffic][-1])}",
                )
            stale += update == "NOT_UPDATING" and not there
            if stale > _STALE_LOOKS:
                raise Busy(
                    f"The endpoint {self._name} has another configuration than the one it was given.",
                    why="Somebody else changed it at the same time.",
                    remedy="Wait for the other release to end, then run it again.",
                )
        raise AssertionError  # the looks end with an error

    def _looks(self) -> Iterator[tuple[ServingEndpointDetailed, str]]:
        """Looks at the endpoint until the time is over."""
        clock, told, pause = self._workspace.clock, "", 1.0
        end = clock.time() + self._limit
        while True:
            now = self.there()
            update = _update_of(now)
            if (news := f"{update or 'UNKNOWN'}{_told(now)}") != told:
                self._progress.note(news)
                told = news
            yield now, update
            if clock.time() >= end:
                raise PlatformError(
                    f"The endpoint {self._name} was not ready within {self._limit:.0f} seconds: {told}",
                    why="What it served before goes on answering; the update itself goes on in the workspace.",
                    remedy="Run it again: it waits for that update, and goes on from there.",
                )
            clock.sleep(pause)
            pause = min(pause + 1, _PAUSE)

    def _table(self) -> AiGatewayInferenceTableConfig | None:
        from databricks.sdk.service.serving import AiGatewayInferenceTableConfig

        place = self._endpoint.inference_table
        if place is None:
            return None
        return AiGatewayInferenceTableConfig(
            enabled=True, catalog_name=place.catalog, schema_name=place.schema, table_name_prefix=place.prefix
        )

    def _entities(self, traffic: Traffic, now: ServingEndpointDetailed | None) -> list[ServedEntityInput]:
        """Those that are loaded keep their sizes; a new one has the configured ones."""
        from databricks.sdk.service.serving import ServedEntityInput, ServingModelWorkloadType

        had = (now.config.served_entities if now and now.config else None) or []
        kept = {entity.entity_version: ServedEntityInput.from_dict(entity.as_dict()) for entity in had}
        return [
            kept.get(version)
            or ServedEntityInput(
                name=entity_of(version),
                entity_name=self._endpoint.model,
                entity_version=version,
                workload_size=self._endpoint.workload_size,
                workload_type=ServingModelWorkloadType(self._endpoint.workload_type),
                scale_to_zero_enabled=self._endpoint.scale_to_zero,
            )
            for version in traffic
        ]


def entity_of(version: str) -> str:
    """The name that a version is served by, and asked by where the traffic does not matter."""
    return f"v{version}"


def traffic_of(config: EndpointCoreConfigOutput | EndpointPendingConfig | None) -> dict[str, int]:
    """Who is loaded, and with how much of the traffic."""
    entities = (config.served_entities if config else None) or []
    routes = (config.traffic_config.routes if config and config.traffic_config else None) or []
    share = {route.served_entity_name or route.served_model_name: route.traffic_percentage for route in routes}
    return {entity.entity_version or "": share.get(entity.name, 0) for entity in entities}


def is_loaded(now: ServingEndpointDetailed, version: str) -> bool:
    """Whether a version would answer if it were asked."""
    return _states(now).get(version) == "DEPLOYMENT_READY"


def answering_of(now: ServingEndpointDetailed) -> dict[str, int]:
    """Who has traffic, or stands by; without versions that failed, the share of which goes to the one with the most."""
    states = _states(now)
    failed = {v for v, state in states.items() if state in ("DEPLOYMENT_FAILED", "DEPLOYMENT_ABORTED")}
    traffic = {v: share for v, share in traffic_of(now.config).items() if v not in failed}
    if traffic:
        traffic[max(traffic, key=lambda v: traffic[v])] += 100 - sum(traffic.values())
    return traffic


def _states(now: ServingEndpointDetailed) -> dict[str, str]:
    entities = (now.config.served_entities if now.config else None) or []
    return {
        e.entity_version or "": e.state.deployment.value if e.state and e.state.deployment else "" for e in entities
    }


def _routes(traffic: Traffic) -> TrafficConfig:
    from databricks.sdk.service.serving import Route, TrafficConfig

    return TrafficConfig(
        routes=[Route(served_entity_name=entity_of(v), traffic_percentage=share) for v, share in traffic.items()]
    )


def _update_of(now: ServingEndpointDetailed) -> str:
    """Empty for a state that the SDK does not know: then nothing is settled."""
    return now.state.config_update.value if now.state and now.state.config_update else ""


def _is_ready(now: ServingEndpointDetailed) -> bool:
    return bool(now.state and now.state.ready and now.state.ready.value == "READY")


def _told(now: ServingEndpointDetailed) -> str:
    """What the platform says of those that are not ready: `; v7: DEPLOYMENT_CREATING (building the image)`."""
    configs = [now.config, now.pending_config]
    states = {e.name: e.state for config in configs if config for e in config.served_entities or [] if e.state}
    named = {name: (s.deployment.value if s.deployment else "UNKNOWN", s) for name, s in states.items()}
    return "".join(
        f"; {name}: {state}" + (f" ({plain(s.deployment_state_message)[:200]})" if s.deployment_state_message else "")
        for name, (state, s) in named.items()
        if state != "DEPLOYMENT_READY"
    )
