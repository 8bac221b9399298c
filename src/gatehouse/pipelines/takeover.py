"""Deploying a model instead of its code: an approved version of one environment becomes a candidate of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatehouse.errors import Refused, UsageError
from gatehouse.gates.identity import Identity
from gatehouse.lakehouse.registry_rules import COPIED_FROM
from gatehouse.pipelines.approval import approval_verdict
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import find

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version


def take_over(context: Context, origin: Context, version: Version, *, actor: Identity) -> Version:
    """Copy an approved version, files and lineage, to the context's own model; the same one is copied once.

    It is a candidate there like any other: judged on that environment's data, against that environment's champion.
    The audit log keeps the chain: from where, by which record, which files.

    Raises:
        Refused: nobody approved it where it comes from, or not these files.
    """
    if origin.model == context.model:
        raise UsageError(f"{origin.name} and {context.name} are one place.", remedy="Name another --from.")
    record = find(origin, version)
    approved = approval_verdict(origin, record)
    promoted = record.promoted.version
    if not approved.opens:
        raise Refused(
            f"Version {promoted} of {origin.model} is not approved. {approved.sentence()}",
            why="Only what went through the gates of one environment is taken over by the next.",
            remedy=f"gatehouse why {promoted} --env {origin.name}",
        )
    files = origin.registry.digest(origin.model, promoted)
    mark = f"{origin.model}/{promoted}"
    for known in context.registry.versions(context.model):
        if known.tags.get(COPIED_FROM) == mark and context.registry.digest(context.model, known.version) == files:
            context.progress.note(f"Version {known.version} is that copy already.")
            return known
    copied = context.registry.copy(origin.model, promoted, to=context.model)
    context.audit.append(
        action="taken_over",
        actor=actor.name,
        actor_source=f"{actor.established_by} ({actor.strength})",
        model=context.model,
        version=copied.version,
        details={"from": mark, "record": record.digest(), "files": files, "approved_by": _approvers(origin, promoted)},
        key=f"taken_over:{mark}:{files}",
    )
    return copied


def _approvers(origin: Context, version: str) -> list[str]:
    entries = origin.audit.entries()
    return sorted({e.actor for e in entries if e.action == "decision_approve" and e.version == version})
