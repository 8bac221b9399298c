"""Whoever changes what a decision rests on gets nothing promoted by it, wherever they change it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from gatehouse.errors import GatehouseError
from gatehouse.gates.promotion import CHAMPION
from gatehouse.gates.record import DecisionRecord
from gatehouse.gates.verdict import Outcome
from gatehouse.lakehouse import canonical
from gatehouse.pipelines.approval import decisions

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Lakehouse
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow

Copied = Callable[["Lakehouse", Path], "Road"]
ANNA = "anna@example.org"


@pytest.fixture(scope="module")
def approved(released: Lakehouse, copied: Copied, tmp_path_factory: pytest.TempPathFactory) -> Lakehouse:
    """Anna has approved version 2: nothing but the promotion is missing."""
    road = copied(released, tmp_path_factory.mktemp("approved") / "lakehouse")
    road.decide("2", ANNA)
    return road.lakehouse


@pytest.fixture
def road(approved: Lakehouse, copied: Copied, tmp_path: Path) -> Road:
    return copied(approved, tmp_path / "lakehouse")


def artefact(road: Road) -> Path:
    """Version 2's decision record, where it is kept."""
    name = f"{road.version('2').tags['gatehouse_record']}.json"
    return next(p for p in road.lakehouse.world.place.root.rglob(name))


def model_file(road: Road) -> Road:
    """Other weights under the same number."""
    model = next(road.files("2").glob("model.*"))
    model.write_bytes(model.read_bytes() + b"\0")
    return road


def added_file(road: Road) -> Road:
    (road.files("2") / "sitecustomize.py").write_text("print('hello')")
    return road


