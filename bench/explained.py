"""What the audit log of an environment has to explain of its registry, whatever was killed before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gatehouse.gates.promotion import CHAMPION, PREVIOUS, Kind
from gatehouse.pipelines.promotion import gatekeeper

if TYPE_CHECKING:
    from gatehouse.lakehouse.audit import Entry
    from gatehouse.pipelines.context import Context


def aliases(context: Context) -> dict[str, str | None]:
    holders = {alias: context.registry.by_alias(context.model, alias) for alias in (CHAMPION, PREVIOUS)}
    return {alias: holder.version if holder else None for alias, holder in holders.items()}


def violations(context: Context) -> Iterator[str]:
    """Sentences on everything that must not be, after any command."""
    entries = context.audit.entries()
    yield from context.audit.verify().problems
    keeper = gatekeeper(context)
    if (left := keeper.settle()) is not None:
        yield f"A move was left open by a whole command: {left}"
    if (outside := keeper.moved_outside()) is not None:
        yield outside
    versions = context.registry.versions(context.model)
    champions = [v.version for v in versions if CHAMPION in v.aliases]
    if len(champions) != 1:
        yield f"Champions: {champions}"
    keys = Counter(v.tags.get("gatehouse_training_key") for v in versions)
    if max(keys.values()) > 1:
        yield f"One training made several versions: {keys}"
    begun = {e.seq: e for e in entries if e.action == "move_begun"}
    for live in keeper.history():
        start = begun[int(live.entry.details["begun"])]
        before = [e for e in entries if e.seq < start.seq]
        if live.kind is Kind.PROMOTION and not any(_approves(e, live.record) for e in before):
            yield f"Version {live.version} was promoted without its approval."
        if not any(e.action == "judged" and e.details["record"] == live.record for e in before):
            yield f"Version {live.version} was promoted without its decision record."
    last = keeper.history()[-1]
    if aliases(context)[PREVIOUS] != begun[int(last.entry.details["begun"])].details["from"]:
        yield f"The champion before version {last.version} is said to be {aliases(context)[PREVIOUS]}."


def _approves(entry: Entry, record: str | None) -> bool:
    return entry.action == "decision_approve" and entry.details["record_digest"] == record


def left_open(context: Context) -> bool:
    """Whether an alias was caught on its way."""
    actions = Counter(e.action for e in context.audit.entries())
    return actions["move_begun"] > actions["move_done"] + actions["move_undone"]
