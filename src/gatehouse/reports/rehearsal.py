"""What a rehearsal did, as Markdown for the summary of a CI run. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from gatehouse.reports.gfm import code, escaped, table


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of the road. `outcome` is `done`, a verdict, `refused`, `failed`, `interrupted` or `not run`."""

    name: str
    seconds: float
    outcome: str
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """All of it. `problem` is why it failed, None if it passed; `kept_until` when the schema of a failed one goes."""

    environment: str
    catalog: str
    schema: str
    as_of: datetime
    code: str
    steps: tuple[Step, ...]
    problem: str | None = None
    kept_until: datetime | None = None

    @property
    def passed(self) -> bool:
        """Whether every step was done. A verdict that holds a version is one."""
        return self.problem is None

    @property
    def seconds(self) -> float:
        """Of all steps."""
        return sum(step.seconds for step in self.steps)


def rehearsal_markdown(rehearsal: Rehearsal) -> str:
    """A heading that says how it went, the steps, and where to look if it failed."""
    return "\n".join(_lines(rehearsal)) + "\n"


def kept_sentence(rehearsal: Rehearsal) -> str:
    """Where a failed rehearsal can be looked at, and until when; plain text."""
    place = f"{rehearsal.catalog}.{rehearsal.schema}"
    if rehearsal.kept_until is None:
        return f"{place} was dropped."
    return (
        f"{place} is kept until {rehearsal.kept_until:%Y-%m-%d %H:%M} UTC. It can be read and not written: "
        f"gatehouse sweep --env {rehearsal.environment} drops it when its time is over."
    )


def read_example(rehearsal: Rehearsal) -> str:
    """Python that reads a table of a kept schema."""
    return (
        "from gatehouse.lakehouse.tables import TableName\n"
        "from gatehouse.notebook import open_environment\n"
        f'tables = open_environment("{rehearsal.environment}", as_of="{rehearsal.as_of:%Y-%m-%d}").tables\n'
        f'print(tables.names("{rehearsal.catalog}", "{rehearsal.schema}"))\n'
        f'tables.read(TableName("{rehearsal.catalog}", "{rehearsal.schema}", "pipeline_runs")).show()'
    )


def _lines(rehearsal: Rehearsal) -> Iterator[str]:
    outcome = "passed" if rehearsal.passed else "failed"
    yield f"## Rehearsal in {escaped(rehearsal.environment)} {outcome}"
    yield ""
    if rehearsal.problem is not None:
        yield f"**{escaped(rehearsal.problem)}**"
        yield ""
    yield (
        f"Schema {code(f'{rehearsal.catalog}.{rehearsal.schema}')}, as of {rehearsal.as_of:%Y-%m-%d}, "
        f"code {code(rehearsal.code[:12])}, {rehearsal.seconds:.0f} s."
    )
    yield ""
    rows = [(escaped(s.name), f"{s.seconds:.1f}", escaped(s.outcome), escaped(s.note)) for s in rehearsal.steps]
    yield from table(("step", "seconds", "outcome", ""), rows, right=(1,))
    if not rehearsal.passed:
        yield ""
        yield escaped(kept_sentence(rehearsal))
        if rehearsal.kept_until is not None:
            yield ""
            yield "```python"
            yield read_example(rehearsal)
            yield "```"
