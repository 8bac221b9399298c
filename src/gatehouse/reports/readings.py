"""What a monitoring page is made of: rows of the machinery's tables and facts of the registry, as plain values.

`pipelines/reporting.py` reads them; everything that looks at them is pure. All moments are UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gatehouse.lakehouse.lineage import Lineage


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One row of `monitoring_metrics`. An empty `unit` means the whole window, a `value` of None "not measurable"."""

    as_of: datetime
    window_start: datetime
    window_end: datetime
    metric: str
    subject: str
    version: str
    unit: str
    value: float | None
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """The last run of a pipeline on one target: its row of `pipeline_runs`."""

    pipeline: str
    target: str
    as_of: datetime
    rows: int
    updated: int
    quarantined: int
    version: int | None
    code: str
    finished_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One row of `expectation_results`."""

    table: str
    expectation: str
    as_of: datetime
    action: str
    rows_checked: int
    violations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """How many predictions of one unit a version made."""

    unit: str
    version: str
    rows: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """One registered version.

    Attributes:
        lineage: None if its tags do not tell, for a version that something else registered.
        hold_out: Its metrics on the hold-out when it was trained, and in `baseline` the baseline's on the same rows.
        importances: Mean absolute contribution of each feature to the raw score, where that was read.
        verdict: What the gates said of it; empty: they were not asked. `decision` is the address of the page that says
            why, None if there is none.
    """

    version: str
    aliases: tuple[str, ...]
    created_at: datetime
    lineage: Lineage | None
    card: str
    hold_out: Mapping[str, float]
    baseline: Mapping[str, float]
    importances: Mapping[str, float]
    verdict: str = ""
    decision: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Readings:
    """One environment as it stands at `as_of`.

    Attributes:
        sources_in: The environment whose source tables it reads, most often itself.
        written_at: The machine's clock.
        since: Start of the history that is shown, excluded.
        measurements: Of every monitoring run in the history.
        completed: The last run of each pipeline on each target.
        checked: Every evaluation of an expectation in the history, oldest first.
        scored: By unit of the history and version.
        versions: Newest first.
    """

    environment: str
    sources_in: str
    catalog: str
    schema: str
    as_of: datetime
    written_at: datetime
    since: datetime
    measurements: tuple[Measurement, ...] = ()
    completed: tuple[Completed, ...] = ()
    checked: tuple[Checked, ...] = ()
    scored: tuple[Scored, ...] = ()
    versions: tuple[Registered, ...] = ()

    @property
    def champion(self) -> Registered | None:
        """The version that holds the alias."""
        return next((v for v in self.versions if "champion" in v.aliases), None)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has ever run here; ingestions of the environment whose sources it reads do not count."""
        own = [c for c in self.completed if c.pipeline != "ingest" or self.sources_in == self.environment]
        return not (own or self.versions)
