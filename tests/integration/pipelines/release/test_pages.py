"""The pages beside a record: there once it is judged, anew whenever somebody acts, and never in anybody's way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.pipelines.decisions import folder
from gatehouse.pipelines.pages import publish, read_card
from gatehouse.pipelines.reporting import write_report
from gatehouse.progress import Silent

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow

ANNA = "anna@example.org"


def page(road: Road, name: str) -> str:
    return (folder(road.context()) / name).read_text(encoding="utf-8")


def test_a_judged_version_has_its_pages_beside_its_record(road: Road) -> None:
    names = sorted(p.name for p in folder(road.context()).iterdir())

    assert names == [
        f"version-{version}{end}" for version in ("1", "2") for end in ("-card.html", ".html", ".json", ".md")
    ]
    assert page(road, "version-2.md").startswith("### ✅ PROMOTE: version 2 of prod.temperature.temperature\n")
    assert road.record("2").digest() in page(road, "version-2.md")
    assert 'href="version-2.json"' in page(road, "version-2.html")
    assert "gatehouse approve 2 --env prod --reason ..." in page(road, "version-2.html")


def test_the_pages_follow_what_is_decided_and_moved(road: Road) -> None:
    assert "**Champion** since" in page(road, "version-1.md")

    road.decide("2", ANNA)
    assert "**Approval:** given" in page(road, "version-2.md")

    road.promote("2")
    assert "**Champion** since" in page(road, "version-2.md")
    assert "**Champion** since" not in page(road, "version-1.md")
    assert "made version 2 champion in its place (promotion)" in page(road, "version-1.html")

    road.rollback()
    assert "**Champion** since" in page(road, "version-1.md")
    assert "**Champion** since" not in page(road, "version-2.md")


def test_a_page_that_cannot_be_written_keeps_nobody_from_promoting(road: Road) -> None:
    road.decide("2", ANNA)
    blocked = folder(road.context()) / "version-2.md"
    blocked.unlink()
    blocked.mkdir()
    silent = Silent()

    settled = road.under(progress=silent).promote("2")

    assert settled.champion == "2"
    assert [note for note in silent.notes if note.startswith("The pages of version 2 are not up to date: The report")]


def test_a_version_that_was_not_judged_has_no_page(road: Road) -> None:
    publish(road.context(), ["3", None], lambda *_: pytest.fail("nobody can have approved it"))

    assert not list(folder(road.context()).glob("version-3*"))


def test_the_overview_leads_to_the_decisions(road: Road) -> None:
    overview = write_report(road.context())

    html = overview.read_text(encoding="utf-8")
    assert [line for line in html.splitlines() if "decisions/" in line] == [
        '<dd><a href="decisions/prod.temperature/version-2.html">version 2</a> '
        '<span class="state fine">✓ PROMOTE</span><br>'
        '<a href="decisions/prod.temperature/version-1.html">version 1</a> '
        '<span class="state fine">✓ PROMOTE</span></dd>'
    ]
    assert all((overview.parent / f"decisions/prod.temperature/version-{v}.html").is_file() for v in ("1", "2"))


def test_a_card_that_was_changed_in_the_registry_is_a_finding(road: Road) -> None:
    context = road.context()
    assert read_card(context, road.version("1")).findings == ()

    context.registry.set_description(context.model, "1", road.version("1").description.replace("## Owner", "## Boss"))

    assert [f.rule for f in read_card(context, road.version("1")).findings] == ["training"]


def test_why_prints_markdown_and_writes_a_page(road: Road, command: Command, tmp_path: Path) -> None:
    place = tmp_path / "why.html"

    ended = command(road.lakehouse, f"why 2 --markdown --html {place}")

    assert ended.code == 0, ended.err
    assert ended.out.startswith("### ✅ PROMOTE: version 2 of prod.temperature.temperature\n")
    assert place.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_why_folds_what_passed_unless_all_of_it_is_asked_for(road: Road, command: Command) -> None:
    short, long = (command(road.lakehouse, line).out for line in ("why 2", "why 2 --all"))

    assert "+ compliance 18 of 18 rules" in short
    assert "signature" not in short
    assert "signature: The signature names" in long
    assert max(map(len, long.splitlines())) <= 80


def test_why_as_json_tells_findings_and_events(road: Road, command: Command) -> None:
    told = json.loads(command(road.lakehouse, "why 1 --json").out)

    assert (told["verdict"], told["next"]) == ("PROMOTE", "")
    assert [event["what"] for event in told["events"]] == [
        "proposed it, and the gates said PROMOTE",
        "approved it",
        "made version 1 champion (promotion)",
    ]
    assert {f["gate"] for f in told["findings"]} == {"compliance", "challenge"}


def test_a_card_is_printed_with_where_its_version_stands(road: Road, command: Command) -> None:
    ended = command(road.lakehouse, "card 1")

    assert ended.code == 0, ended.err
    assert ended.out.startswith("# temperature\n")
    assert "| aliases | champion |" in ended.out
    assert ended.out.endswith("## Findings on this card\n\nNone: no section is blank, and nobody changed it.\n")


def test_a_card_of_an_unjudged_version_says_that_nobody_asked_the_gates(road: Road, command: Command) -> None:
    told = json.loads(command(road.lakehouse, "card 3 --json").out)

    assert (told["the gates said"], told["decision record"], told["findings"]) == ("nothing yet", "none", [])
