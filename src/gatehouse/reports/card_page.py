"""The model card of a registered version: what was written when it was trained, and where it stands now. Pure.

A blank, and a card that is not the one of the training, are findings: nobody should have to notice what is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gatehouse.gates.verdict import Finding, Outcome
from gatehouse.reports.card import blanks
from gatehouse.reports.gfm import escaped, table
from gatehouse.reports.page import markdown, render
from gatehouse.reports.wording import day

GATE = "model card"


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """What the registry and the training run hold of a version.

    Attributes:
        text: The card as the registry has it, as Markdown; empty: it has none.
        trained: The card as the training run has it; None: it has none.
        verdict: What the gates said; empty: they were not asked yet. `record` is the digest of the decision.
    """

    project: str
    model: str
    version: str
    aliases: tuple[str, ...]
    registered_at: datetime
    proposer: str
    verdict: str
    record: str
    text: str
    trained: str | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong with it; nothing for a complete card."""
        return tuple(self._findings())

    def _findings(self) -> Iterator[Finding]:
        missing = blanks(self.text)
        if missing is None:
            yield _held(
                "no card", "The registry has no card of this version.", "Train it with `gatehouse run training`."
            )
        for section in missing or ():
            yield _held(
                section,
                f"The section {section} is blank.",
                "Fill in what the project says of itself (intended_use, limitations, owner), and train again.",
            )
        if self.text and self.trained is None:
            yield _held(
                "training", "The run that trained it keeps no card to compare with.", "Train the version again."
            )
        elif self.text and self.text.strip() != (self.trained or "").strip():
            yield _held(
                "training",
                "The card in the registry is not the one that was written when the version was trained.",
                "Find out who changed the description of the version; what training wrote is kept with its run.",
            )

    @property
    def standing(self) -> tuple[tuple[str, str], ...]:
        """Where the version stands: names and values."""
        return (
            ("model", self.model),
            ("version", self.version),
            ("aliases", ", ".join(self.aliases) or "none"),
            ("registered", day(self.registered_at)),
            ("proposed by", self.proposer or "nobody on record"),
            ("the gates said", self.verdict or "nothing yet"),
            ("decision record", self.record or "none"),
        )


def card_markdown(card: Card) -> str:
    """The card, where the version stands, and what is wrong with the card."""
    named = [(name, escaped(value)) for name, value in card.standing]
    wrong = [f"- **{escaped(f.rule)}**: {escaped(f.reason)} {escaped(f.next_step)}" for f in card.findings]
    sections = [
        card.text.rstrip() or f"# {escaped(card.project)}",
        "## Standing\n\n" + "\n".join(table(("", ""), named)),
        "## Findings on this card\n\n" + ("\n".join(wrong) or "None: no section is blank, and nobody changed it."),
    ]
    return "\n\n".join(sections) + "\n"


def card_html(card: Card, *, overview: str | None = None, decision: str | None = None) -> str:
    """One file that loads nothing. `overview` and `decision` are addresses of the pages beside it, if there are any."""
    text = markdown(card.text, below=2) if card.text else None
    return render("card.html.j2", card=card, text=text, overview=overview, decision=decision)


def _held(rule: str, reason: str, next_step: str) -> Finding:
    return Finding(gate=GATE, rule=rule, outcome=Outcome.HOLD, reason=reason, next_step=next_step)
