"""From candidates to decision records, on real rows: who wins, who is turned away, what is never taken for a yes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.errors import (
    AccessDenied,
    AliasMoved,
    Busy,
    ConfigurationError,
    DataError,
    Refused,
    RegistryUnavailable,
    StateError,
)
from gatehouse.gates.approval import Decision
from gatehouse.gates.promotion import CHALLENGER, CHAMPION, PREVIOUS
from gatehouse.gates.replay import replay
from gatehouse.gates.verdict import Outcome
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.pipelines.challenge import challenge
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.dataset import pin
from gatehouse.pipelines.features import refresh
from gatehouse.pipelines.hold_out import doubt_of, hold_out, training_of
from gatehouse.pipelines.ingest import ingest
from gatehouse.pipelines.judges import judges
from gatehouse.pipelines.release import Judged, judge
from gatehouse.pipelines.training import train
from gatehouse.project import Column
from gatehouse.settings import parse_as_of

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse, Raw
    from tests.integration.pipelines.release.conftest import Road

    from gatehouse.gates.record import DecisionRecord
    from gatehouse.pipelines.context import Context

pytestmark = pytest.mark.slow


def differences(record: DecisionRecord) -> dict[tuple[str, str], float]:
    assert record.challenge is not None
    return {(c["metric"], c["slice"]): c["difference"] for c in record.challenge["comparisons"]}


def found(record: DecisionRecord, outcome: Outcome) -> set[str]:
    return {f"{f.gate}/{f.rule}" for f in record.judged.findings if f.outcome is outcome and not f.informative}


# Who wins


def test_a_first_deployment_has_to_beat_the_baseline_and_says_by_how_much(road: Road) -> None:
    record = road.record("1")

    assert (record.verdict, record.opponent and record.opponent.kind, record.data_age_days) == (
        Outcome.PROMOTE,
        "baseline",
        56.0,
    )
    assert record.challenge is not None
    assert record.challenge["mode"] == "superiority"
    assert differences(record)["rmse", "all"] > 4
    assert {f.gate for f in record.findings} == {"compliance", "challenge"}
    assert (record.candidate.proposer, record.candidate.authors) == ("ada@example.org", ("ada@example.org",))
    assert replay(record, judges(), digest=record.digest()).same


def test_what_was_found_stands_on_the_version_in_the_tables_and_in_the_audit_log(road: Road) -> None:
    record, version = road.record("2"), road.version("2")

    assert {k: v for k, v in version.tags.items() if k in ("gatehouse_record", "gatehouse_verdict")} == {
        "gatehouse_record": record.digest(),
        "gatehouse_verdict": "PROMOTE",
    }
    card, _, decision = version.description.partition("\n\n## Decision\n\n")
    assert card.startswith("# ")
    assert decision.startswith(f"PROMOTE: every gate opened.\n\nDecision record {record.digest()}")
    assert road.lakehouse.rows("gate_decisions", "prod", "version", "record", "verdict", "opponent") == [
        ("1", road.record("1").digest(), "PROMOTE", "baseline"),
        ("2", record.digest(), "PROMOTE", "champion 1"),
    ]
    rows = road.lakehouse.frame("gate_metrics").where("version = '2'").toPandas()
    rules = {(f.gate, f.rule) for f in record.findings}
    assert {(r.gate, r.rule) for r in rows.itertuples() if r.rule != "comparison"} == rules
    compared = {(r.metric, r.slice): r.difference for r in rows.itertuples() if r.rule == "comparison"}
    assert compared == differences(record)
    entry = next(e for e in road.context().audit.entries() if e.version == "2" and e.action == "judged")
    assert entry.details == {"record": record.digest(), "verdict": "PROMOTE", "judged": "2"}
    assert entry.actor == "ada@example.org"


@pytest.mark.broken_gate(2)
def test_a_worse_version_is_held_and_gets_no_alias_whoever_asks(road: Road) -> None:
    judged = road.judge("3")

    assert judged.verdict.outcome is Outcome.HOLD
    assert "challenge/primary metric rmse" in found(judged.record, Outcome.HOLD)
    with pytest.raises(Refused, match="The gates did not open for version 3"):
        road.decide("3", "anna@example.org")
    with pytest.raises(Refused, match="may not be promoted"):
        road.promote("3")
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: None, CHALLENGER: "2"}
    assert road.said()[-1] == ("judged", "3")


@pytest.mark.broken_gate(1)
def test_a_better_version_wins_and_the_two_swapped_give_the_mirrored_verdict(road: Road) -> None:
    context = road.context()
    context.registry.set_alias(context.model, CHAMPION, "3")
    wins = road.judge("2").record
    context.registry.set_alias(context.model, CHAMPION, "2")
    loses = road.judge("3").record

    assert (wins.verdict, loses.verdict) == (Outcome.PROMOTE, Outcome.HOLD)
    assert (wins.opponent and wins.opponent.version, loses.opponent and loses.opponent.version) == ("3", "2")
    forth, back = differences(wins), differences(loses)
    assert forth["rmse", "all"] > 1
    assert back == pytest.approx({where: -difference for where, difference in forth.items()})


# What is never a yes


def silent(*_: Any, **__: Any) -> None:
    raise RegistryUnavailable("MLflow gave no usable answer while asking who holds champion: 503")


def denied(*_: Any, **__: Any) -> None:
    raise AccessDenied("Not permitted while asking who holds champion")


@pytest.mark.broken_gate(5)
@pytest.mark.parametrize(("answer", "error"), [(silent, RegistryUnavailable), (denied, AccessDenied)])
def test_a_registry_that_cannot_say_who_is_champion_makes_no_first_deployment(
    road: Road, monkeypatch: pytest.MonkeyPatch, answer: Callable[..., None], error: type[Exception]
) -> None:
    record = road.record("2")
    decisions = road.lakehouse.rows("gate_decisions")
    context = road.context("2013-12-02")
    monkeypatch.setattr(type(context.registry), "by_alias", answer)

    for command in (lambda: road.judge("2", as_of="2013-12-02"), lambda: road.promote("2")):
        with pytest.raises(error):
            command()

    monkeypatch.undo()
    assert road.record("2") == record
    assert road.lakehouse.rows("gate_decisions") == decisions
    assert road.aliases() == {CHAMPION: "1", PREVIOUS: None, CHALLENGER: "2"}


@pytest.mark.broken_gate(5)
def test_a_champion_whose_files_are_gone_is_not_no_champion(road: Road) -> None:
    files = road.files("1")
    files.rename(files.with_name("elsewhere"))

    with pytest.raises(Exception, match=r"The files of version 1 of prod\.temperature\.temperature are gone"):
        challenge(road.context(), road.version("2"), road.version("1"), road.context().policy)


@pytest.mark.broken_gate(5)
def test_a_metric_that_is_missing_is_an_error(road: Road) -> None:
    context = road.context()
    unmeasured = replace(context.project, guardrail_metrics=())

    record = road.under(project=unmeasured).judge("2").record

    assert record.verdict is Outcome.ERROR
    assert found(record, Outcome.ERROR) == {"challenge/guardrails"}


def test_a_champion_whose_features_no_longer_exist_is_said_so(road: Road) -> None:
    project = road.context().project
    fewer = replace(project, features=tuple(f for f in project.features if f != "dew_point"))

    with pytest.raises(DataError, match=r"Version 1 .* needs dew_point, which is no longer declared"):
        challenge(road.under(project=fewer).context(), road.version("2"), road.version("1"), road.context().policy)


# Which rows


@pytest.mark.broken_gate(13)
@pytest.mark.broken_gate(20)
def test_a_champion_that_was_trained_on_the_hold_out_refuses_the_comparison(road: Road) -> None:
    context = road.context()
    everything = train(context, proposer="ada@example.org", hold_out_days=0).version
    context.registry.set_alias(context.model, CHAMPION, everything.version)

    record = road.judge("2").record

    assert record.verdict is Outcome.ERROR
    reasons = {f.rule: f.reason for f in record.findings if f.outcome is Outcome.ERROR}
    assert reasons["hold-out after the training of champion"].startswith(
        "Champion version 4 was trained on events until 2013-12-01 00:00 UTC, and the hold-out runs from"
    )
    assert reasons["rows"] == "No row can be evaluated: 3 without a label."
    assert road.aliases()[CHALLENGER] is None


@pytest.mark.broken_gate(13)
@pytest.mark.broken_gate(20)
def test_an_event_that_moved_into_the_hold_out_after_training_is_found_by_its_key(weather: Lakehouse, raw: Raw) -> None:
    source = weather.world.project.sources[0]
    number = Column(name="number", type="string", description="Of the reading.", nullable=False)
    raw.table = replace(source.table, columns=(number, *source.table.columns), primary_key=("number",))
    stations = weather.declaring(sources=(replace(source, table=raw.table),))
    for day in range(1, 21):
        raw.put(day, 15.0, number=f"reading {day}", next_temperature=15.0)
    before = stations.at("2013-05-22")
    ingest(before)
    refresh(before)
    trained = lineage(before, train_end="2013-05-11")
    rows = hold_out(before, [trained])
    assert (rows.frame.count(), training_of(before, trained, rows).hold_out_keys) == (10, 0)

    moved = next(r for r in raw.rows if r["number"] == "reading 3")
    moved["measured_at"] = datetime(2013, 5, 22, tzinfo=UTC)
    after = stations.at("2013-05-23")
    ingest(after)
    refresh(after)

    rows = hold_out(after, [trained])
    assert (rows.frame.count(), training_of(after, trained, rows).hold_out_keys) == (11, 1)


def lineage(context: Context, *, train_end: str) -> Lineage:
    """Of a version that was trained on all events until then, in the tables as they are."""
    return Lineage(
        project="temperature",
        environment="prod",
        proposer="ada@example.org",
        as_of=context.as_of,
        train_start=datetime(2013, 1, 1, tzinfo=UTC),
        train_end=parse_as_of(train_end),
        hold_out_end=context.as_of,
        code_commit="c",
        code_digest="d",
        configuration_digest="e",
        data_versions=pin(context).as_text(),
        options={},
        seed=1,
        training_key="f",
    )


def test_the_hold_out_starts_when_the_last_training_ended_and_ends_with_what_is_known(road: Road) -> None:
    record = road.record("2")

    assert record.challenge is not None
    told = record.challenge["hold_out"]
    assert (told["start"], told["end"], told["units"], told["rows"]) == (
        "2013-10-06T00:00:00Z",
        "2013-12-01T00:00:00Z",
        8,
        165,
    )
    assert [record.challenge[who]["training"]["hold_out_keys"] for who in ("candidate", "opponent")] == [0, 0]
    assert record.challenge["hold_out"]["judged_before"] == 0


def test_a_hold_out_that_judged_as_often_as_the_policy_allows_is_used_up(road: Road) -> None:
    once = road.policy(hold_out={"reuse_budget": 1})

    judged = once.judge("3")

    assert "challenge/hold-out reuse" in found(judged.record, Outcome.HOLD)


def test_every_look_at_a_version_counts_and_the_same_look_once_more_does_not(road: Road) -> None:
    def looks(judged: Judged) -> tuple[int, bool]:
        assert judged.record.challenge is not None
        return judged.record.challenge["hold_out"]["looks_before"], judged.reused

    later = ("2013-12-08", "2013-12-15")
    assert [looks(road.judge("2", as_of=as_of)) for as_of in later] == [(1, False), (2, False)]
    assert looks(road.policy(approval={"valid_hours": 48}).judge("2", as_of=later[-1])) == (2, False)
    assert looks(road.judge("3")) == (0, False)

    again = road.record("2")
    assert replay(again, judges()).same
    assert "challenge/hold-out reuse" in found(again, Outcome.PROMOTE)
    used_up = road.policy(hold_out={"reuse_budget": 2}).judge("2", as_of=later[-1])
    assert "challenge/hold-out reuse" in found(used_up.record, Outcome.HOLD)


def test_a_hold_out_of_one_day_decides_nothing(road: Road) -> None:
    context = road.context()
    recent = train(context, proposer="ada@example.org", hold_out_days=2).version
    context.registry.set_alias(context.model, CHAMPION, recent.version)

    record = road.judge("2").record

    assert record.verdict is Outcome.ERROR
    reasons = {f.rule: f.reason for f in record.findings if f.outcome is Outcome.ERROR}
    assert reasons["hold-out size"] == (
        "The hold-out has 1 week (3 rows), and the spread from one week to the next cannot be measured."
    )


# Bound, and once


@pytest.mark.broken_gate(6)
def test_the_verdict_is_bound_to_the_version_under_test_and_the_digest_of_its_files(road: Road) -> None:
    context = road.context()
    record = road.record("2")

    assert (record.candidate.version, record.candidate.files_digest) == (
        "2",
        context.registry.digest(context.model, "2"),
    )
    assert record.opponent is not None
    assert record.opponent.files_digest == context.registry.digest(context.model, "1")
    assert record.challenge is not None
    scored = {who: record.challenge[who] for who in ("candidate", "opponent")}
    assert {who: (c["version"], c["files_digest"]) for who, c in scored.items()} == {
        "candidate": ("2", record.candidate.files_digest),
        "opponent": ("1", record.opponent.files_digest),
    }


@pytest.mark.broken_gate(6)
def test_what_is_scored_is_the_version_under_test_and_not_who_holds_the_alias(road: Road) -> None:
    context = road.context()
    met = {v: challenge(context, road.version(v), road.version("1"), context.policy).evidence for v in ("2", "3")}

    own = {v: e.found("rmse", "all")[0] for v, e in met.items()}
    assert own["3"].candidate > own["2"].candidate + 1  # type: ignore[union-attr]
    assert own["3"].champion == own["2"].champion  # type: ignore[union-attr]


@pytest.mark.broken_gate(7)
def test_the_same_again_finds_the_same_candidate_and_record_and_writes_nothing(road: Road) -> None:
    before = (road.lakehouse.rows("gate_decisions"), road.lakehouse.rows("gate_metrics"), road.said())
    readme = road.under(code=replace(road.context().code, commit="b" * 40, author="carol@example.org"))

    for again in (road, readme):
        trained = train(again.context(), proposer="schedule")
        judged = again.judge(trained.version.version)
        assert (trained.version.version, trained.reused, judged.reused) == ("2", True, True)
        assert judged.record == road.record("2")

    assert (road.lakehouse.rows("gate_decisions"), road.lakehouse.rows("gate_metrics"), road.said()) == before


@pytest.mark.broken_gate(7)
def test_the_champion_is_not_judged_again_and_asks_for_nothing(road: Road) -> None:
    before = road.said()

    judged = road.judge("1")

    assert (judged.live, judged.reused, judged.record) == (True, True, road.record("1"))
    assert road.said() == before


def test_a_champion_that_was_never_judged_is_not_compared_with_itself(road: Road) -> None:
    context = road.context()
    context.registry.set_alias(context.model, CHAMPION, "3")

    with pytest.raises(StateError, match="Version 3 is the champion already"):
        road.judge("3")


class Asked(Exception):
    """Somebody wants to know how the version behaves, so it is being judged."""


class Asks(CleanProcess):
    def __init__(self) -> None:
        """Nothing is started."""

    def ask(self, request: dict[str, Any], *, limit: float) -> tuple[dict[str, Any] | None, str | None]:
        raise Asked

    def close(self) -> None:
        """Nothing is there."""


@pytest.mark.parametrize("changed", ["policy", "project", "champion", "as_of", "files", "champion's files", "time"])
def test_what_would_be_judged_otherwise_today_is_judged_again(road: Road, changed: str) -> None:
    before, as_of = road.record("2"), "2013-12-01"
    if changed == "policy":
        road = road.policy(primary={"margin": 0.6})
    elif changed == "project":
        road = road.under(project=replace(road.context().project, forbidden=("airport",)))
    elif changed == "champion":
        context = road.context()
        context.registry.set_alias(context.model, CHAMPION, "3")
    elif changed == "as_of":
        as_of = "2013-12-02"
    elif changed == "time":
        road = road.later(before.expires_at)
    else:
        (road.files("1" if changed == "champion's files" else "2") / "note.txt").write_text("changed")

    with pytest.raises(Asked):
        judge(road.context(as_of), road.version("2"), Asks())


def test_of_two_releases_at_once_the_second_is_told_to_wait(road: Road) -> None:
    with road.context().alone("release"), pytest.raises(Busy, match="release pipeline is already running in prod"):
        road.judge("3")


def test_a_release_that_was_killed_before_its_record_was_entered_judges_again(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatehouse.pipelines.release.enter", killed)
    with pytest.raises(Killed):
        road.judge("3")
    monkeypatch.undo()
    with pytest.raises(StateError, match="unknown to the audit log"):
        road.record("3")

    judged = road.judge("3")

    assert (judged.reused, road.said()[-1]) == (False, ("judged", "3"))
    assert road.record("3") == judged.record


class Killed(BaseException):
    """Stands for kill -9."""


def killed(*_: Any) -> None:
    raise Killed


@pytest.mark.broken_gate(24)
def test_a_candidate_that_was_judged_against_a_champion_that_is_gone_is_not_promoted(road: Road) -> None:
    road.decide("2", "anna@example.org")
    road.judge("3")
    for who in ("anna@example.org", "bert@example.org"):
        road.decide("3", who, decision=Decision.BREAK_GLASS)
    assert road.promote("3", break_glass=True).moved

    with pytest.raises(AliasMoved, match=r"is version 3, promoted by anna.*; version 2 was judged against version 1"):
        road.promote("2")
    assert road.aliases()[CHAMPION] == "3"


@pytest.mark.broken_gate(24)
def test_the_number_of_a_version_is_the_one_that_registration_gave(road: Road) -> None:
    context = road.context()
    trained = train(replace(context, code=replace(context.code, training_digest="other")), proposer="schedule")
    newest = context.registry.versions(context.model)[0]

    assert (trained.version.version, trained.version.run_id) == (newest.version, newest.run_id) == ("4", newest.run_id)


# Refit


def test_a_refit_is_trained_on_everything_judged_bound_and_is_what_becomes_champion(road: Road) -> None:
    refitting = road.policy(refit="full", refit_score_shift=1.0)

    judged = refitting.judge("2")
    record, refit = judged.record, judged.record.refit

    assert refit is not None
    assert judged.verdict.outcome is Outcome.PROMOTE, judged.verdict.sentence()
    assert (record.candidate.version, record.promoted.version, record.data_age_days) == ("2", "4", 0.0)
    assert refit.files_digest == refitting.context().registry.digest(refitting.context().model, "4")
    assert 0 < refit.score_shift < 1
    assert {f.rule for f in refit.findings} > {"loads", "score_shift"}
    assert refitting.record("4") == refitting.record("2") == record
    assert doubt_of(road.context(), road.version("4")) is None
    assert road.aliases()[CHALLENGER] == "4"

    refitting.decide("2", "anna@example.org")
    assert refitting.promote("2").champion == "4"

    again = refitting.judge("2")
    assert (again.live, again.record) == (True, record)
    assert road.aliases() == {CHAMPION: "4", PREVIOUS: "1", CHALLENGER: None}


def test_a_policy_that_can_never_say_both_is_refused_before_anybody_is_held_by_it(road: Road) -> None:
    with pytest.raises(ConfigurationError, match="the policy demands 40"):
        road.policy(hold_out={"minimum_units": 40}).judge("3")
    assert ("judged", "3") not in road.said()


def test_a_margin_that_a_rule_of_thumb_would_pass_is_refused_by_what_the_champion_gained_over_it(road: Road) -> None:
    met = road.record("1").challenge
    assert met is not None
    gained = next(c["difference"] for c in met["comparisons"] if (c["metric"], c["slice"]) == ("rmse", "all"))

    with pytest.raises(ConfigurationError) as refused:
        road.policy(primary={"margin": gained + 0.5, "suspicious_gain": gained + 1}).judge("2")

    assert f"the champion gained {gained:g} over the baseline: a rule of thumb would pass" in refused.value.what
    assert f"half of {gained:g} at most" in refused.value.remedy


def test_a_clock_that_runs_on_does_not_change_a_verdict(road: Road) -> None:
    record = road.record("2")

    assert road.later(record.created_at + timedelta(hours=71)).judge("2").reused
