"""The page of a decision: why a version may, or may not, become champion, and everything it was judged by. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatehouse.errors import StateError
from gatehouse.gates.evidence import ALL, Reading
from gatehouse.gates.phrases import number, percent
from gatehouse.gates.verdict import Finding, Outcome
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.reports.contrasts import Contrast, Drawn, Scale, level
from gatehouse.reports.decision import SEVERITY, Decision
from gatehouse.reports.figures import gains
from gatehouse.reports.page import markdown, render

if TYPE_CHECKING:
    from markupsafe import Markup

MINUS = "\N{MINUS SIGN}"
_MOST_PLOTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A contrast in words, and where it is drawn; None: it is not."""

    contrast: Contrast
    opponent: str
    candidate: str
    gain: str
    interval: str
    drawn: Drawn | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Steadiness:
    """One number about how differently the two behave, beside its limit. `length` and `at` are in per cent of a bar."""

    name: str
    value: str
    opponent: str
    limit: str
    outcome: Outcome | None
    length: float
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Pages:
    """Addresses of what lies beside the page; None: it does not exist."""

    overview: str | None = None
    record: str | None = None
    card: str | None = None


def decision_html(decision: Decision, *, card: str = "", pages: Pages | None = None) -> str:
    """One file that loads nothing. `card` is the version's model card, as Markdown."""
    scale = Scale.over(decision.deciding)
    return render(
        "decision.html.j2",
        decision=decision,
        record=decision.record,
        pages=pages or Pages(),
        scale=scale,
        level=percent(level(decision.policy, decision.evidence)),
        deciding=[_row(c, scale) for c in decision.deciding],
        informative=[_row(c, scale) for c in decision.informative],
        days=list(_days(decision)),
        steadiness=list(_steadiness(decision)),
        findings={gate.name: sorted(gate.verdict.findings, key=_first_what_counts) for gate in decision.gates},
        lineage=_lineage(decision),
        settings=sorted(_settings(decision.policy.model_dump(mode="json"))),
        card=markdown(card, below=2) if card else None,
    )


def _row(contrast: Contrast, scale: Scale) -> Row:
    gain = contrast.gain
    if gain is None or contrast.opponent is None or contrast.candidate is None:
        return Row(contrast=contrast, opponent="", candidate="", gain="", interval="", drawn=None)
    unit = contrast.margin or abs(gain.difference)
    values = (contrast.opponent, contrast.candidate, gain.difference, gain.low, gain.high)
    opponent, candidate, difference, low, high = (number(v, scale=unit).replace("-", MINUS) for v in values)
    return Row(
        contrast=contrast,
        opponent=opponent,
        candidate=candidate,
        gain=f"+{difference}" if gain.difference > 0 else difference,
        interval=f"{low} to {high}",
        drawn=scale.draw(contrast),
    )


def _days(decision: Decision) -> Iterator[tuple[Contrast, Markup]]:
    """What each unit says of the gain, for the metrics over all rows."""
    whole = [c for c in decision.deciding if c.slice == ALL and c.units]
    unit = decision.evidence.unit if decision.evidence else "unit"
    for place, contrast in enumerate(whole[:_MOST_PLOTS]):
        gain = contrast.gain.difference if contrast.gain else 0.0
        worse = sum(value < 0 for _, value in contrast.units)
        drawn = gains(
            f"gains-{place}",
            contrast.units,
            gain,
            title=f"Gain in {contrast.metric}, {unit} by {unit}",
            description=f"Worse than the opponent in {worse} of {len(contrast.units)} {unit}s; on average {gain:.4g}.",
        )
        yield contrast, drawn


def _steadiness(decision: Decision) -> Iterator[Steadiness]:
    if decision.evidence is None:
        return
    stability, policy = decision.evidence.stability, decision.policy.stability
    calibration = stability.calibration_error
    yield _steady(decision, "negative flips", stability.negative_flips, policy.negative_flips)
    yield _steady(decision, "score shift", stability.score_shift, policy.score_shift)
    yield _steady(
        decision, "calibration", calibration, policy.calibration_error, opponent=stability.opponent_calibration_error
    )


def _steady(
    decision: Decision, rule: str, reading: Reading, limit: float, *, opponent: Reading | None = None
) -> Steadiness:
    show = percent if rule == "negative flips" else "{:.4g}".format
    value, other = reading.value, opponent.value if opponent else None
    top = 1.15 * max(limit, value or 0.0)
    finding = next((f for f in decision.record.findings if f.gate == "challenge" and f.rule == rule), None)
    return Steadiness(
        name=rule if rule != "calibration" else "calibration error",
        value=show(value) if value is not None else reading.missing or "not measured",
        opponent=show(other) if other is not None else "",
        limit=show(limit),
        outcome=None if finding is None or finding.informative else finding.outcome,
        length=100.0 * (value or 0.0) / top,
        at=100.0 * limit / top,
    )


def _first_what_counts(finding: Finding) -> tuple[bool, int]:
    return finding.informative, SEVERITY.index(finding.outcome)


def _lineage(decision: Decision) -> list[tuple[str, str]]:
    """What the judged version was made of; its tags as they are if they tell no lineage."""
    tags = decision.record.candidate.lineage
    try:
        made = Lineage.from_tags(tags, decision.record.candidate.version)
    except (StateError, TypeError):
        return sorted((name, str(content)) for name, content in tags.items())
    return [
        ("trained on", f"{made.train_start:%Y-%m-%d} to {made.train_end:%Y-%m-%d}"),
        ("as known at", f"{made.as_of:%Y-%m-%d %H:%M} UTC"),
        ("code", made.code_commit),
        ("training code digest", made.code_digest),
        ("configuration digest", made.configuration_digest),
        ("seed", str(made.seed)),
        *((f"option {name}", str(value)) for name, value in sorted(made.options.items())),
        *((table, f"version {version}") for table, version in sorted(made.data_versions.items())),
    ]


def _settings(content: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    """The policy, a line for each setting."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{path}{name}.")
        elif isinstance(value, list):
            yield f"{path}{name}", ", ".join(str(v) for v in value) or "none"
        else:
            yield f"{path}{name}", "none" if value is None else str(value)
