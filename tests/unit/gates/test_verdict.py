from __future__ import annotations

import itertools

import pytest

from gatehouse.gates.verdict import Finding, Outcome, Verdict, joined


def found(outcome: Outcome, *, informative: bool = False) -> Finding:
    return Finding(gate="challenge", rule="any", outcome=outcome, reason=f"{outcome}.", informative=informative)


@pytest.mark.broken_gate(14)
def test_a_verdict_without_findings_is_an_error() -> None:
    assert Verdict(()).outcome is Outcome.ERROR
    assert not Verdict(()).opens
    assert Verdict(()).sentence() == "ERROR: nothing was checked."


@pytest.mark.broken_gate(14)
def test_findings_that_only_inform_open_nothing() -> None:
    assert Verdict((found(Outcome.PROMOTE, informative=True),)).outcome is Outcome.ERROR


@pytest.mark.parametrize("outcomes", list(itertools.product(Outcome, repeat=3)))
def test_only_promote_everywhere_opens_and_the_most_severe_finding_decides(outcomes: tuple[Outcome, ...]) -> None:
    severity = [Outcome.PROMOTE, Outcome.INSUFFICIENT_EVIDENCE, Outcome.HOLD, Outcome.ERROR]
    verdict = Verdict(tuple(found(o) for o in outcomes))
    assert verdict.outcome is max(outcomes, key=severity.index)
    assert verdict.opens == (set(outcomes) == {Outcome.PROMOTE})
    assert {f.outcome for f in verdict.deciding} == {verdict.outcome}


def test_informative_findings_never_decide() -> None:
    verdict = Verdict((found(Outcome.PROMOTE), found(Outcome.ERROR, informative=True)))
    assert verdict.opens
    assert verdict.sentence() == "PROMOTE: PROMOTE."


def test_in_brief_a_verdict_tells_the_first_reason_and_names_the_other_rules() -> None:
    held = [Finding(gate="challenge", rule=r, outcome=Outcome.HOLD, reason=f"{r} is worse.") for r in ("loss", "auc")]
    opened = Finding(gate="challenge", rule="brier", outcome=Outcome.PROMOTE, reason="brier is better.")

    assert Verdict((*held, opened)).brief() == "HOLD: loss is worse. The same outcome: auc."
    assert Verdict((held[0], opened)).brief() == "HOLD: loss is worse."
    assert Verdict(()).brief() == "ERROR: nothing was checked."


@pytest.mark.broken_gate(14)
def test_a_gate_that_checked_nothing_closes_the_others() -> None:
    good = Verdict((found(Outcome.PROMOTE),))
    assert joined([good, good]).opens
    assert joined([good, Verdict(())]).outcome is Outcome.ERROR
    assert joined([good, Verdict((found(Outcome.PROMOTE, informative=True),))]).outcome is Outcome.ERROR
    assert joined([]).outcome is Outcome.ERROR


def test_a_finding_is_a_record() -> None:
    finding = Finding(gate="challenge", rule="r", outcome=Outcome.HOLD, reason="Why.", next_step="What.")
    assert Finding.from_record(finding.to_record()) == finding
    with pytest.raises(ValueError, match="maybe"):
        Finding.from_record({**finding.to_record(), "outcome": "maybe"})
    with pytest.raises(KeyError):
        Finding.from_record({"gate": "challenge"})
