"""Every pipeline and every gate once, from raw rows to the way back, in an environment that is thrown away.

Two releases, a week apart: the first meets the baseline, the second the champion, so that there is a way back. A
verdict is a result whatever it says; what cannot be done or measured, or what a gate lets through that it must not,
ends the rehearsal.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import EvaluationError, GatehouseError, Interrupted, Refused, StateError
from gatehouse.gates.approval import Decision
from gatehouse.gates.identity import Identity, Strength
from gatehouse.gates.promotion import CHAMPION
from gatehouse.gates.verdict import Outcome
from gatehouse.pipelines.approval import approval_verdict, decide
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.inference import infer
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.monitoring import monitor
from gatehouse.pipelines.promotion import promote, rehearse, rollback
from gatehouse.pipelines.release import Judged, judge
from gatehouse.pipelines.reporting import write_report
from gatehouse.pipelines.training import train
from gatehouse.reports.rehearsal import Step

if TYPE_CHECKING:
    from gatehouse.lakehouse.registry import Version

BETWEEN = timedelta(days=7)
"""How far the two releases lie apart."""
PROPOSER = "rehearsal-proposer@example.org"
_APPROVER = "rehearsal-approver-{}@example.org"
_DATA = ("ingest", "features")
_RELEASE = ("training", "compliance and challenge", "approval", "promotion")
_LAST = ("inference", "monitoring", "rollback, dry run")
STEPS = (*_DATA, *_RELEASE, *(f"{name}, a week later" for name in (*_DATA, *_RELEASE)), *_LAST)
"""What a rehearsal consists of, in order."""


@dataclass(slots=True)
class _Said:
    """What a step has to say for itself when it is done."""

    outcome: str = "done"
    note: str = ""


@dataclass(slots=True)
class Steps:
    """The steps so far, with how each went; also those before the one that failed."""

    done: list[Step] = field(default_factory=list)

    @contextmanager
    def step(self, name: str) -> Iterator[_Said]:
        """Around one of STEPS."""
        said, start = _Said(), time.perf_counter()
        try:
            yield said
        except (KeyboardInterrupt, Interrupted):
            said = _Said("interrupted")
            raise
        except GatehouseError as error:
            said = _Said("failed", error.what)
            raise
        except Exception as error:
            said = _Said("failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            self.done.append(Step(name=name, seconds=time.perf_counter() - start, outcome=said.outcome, note=said.note))

    def all(self) -> tuple[Step, ...]:
        """With those that were never reached."""
        reached = {step.name for step in self.done}
        missing = (Step(name=name, seconds=0.0, outcome="not run") for name in STEPS if name not in reached)
        return (*self.done, *missing)


def play(at: Callable[[datetime], Context], as_of: datetime, steps: Steps) -> None:
    """Go the whole road. `at` gives the environment at a moment; the first release is a week before `as_of`.

    Raises:
        EvaluationError: a gate could not measure, or let through what it has to refuse.
        GatehouseError: whatever else stopped a step.
    """
    with CleanProcess() as process:
        first = _release(at(as_of - BETWEEN), steps, process, "")
        second = _release(at(as_of), steps, process, ", a week later")
    context = at(as_of)
    with steps.step("inference") as said:
        said.note = f"{infer(context).rows:,} events"
    with steps.step("monitoring") as said:
        said.note = f"{monitor(context).predictions:,} predictions"
        _write_pages(context)
    with steps.step("rollback, dry run") as said:
        _look_back(context, said, promoted=first + second)


def _release(context: Context, steps: Steps, process: CleanProcess, when: str) -> int:
    """From raw rows to a champion; how many versions went through the gates on the way: 0 or 1."""
    with steps.step(f"ingest{when}") as said:
        said.note = f"{sum(i.inserted for i in ingest(context)):,} rows"
    with steps.step(f"features{when}") as said:
        said.note = f"{sum(r.rows for r in refresh(context)):,} rows"
    with steps.step(f"training{when}") as said:
        candidate = train(context, proposer=PROPOSER).version
        said.note = f"version {candidate.version}"
    with steps.step(f"compliance and challenge{when}") as said:
        judged = judge(context, candidate, process)
        _take_verdict(judged, said)
    with steps.step(f"approval{when}") as said:
        approved = not judged.live and _approve(context, judged, said)
    with steps.step(f"promotion{when}") as said:
        _promote(context, judged, said, approved=approved)
    return int(approved)


def _take_verdict(judged: Judged, said: _Said) -> None:
    verdict = judged.record.verdict
    if verdict is Outcome.ERROR:
        raise EvaluationError(
            f"Version {judged.record.promoted.version} could not be judged. {judged.verdict.sentence()}",
            why="A gate that cannot measure here cannot in production either.",
            remedy="Mend what it names, then rehearse again.",
        )
    said.outcome = verdict.value
    if verdict is not Outcome.PROMOTE:
        said.note = judged.verdict.deciding[0].reason


def _approve(context: Context, judged: Judged, said: _Said) -> bool:
    """Whether the version may be promoted now; before that, that nobody can who must not."""
    version = context.registry.get(context.model, judged.record.promoted.version)
    actors = _approvers(context)
    _has_to_refuse("promoted a version that nobody approved", lambda: promote(context, version, actor=_who(actors[0])))
    if not context.policy.approval.allow_own:
        _has_to_refuse("let somebody approve what they proposed", lambda: _decide(context, version, PROPOSER))
    if not judged.verdict.opens:
        _has_to_refuse("let a version be approved that they hold", lambda: _decide(context, version, actors[0]))
        said.outcome, said.note = "refused", "The gates do not open, so nobody can approve it."
        return False
    try:
        for name in actors:
            _decide(context, version, name)
    except Refused as refused:
        if not context.policy.approval.approvers:  # these names are ours, and nothing speaks against them
            raise
        said.outcome, said.note = "refused", refused.what
        return False
    standing = approval_verdict(context, judged.record)
    if not standing.opens:
        said.outcome, said.note = "refused", standing.deciding[0].reason
    return standing.opens


def _has_to_refuse(what: str, act: Callable[[], object]) -> None:
    try:
        act()
    except Refused:
        return
    raise EvaluationError(
        f"The gates {what}.",
        why="The same would happen in production.",
        remedy="Look at the last change of conf/promotion.yml and of gatehouse/gates.",
    )


def _decide(context: Context, version: Version, name: str) -> None:
    checks = [c for c in context.policy.approval.manual_checks if not c.by or name in c.by]
    answers = {c.id: "Looked at in a rehearsal." for c in checks}
    decide(context, version, Decision.APPROVE, actor=_who(name), reason="A rehearsal.", answers=answers)


def _approvers(context: Context) -> list[str]:
    """As many as the policy wants, by name where it names them, and whoever alone may answer a check."""
    rule = context.policy.approval
    names = rule.approvers or tuple(_APPROVER.format(number + 1) for number in range(rule.number))
    return list(dict.fromkeys([*names[: rule.number], *(c.by[0] for c in rule.manual_checks if c.by)]))


def _promote(context: Context, judged: Judged, said: _Said, *, approved: bool) -> None:
    version = context.registry.get(context.model, judged.record.promoted.version)
    champion = context.registry.by_alias(context.model, CHAMPION)
    if judged.live or (not approved and champion is not None):
        said.outcome, said.note = "not run", f"Version {champion.version if champion else '?'} stays the champion."
        return
    if approved:
        settled = promote(context, version, actor=_who(_approvers(context)[0]))
    else:
        settled = rehearse(context, version, actor=_who(PROPOSER))
        said.note = "Past the gates, in this schema alone, so that the rest can be rehearsed."
    if not settled.moved:
        raise EvaluationError(
            f"Version {version.version} was put back. {settled.undone}",
            why="What does not work here does not work in production.",
            remedy="Mend what it names, then rehearse again.",
        )


def _write_pages(context: Context) -> None:
    """Those of monitoring, into a folder that goes at once: in `report/` they would be taken for the environment's."""
    with tempfile.TemporaryDirectory() as folder:
        write_report(dataclasses.replace(context, root=Path(folder)))


def _look_back(context: Context, said: _Said, *, promoted: int) -> None:
    try:
        target, _, _ = rollback(context, actor=_who(PROPOSER), reason="A rehearsal.", dry_run=True)
    except StateError as nowhere:
        if promoted > 1 or type(nowhere) is not StateError:
            raise
        said.outcome, said.note = "refused", "Fewer than two versions went through the gates: there is no way back."
    else:
        said.note = f"It would be to version {target}."


def _who(name: str) -> Identity:
    return Identity(name=name, established_by="a rehearsal", strength=Strength.CLAIMED)
