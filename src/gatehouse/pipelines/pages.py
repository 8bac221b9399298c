"""The pages of a decision, beside its record: Markdown for a summary, HTML for people, and the version's model card.

They are a view. That one of them cannot be written is told and stops nothing: what counts is the record and the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gatehouse.errors import GatehouseError
from gatehouse.lakehouse.lineage import PREFIX
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.decisions import RECORD_TAG, VERDICT_TAG, card_of, find, folder

if TYPE_CHECKING:
    from gatehouse.gates.record import DecisionRecord
    from gatehouse.gates.verdict import Verdict
    from gatehouse.lakehouse.registry import Version
    from gatehouse.reports.card_page import Card
    from gatehouse.reports.decision import Decision

People = Callable[[Context, "DecisionRecord"], "Verdict"]
"""What the decisions of people on a record amount to now."""

OVERVIEW = "../../index.html"
_CARD = "model_card.md"  # artefact of the training run


def publish(context: Context, versions: Iterable[str | None], people: People) -> None:
    """Write the pages of versions that were judged, with what was done with them so far; None is nobody."""
    for version in dict.fromkeys(v for v in versions if v is not None):
        try:
            known = context.registry.get(context.model, version)
            if RECORD_TAG in known.tags:
                record = find(context, known)
                _publish(context, record, people(context, record))
        except GatehouseError as error:
            context.progress.note(f"The pages of version {version} are not up to date: {error.what}")


def _publish(context: Context, record: DecisionRecord, people: Verdict) -> None:
    from gatehouse.reports.card_page import card_html
    from gatehouse.reports.decision_page import Pages, decision_html
    from gatehouse.reports.page import write
    from gatehouse.reports.summary import decision_markdown

    place, stem = folder(context), f"version-{record.promoted.version}"
    decision = decision_of(context, record, people=people)
    card = read_card(context, context.registry.get(context.model, record.promoted.version))
    pages = Pages(overview=OVERVIEW, record=f"{stem}.json", card=f"{stem}-card.html")
    write(place / f"{stem}.md", decision_markdown(decision))
    write(place / f"{stem}.html", decision_html(decision, card=card.text, pages=pages))
    write(place / f"{stem}-card.html", card_html(card, overview=OVERVIEW, decision=f"{stem}.html"))


def decision_of(context: Context, record: DecisionRecord, *, people: Verdict) -> Decision:
    """The record with everything that the audit log says about its version."""
    from gatehouse.reports.decision import Decision

    return Decision.of(record, people=people, entries=context.audit.entries())


def read_card(context: Context, version: Version) -> Card:
    """The version's model card, and where the version stands."""
    from gatehouse.reports.card_page import Card

    trained = context.tracking.read_text(version.run_id, _CARD) if version.run_id else None
    return Card(
        project=context.project.name,
        model=version.model,
        version=version.version,
        aliases=version.aliases,
        registered_at=version.created_at,
        proposer=version.tags.get(f"{PREFIX}proposer", ""),
        verdict=version.tags.get(VERDICT_TAG, ""),
        record=version.tags.get(RECORD_TAG, ""),
        text=card_of(version.description),
        trained=trained,
    )