def half_a_record(road: Road) -> Road:
    path = artefact(road)
    path.write_text(path.read_text()[: path.stat().st_size // 2])
    return road


def verdict_in_the_record(road: Road) -> Road:
    path = artefact(road)
    path.write_text(path.read_text().replace('"reuse_budget":5', '"reuse_budget":6'))
    return road


def forged(road: Road, change: Callable[[dict[str, Any]], None]) -> Road:
    """A record that fits itself, its name and the tag: somebody who can write run and tags, and knows the form."""
    path = artefact(road)
    content = json.loads(path.read_text())
    change(content)
    digest = canonical.digest(content)
    DecisionRecord.from_json(canonical.dumps(content))
    (path.parent / f"{digest}.json").write_text(canonical.dumps(content))
    context = road.context()
    context.registry.set_tags(context.model, "2", {"gatehouse_record": digest})
    return road


def statistics_in_the_record(road: Road) -> Road:
    """A little better than it was measured."""

    def better(content: dict[str, Any]) -> None:
        for comparison in content["challenge"]["comparisons"]:
            comparison["influence"] = [i * 0.5 for i in comparison["influence"]]

    return forged(road, better)


def proposer_in_the_record(road: Road) -> Road:
    return forged(road, lambda content: content["candidate"].update(proposer="somebody@example.org", authors=[]))


def record_of_another_version(road: Road) -> Road:
    context = road.context()
    digest = road.version("1").tags["gatehouse_record"]
    context.registry.set_tags(context.model, "2", {"gatehouse_record": digest})
    return road


def policy(road: Road) -> Road:
    return road.policy(primary={"margin": 5.0})


def time_limit(road: Road) -> Road:
    """The policy in force gives more time, and the record less."""
    return road.policy(approval={"valid_hours": 2000})


def clock_ahead(road: Road) -> Road:
    return road.later(road.record("2").expires_at + timedelta(minutes=1))


def clock_behind(road: Road) -> Road:
    return road.later(road.record("2").created_at - timedelta(hours=1))


def audit(road: Road, change: Callable[[DeltaTable], object]) -> Road:
    """Around the table port, as somebody with the folder can: the property that forbids it goes first."""
    root = road.lakehouse.world.place.root
    table = DeltaTable(root / "tables" / "prod" / "temperature" / "audit_log")
    table.alter.set_table_properties({"delta.appendOnly": "false"}, raise_if_not_exists=False)
    change(table)
    return road


def audit_row(road: Road) -> Road:
    return audit(road, lambda t: t.update(predicate="seq = 2", updates={"actor": "'mallory@example.org'"}))


def audit_row_gone(road: Road) -> Road:
    return audit(road, lambda t: t.delete("seq = 2"))


def audit_end_gone(road: Road) -> Road:
    return audit(road, lambda t: t.delete("action = 'decision_approve' AND version = '2'"))


def approval_written_by_hand(road: Road) -> Road:
    """A row for version 2 beside the chain, made of the approval of version 1."""

    def insert(table: DeltaTable) -> None:
        rows = table.to_pyarrow_table().to_pylist()
        row = {**rows[-1], "seq": max(r["seq"] for r in rows) + 1, "actor": "mallory@example.org"}
        import pyarrow as pa
        from deltalake import write_deltalake

        write_deltalake(table, pa.Table.from_pylist([row], schema=pa.schema(table.schema().to_arrow())), mode="append")

    return audit(road, insert)


TAMPERINGS: dict[Callable[[Road], Road], str] = {
    model_file: "they were changed since",
    added_file: "they were changed since",
    half_a_record: "cannot be read as JSON",
    verdict_in_the_record: "not the one of its tag",
    statistics_in_the_record: "unknown to the audit log",
    proposer_in_the_record: "unknown to the audit log",
    record_of_another_version: "missing",
    policy: "The policy has changed since it was judged",
    time_limit: "The policy has changed since it was judged",
    clock_ahead: "The decision expired",
    clock_behind: "The clock says",
    audit_row: "Entry 2 was changed",
    audit_row_gone: "Entry 2 was removed",
    audit_end_gone: "0 of 1 approvals needed",
    approval_written_by_hand: "does not verify",
}


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda t: t.__name__)
def test_tampering_is_refused(road: Road, tamper: Callable[[Road], Road]) -> None:
    tampered = tamper(road)

    with pytest.raises(GatehouseError) as refused:
        tampered.promote("2")
    assert TAMPERINGS[tamper] in refused.value.what
    assert refused.value.remedy != ""
    assert road.aliases()[CHAMPION] == "1"


def test_without_tampering_the_same_promotion_goes_through(road: Road) -> None:
    assert road.promote("2").moved


def lineage_artefact(road: Road, number: str) -> Path:
    """What the training of a version wrote."""
    place = road.lakehouse.world.place.root / "artifacts"
    return next(p for p in place.rglob("lineage.json") if str(road.version(number).run_id) in p.parts)


def training_end_in_the_tags(road: Road, number: str) -> str:
    """Earlier than it was: so the hold-out would begin among the rows that were trained on."""
    context = road.context()
    context.registry.set_tags(context.model, number, {"gatehouse_train_end": "2013-06-01T00:00:00+00:00"})
    return "gatehouse_train_end = 2013-06-01T00:00:00+00:00, and its training wrote 2013-"


def two_tags(road: Road, number: str) -> str:
    context = road.context()
    moved = {"gatehouse_train_end": "2013-06-01T00:00:00+00:00", "gatehouse_proposer": "somebody@example.org"}
    context.registry.set_tags(context.model, number, moved)
    return "(2 tags differ)"


def proposer_in_the_tags(road: Road, number: str) -> str:
    context = road.context()
    context.registry.set_tags(context.model, number, {"gatehouse_proposer": "somebody@example.org"})
    return "gatehouse_proposer = somebody@example.org, and its training wrote ada@example.org"


def run_without_lineage(road: Road, number: str) -> str:
    lineage_artefact(road, number).unlink()
    return "is gone, or holds no lineage.json"


def half_a_lineage(road: Road, number: str) -> str:
    path = lineage_artefact(road, number)
    path.write_text(path.read_text()[:40])
    return "cannot be read"


def lineage_that_says_little(road: Road, number: str) -> str:
    lineage_artefact(road, number).write_text("{}")
    return "an unknown tag"


@pytest.mark.parametrize("number", ["1", "2"], ids=["of the champion", "of the candidate"])
@pytest.mark.parametrize(
    "tamper",
    [
        training_end_in_the_tags,
        two_tags,
        proposer_in_the_tags,
        run_without_lineage,
        half_a_lineage,
        lineage_that_says_little,
    ],
    ids=lambda t: t.__name__,
)
def test_a_lineage_that_is_not_what_training_wrote_is_judged_by_nobody(
    road: Road, tamper: Callable[[Road, str], str], number: str
) -> None:
    said = tamper(road, number)

    record = road.policy(primary={"margin": 0.6}).judge("2").record

    who = {"1": "champion", "2": "candidate"}[number]
    told = next(f for f in record.findings if f.rule == f"hold-out after the training of {who}")
    assert (record.verdict, told.outcome) == (Outcome.ERROR, Outcome.ERROR)
    assert said in told.reason
    assert "train a new version" in told.next_step


@pytest.mark.parametrize("tamper", [half_a_record, verdict_in_the_record, statistics_in_the_record])
def test_a_version_whose_record_was_changed_is_judged_again_and_needs_new_approval(
    road: Road, tamper: Callable[[Road], Road]
) -> None:
    before = road.record("2")

    judged = tamper(road).judge("2")

    assert not judged.reused
    assert judged.record.judged == before.judged
    assert [d.record_digest for d in decisions(road.context())][-1] != judged.digest
    with pytest.raises(GatehouseError, match="0 of 1 approvals needed"):
        road.promote("2")
