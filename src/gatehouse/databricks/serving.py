"""Who answers on the serving endpoint: a version is loaded beside the old one, tried with real rows, and then asked.

serve      a version beside the old one with 0 % of the traffic, smoke test, all of the traffic; the old one stays
split      a share of the traffic for a challenger
rollback   all of the traffic back to a version that is still loaded: one call, nothing to build

Traffic moves in a step of its own. Whatever fails before that, or takes too long, leaves the old version answering. An
endpoint that does not carry this project's tags is somebody else's and is not touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatehouse.databricks.client import Workspace
from gatehouse.databricks.endpoint import (
    LIMIT,
    Endpoint,
    EndpointApi,
    Traffic,
    answering_of,
    entity_of,
    is_loaded,
    traffic_of,
)
from gatehouse.errors import Busy, GatehouseError, Refused, StateError, UsageError
from gatehouse.progress import Progress

if TYPE_CHECKING:
    from databricks.sdk.service.serving import ServingEndpointDetailed


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Real rows, as JSON has them, and the model's own answers to them: one number or more per row."""

    columns: Sequence[str]
    data: Sequence[Sequence[Any]]
    answers: Sequence[float]
    tolerance: float = 1e-6
    """The largest absolute difference between two answers that are the same."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Who answers now."""

    name: str
    address: str
    traffic: Traffic


