"""A challenger beside the champion on the endpoint: some of the requests, for a version that the gates let through."""

from __future__ import annotations

from gatehouse.errors import NoChampion, PlatformError, Refused, StateError
from gatehouse.gates.identity import Identity
from gatehouse.gates.promotion import CHAMPION
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import find
from gatehouse.pipelines.smoke import SmokeTest

ACTION = "traffic_split"
_ASKED = 20


def split(context: Context, version: str, percent: int, actor: Identity) -> str:
    """Give a version this share of the requests, the champion the rest; returns the endpoint's address.

    Raises:
        NoChampion: there is nobody to share with.
        Refused: no gate let the version through.
        PlatformError: the environment's platform has no endpoints.
    """
    champion = context.registry.by_alias(context.model, CHAMPION)
    if champion is None:
        raise NoChampion(
            f"{context.model} has no champion.",
            why="A challenger shares the requests of the champion.",
            remedy=f"gatehouse release --env {context.name}    then approve and promote what it lets through.",
        )
    online = context.online
    if online is None:
        raise PlatformError(
            f"{context.name} lives on {context.platform.name}, which has no endpoints.",
            why="Requests are answered by Model Serving.",
            remedy="mlflow models serve -m models:/NAME@champion    serves a version on a laptop.",
        )
    record = find(context, context.registry.get(context.model, version))
    if record.verdict is not Outcome.PROMOTE or record.promoted.version != version:
        raise Refused(
            f"Version {version} was not let through by the gates: {record.verdict.value}.",
            why="Whoever asks the endpoint gets its answers.",
            remedy=f"gatehouse why {version} --env {context.name}",
        )
    asked = SmokeTest(context).asked(version, at_most=_ASKED)
    if asked is None:
        raise StateError(
            f"There is no event before {context.as_of:%Y-%m-%d} to try version {version} on.",
            remedy=f"gatehouse run ingest --env {context.name}",
        )
    with context.progress.step(f"give {percent} % of the requests to version {version}"):
        address = online.split(champion.version, version, percent, asked)
    context.audit.append(
        action=ACTION,
        actor=actor.name,
        actor_source=f"{actor.established_by} ({actor.strength})",
        model=context.model,
        version=version,
        details={"champion": champion.version, "percent": percent},
    )
    return address
