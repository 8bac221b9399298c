"""The model card as Markdown, from facts; what the project says of itself stands in its own words. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatehouse.lakehouse.lineage import Lineage
    from gatehouse.project import Project

MISSING = "(not given)"
_MOST_FEATURES = 10


def model_card(
    project: Project,
    lineage: Lineage,
    metrics: Mapping[str, float],
    baseline: Mapping[str, float],
    importances: Mapping[str, float],
    *,
    rows: int,
) -> str:
    """A card of one trained version, after Mitchell et al. (2019), Model Cards for Model Reporting."""
    ranked = sorted(importances.items(), key=lambda item: -item[1])[:_MOST_FEATURES]
    sections = [
        f"# {project.name}\n\n{project.description}",
        f"## Intended use\n\n{project.intended_use or MISSING}",
        f"## Limitations\n\n{project.limitations or MISSING}",
        f"## Owner\n\n{project.owner or MISSING}",
        "## Training data\n\n"
        f"{rows:,} events from {lineage.train_start:%Y-%m-%d} to {lineage.train_end:%Y-%m-%d}, as known at "
        f"{lineage.as_of:%Y-%m-%d %H:%M} UTC.\n\n" + _table(("table", "version"), lineage.data_versions.items()),
        f"## What is predicted\n\n{project.label.name}: {project.label.description}",
        "## Metrics on the hold-out\n\n" + _metrics(lineage, metrics, baseline),
        "## What the model leans on\n\nMean absolute contribution to the raw score.\n\n"
        + (_table(("feature", "contribution"), ((n, f"{v:.4f}") for n, v in ranked)) if ranked else MISSING),
        "## How it was made\n\n"
        + _table(
            ("", ""),
            [
                ("code", lineage.code_commit),
                ("training code digest", lineage.code_digest[:16]),
                ("configuration digest", lineage.configuration_digest[:16]),
                ("seed", lineage.seed),
                ("proposed by", lineage.proposer),
                *((f"option {name}", value) for name, value in sorted(lineage.options.items())),
            ],
        ),
    ]
    return "\n\n".join(sections) + "\n"


def blanks(card: str) -> tuple[str, ...] | None:
    """Headings of the sections that hold nothing, or the mark of a blank; None: there is no card."""
    sections = ("\n" + card).split("\n## ")[1:]
    if not sections:
        return None
    parts = (s.partition("\n") for s in sections)
    return tuple(heading.strip() for heading, _, body in parts if not body.strip() or MISSING in body)


def _metrics(lineage: Lineage, metrics: Mapping[str, float], baseline: Mapping[str, float]) -> str:
    if not metrics:
        return "No hold-out was kept back for this version."
    window = f"{lineage.train_end:%Y-%m-%d} to {lineage.hold_out_end:%Y-%m-%d}, which it was not trained on.\n\n"
    rows = ((name, f"{value:.4f}", f"{baseline[name]:.4f}") for name, value in metrics.items())
    return window + _table(("metric", "model", "baseline"), rows)


def _table(head: tuple[str, ...], rows: object) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]  # type: ignore[attr-defined]
    return "\n".join(lines)