class Serving:
    """One endpoint. `limit` is how many seconds each change of it may take."""

    def __init__(self, workspace: Workspace, endpoint: Endpoint, *, progress: Progress, limit: float = LIMIT) -> None:
        self._workspace = workspace
        self._name = endpoint.name
        self._model = endpoint.model
        self._progress = progress
        self._api = EndpointApi(workspace, endpoint, progress=progress, limit=limit)

    def serve(self, version: str, rows: Rows) -> Served:
        """Make `version` the one that answers; the one before it stays loaded.

        Raises:
            Refused: Its answers are not the model's own. The old version goes on answering.
            PlatformError: It did not become ready, or not in time. The old version goes on answering.
            StateError: The endpoint is not this project's.
            Busy: Somebody else changed the endpoint meanwhile.
        """
        now = self._loaded(version, rows)
        before = {other: share for other, share in traffic_of(now.config).items() if other != version}
        previous = max(before, key=lambda other: (before[other], int(other)), default=None)
        return self._moved(now, {previous: 0, version: 100} if previous else {version: 100})

    def split(self, champion: str, challenger: str, percent: int, rows: Rows) -> Served:
        """Give `percent` of the traffic to a challenger, which is loaded and tried first; the champion has the rest.

        Raises as `serve` does, and:
            UsageError: `percent` is not between 0 and 100, or both are the same version.
            StateError: The champion is not loaded.
        """
        if not 0 <= percent <= 100 or champion == challenger:
            raise UsageError(
                f"{percent} % for version {challenger} beside version {champion} is no split of the traffic.",
                remedy="Name two versions, and 0 to 100 percent.",
            )
        self._must_be_loaded(self._api.there(), champion)
        now = self._loaded(challenger, rows)
        return self._moved(now, {champion: 100 - percent, challenger: percent})

    def rollback(self, version: str) -> Served:
        """All of the traffic back to a version that is still loaded.

        Raises:
            StateError: It is not loaded any more; `serve` loads it.
        """
        self._api.settled()
        now = self._api.there()
        self._must_be_loaded(now, version)
        return self._moved(now, {other: 100 if other == version else 0 for other in traffic_of(now.config)})

    def standing(self) -> Served | None:
        """Who answers now; None where there is no endpoint."""
        now = self._api.find()
        return None if now is None else self._served(now)

    def _loaded(self, version: str, rows: Rows) -> ServingEndpointDetailed:
        """The endpoint, with a version that is loaded and answers as the model does."""
        if not version.isdecimal():
            raise StateError(f"{version!r} is no version of {self._model}.", remedy="gatehouse status")
        now = self._api.settled()
        undo: Callable[[], object] | None = None
        if now is None:
            now, undo = self._api.create(version), self._api.delete
        else:
            self._api.log_requests(now)
            if not is_loaded(now, version):
                answering = {v: share for v, share in answering_of(now).items() if v != version}
                if answering:
                    now = self._api.configure({**answering, version: 0})
                    undo = lambda: self._api.configure(answering)  # noqa: E731
                else:  # its first version never became ready
                    now = self._api.configure({version: 100})
        try:
            self._smoke(version, rows)
        except GatehouseError:
            if undo:
                self._undone(undo, version)
            raise
        return now

    def _undone(self, undo: Callable[[], object], version: str) -> None:
        """What cannot be undone is told, and hides nothing else that went wrong."""
        try:
            undo()
        except GatehouseError as error:
            self._progress.note(f"version {version} stays loaded: {error.what}")

    def _moved(self, seen: ServingEndpointDetailed, traffic: Traffic) -> Served:
        """Traffic as wanted, if nobody changed anything since the smoke test."""
        self._api.settled()
        now = self._api.there()
        if now.config is None or seen.config is None or now.config.config_version != seen.config.config_version:
            raise Busy(
                f"Somebody else changed the endpoint {self._name}.",
                why="Traffic only moves to what was tried just now.",
                remedy="Wait for the other release to end, then run it again.",
            )
        return self._served(now if traffic_of(now.config) == traffic else self._api.configure(traffic))

    def _smoke(self, version: str, rows: Rows) -> None:
        """Asks this version, whatever the traffic, and compares with the model's own answers."""
        path = f"/serving-endpoints/{self._name}/served-models/{entity_of(version)}/invocations"
        data = [[None if isinstance(c, float) and not math.isfinite(c) else c for c in row] for row in rows.data]
        body = {"dataframe_split": {"columns": list(rows.columns), "data": data}}
        client = self._workspace.sdk.api_client
        with self._progress.step(f"endpoint {self._name}: {len(data)} rows to version {version}"):
            answer = self._workspace.ask(f"asking version {version}", lambda: client.do("POST", path, body=body))
        found = list(_numbers(answer.get("predictions") if isinstance(answer, dict) else None))
        pairs = zip(found, rows.answers, strict=False)
        same = [abs(one - other) <= rows.tolerance for one, other in pairs]  # False for a NaN
        if not rows.answers or len(found) != len(rows.answers) or not all(same):
            raise Refused(
                f"Version {version} on the endpoint {self._name} does not answer as the model does:"
                f" {len(found)} numbers for {len(rows.answers)}, {same.count(False)} of them differ by more than"
                f" {rows.tolerance:g}.",
                why="What is served has to be what the gates judged; no traffic was moved.",
                remedy=f"databricks serving-endpoints logs {self._name} {entity_of(version)}",
            )

    def _must_be_loaded(self, now: ServingEndpointDetailed, version: str) -> None:
        if not is_loaded(now, version):
            raise StateError(
                f"Version {version} is not loaded on the endpoint {self._name}:"
                f" {', '.join(traffic_of(now.config)) or 'none'} is.",
                why="Traffic moves at once only to a version that stands ready.",
                remedy=f"Serve version {version}, which loads it.",
            )

    def _served(self, now: ServingEndpointDetailed) -> Served:
        address = f"{self._workspace.host}/serving-endpoints/{self._name}/invocations"
        return Served(name=self._name, address=address, traffic=traffic_of(now.config))


def _numbers(answers: Any) -> Iterator[float]:
    """In order, out of lists of lists or of records; a NaN for what is none."""
    if isinstance(answers, Mapping):
        answers = list(answers.values())
    if isinstance(answers, list):
        for answer in answers:
            yield from _numbers(answer)
    else:
        yield float(answers) if isinstance(answers, int | float) else math.nan
