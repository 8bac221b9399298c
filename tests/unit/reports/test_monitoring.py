"""Pages are read as a browser reads them: as elements with their text, never as a string with a certain look."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from gatehouse.project import Project
from gatehouse.reports.inputs import State
from gatehouse.reports.monitoring import (
    MOST_VERSIONS,
    Entry,
    Step,
    environment_html,
    file_name,
    headline,
    index_html,
    next_step,
)
from gatehouse.reports.readings import Checked, Completed, Measurement, Readings, Registered, Scored
from gatehouse.settings import MonitoringFile

VOID = {"meta", "br", "wbr"}


class Page(HTMLParser):
    """The elements of a page: `opened` in order with their attributes, `text` by element, `unclosed` at the end."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.opened: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []
        self.unclosed: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))
        if tag not in VOID:
            self.unclosed.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.text.append((self.unclosed[-1] if self.unclosed else "", " ".join(data.split())))

    def tags(self, *names: str) -> list[str]:
        return [tag for tag, _ in self.opened if tag in names]

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.opened if name in attributes]

    @property
    def words(self) -> str:
        return " ".join(text for tag, text in self.text if tag != "style")


@pytest.fixture
def full(
    measured: Callable[..., Measurement],
    registered: Callable[..., Registered],
    completed: Callable[..., Completed],
    checked: Callable[..., Checked],
    readings: Callable[..., Readings],
) -> Readings:
    """An environment in which everything has happened."""
    return readings(
        versions=(registered("2"), registered("1", "champion")),
        completed=(completed("ingest", "flights"), completed("monitoring", "monitoring_metrics")),
        checked=(checked(3),),
        scored=(Scored(unit="2013-04-30", version="1", rows=110),),
        measurements=(
            measured("predictions", 110.0, subject="predictions", rows=110),
            measured("labelled", 100.0),
            measured("log_loss", 0.5),
            measured("roc_auc", 0.7),
            measured("log_loss", 0.5, unit="2013-04-30"),
            measured("log_loss", 0.4, subject="origin=EWR"),
            measured("drift_psi", 0.3, subject="<b>"),
            measured("drift_psi", 0.05, subject="distance"),
            measured("rows", 70.0, subject="flights", version="", rows=70),
        ),
    )


def page_of(project: Project, thresholds: MonitoringFile, readings: Readings) -> Page:
    return Page(environment_html(project, thresholds, readings, others=[("dev", "dev.html"), ("prod", "prod.html")]))


def test_the_headline_says_who_serves_how_well_on_what(
    project: Project, thresholds: MonitoringFile, full: Readings
) -> None:
    top = headline(project, thresholds, full)

    assert top.champion == full.versions[1]
    assert top.primary is not None
    assert (top.data_age, top.primary.value, top.primary.hold_out, top.primary.baseline) == (58, 0.5, 0.46, 0.53)
    assert (top.predictions, top.labelled) == (110, 100)
    assert (top.drifted, top.columns, top.farthest, top.drift) == (1, 2, "<b>", State.ALERT)
    assert (top.violations, top.expectations, top.expected) == (3, 1, State.WATCH)


def test_accuracy_stands_beside_the_thresholds_where_enough_is_known(
    project: Project, full: Readings, measured: Callable[..., Measurement]
) -> None:
    limit = MonitoringFile(accuracy_alert=0.03)
    figures = (("accuracy_shortfall", 0.04), ("accuracy_usual", 0.02), ("accuracy_units", 28.0))
    known = replace(full, measurements=(*full.measurements, *(measured(n, v, subject="log_loss") for n, v in figures)))

    assert headline(project, limit, known).stands is State.ALERT
    said = page_of(project, limit, known).words
    assert "▲ alert Chance explains 0.0200; the alert begins at 0.0300." in said
    assert headline(project, limit, full).stands is headline(project, MonitoringFile(), known).stands is State.UNKNOWN
    assert "Chance explains" not in page_of(project, limit, full).words


def test_data_that_end_after_as_of_have_no_age(
    project: Project,
    thresholds: MonitoringFile,
    registered: Callable[..., Registered],
    readings: Callable[..., Readings],
) -> None:
    early = readings(as_of=datetime(2013, 2, 1, tzinfo=UTC), versions=(registered("1", "champion"),))

    assert headline(project, thresholds, early).data_age is None


def test_a_page_says_what_the_tables_say(project: Project, thresholds: MonitoringFile, full: Readings) -> None:
    words = page_of(project, thresholds, full).words

    for said in (
        "Its training data end 4 March 2013, 58 days before as-of.",
        "0.0400 worse than on its hold-out (0.4600). The baseline had 0.5300 there.",
        "Labels of 100 are known (90.9 %).",
        "The newest window is 24 April to 1 May 2013.",
    ):
        assert said in words


def test_a_feature_whose_name_is_markup_is_printed_and_not_obeyed(
    project: Project, thresholds: MonitoringFile, full: Readings
) -> None:
    page = page_of(project, thresholds, full)

    assert page.tags("b") == []
    assert [text for tag, text in page.text if "<b>" in text and tag == "th"] == ["<b>", "<b>"]  # drift, importances


@pytest.mark.parametrize("field", ["name", "description", "owner"])
def test_what_a_project_says_of_itself_is_escaped(
    project: Project, thresholds: MonitoringFile, full: Readings, field: str
) -> None:
    object.__setattr__(project, field, "<script>alert(1)</script>")

    assert page_of(project, thresholds, full).tags("script") == []


@pytest.mark.parametrize("kind", ["full", "empty"])
def test_a_page_is_well_formed_and_can_be_read_aloud(
    project: Project, thresholds: MonitoringFile, full: Readings, readings: Callable[..., Readings], kind: str
) -> None:
    page = page_of(project, thresholds, full if kind == "full" else readings())

    ids = page.attributes("id")
    levels = [int(tag[1]) for tag in page.tags("h1", "h2", "h3", "h4", "h5", "h6")]
    in_card = page.tags("table").count("table") - page.tags("caption").count("caption")

    assert page.unclosed == []
    assert sorted(set(ids)) == sorted(ids)
    assert set(page.attributes("aria-labelledby")) <= set(ids)
    assert {href[1:] for href in page.attributes("href") if href.startswith("#")} <= set(ids)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper <= level + 1 for level, deeper in pairwise(levels))
    assert in_card == (1 if kind == "full" else 0)  # Markdown has no captions; its heading stands above the table
    plots = [name for name, attributes in page.opened if attributes.get("role") == "img"]
    titles = [text for tag, text in page.text if tag == "title"]
    assert len(titles) == len(plots) + 1


def test_a_page_loads_nothing_and_runs_nothing(project: Project, thresholds: MonitoringFile, full: Readings) -> None:
    html = environment_html(project, thresholds, full, others=[("prod", "prod.html")])
    page = Page(html)

    links = [href for href in page.attributes("href") if not href.startswith("#")]
    assert page.tags("script", "link", "img", "iframe", "object", "embed", "base") == []
    assert page.attributes("src") == []
    assert [name for _, attributes in page.opened for name in attributes if name.startswith("on")] == []
    assert sorted(links) == ["index.html", "prod.html"]
    assert re.findall(r"url\((?!#)|@import|https?://", html) == []


def test_only_as_many_versions_as_help_are_shown_and_the_champion_always(
    project: Project,
    thresholds: MonitoringFile,
    registered: Callable[..., Registered],
    readings: Callable[..., Readings],
) -> None:
    numbers = range(MOST_VERSIONS + 5, 0, -1)
    here = readings(versions=tuple(registered(str(n), *(["champion"] if n == 1 else [])) for n in numbers))

    words = page_of(project, thresholds, here).words

    assert "4 older versions: gatehouse status --env prod" in words
    assert "1 champion" in words


def test_a_version_that_tells_nothing_of_itself_is_shown_as_such(
    project: Project,
    thresholds: MonitoringFile,
    registered: Callable[..., Registered],
    readings: Callable[..., Readings],
) -> None:
    foreign = registered("1", "champion", lineage=None, card="", hold_out={}, baseline={}, importances={})

    words = page_of(project, thresholds, readings(versions=(foreign,))).words

    for said in (
        "its tags do not say what it was trained on",
        "The champion has no importances on record.",
        "The champion has no model card.",
    ):
        assert said in words


def test_the_next_step_is_the_first_that_has_not_been_made(
    project: Project,
    thresholds: MonitoringFile,
    full: Readings,
    measured: Callable[..., Measurement],
    registered: Callable[..., Registered],
    completed: Callable[..., Completed],
    readings: Callable[..., Readings],
) -> None:
    done: dict[str, object] = {"sources_in": "base"}
    steps = []
    for made in (
        {},
        {"completed": (completed("ingest", "flights"),)},
        {"versions": (registered("1"),)},
        {"versions": (registered("1", "champion"),)},
        {"scored": (Scored(unit="2013-04-30", version="1", rows=1),)},
        {"measurements": (measured("rows", 1.0, subject="flights", version=""),)},
        {"measurements": (measured("predictions", 1.0, rows=1), measured("labelled", 0.0, rows=0))},
        {"measurements": full.measurements},
    ):
        done |= made
        here = readings(**done)
        steps.append(next_step(here, headline(project, thresholds, here)))

    assert [step and step.command for step in steps] == [
        "gatehouse run ingest --env base --as-of 2013-05-01",
        "gatehouse run training --env prod --as-of 2013-05-01",
        "gatehouse status --env prod",
        "gatehouse run inference --env prod --as-of 2013-05-01",
        "gatehouse run monitoring --env prod --as-of 2013-05-01",
        "gatehouse run inference --env prod --as-of 2013-05-01",
        "gatehouse run monitoring --env prod",
        None,
    ]


def test_an_empty_page_says_the_next_step_wherever_something_is_missing(
    project: Project, thresholds: MonitoringFile, readings: Callable[..., Readings]
) -> None:
    here = readings(as_of=datetime(2013, 5, 1, 6, 30, tzinfo=UTC))
    step = next_step(here, headline(project, thresholds, here))

    words = page_of(project, thresholds, here).words

    assert step == Step(
        reason="No source has been ingested.", command="gatehouse run ingest --env prod --as-of 2013-05-01T06:30"
    )
    assert words.count(f"{step.reason} Next: {step.command}") == 5  # accuracy, drift, volume, runs, versions


def test_an_environment_is_empty_until_something_ran_there_itself(
    completed: Callable[..., Completed], readings: Callable[..., Readings]
) -> None:
    borrowed = (completed("ingest", "flights"),)

    assert [
        readings().is_empty,
        readings(completed=borrowed, sources_in="base").is_empty,
        readings(completed=borrowed).is_empty,
        readings(completed=(*borrowed, completed("training", "prod.main.delays")), sources_in="base").is_empty,
    ] == [True, True, False, False]


def test_the_overview_links_every_page_and_says_what_could_not_be_read(
    project: Project, thresholds: MonitoringFile, full: Readings
) -> None:
    html = index_html(
        project,
        [
            Entry(environment="prod", as_of=full.as_of, headline=headline(project, thresholds, full)),
            Entry(environment="staging", problem="The table <runs> is damaged."),
        ],
    )
    page = Page(html)

    assert page.attributes("href") == ["prod.html"]
    assert "version 1, data until 4 March 2013" in page.words
    assert "0.4600, baseline 0.5300" in page.words
    assert "The table <runs> is damaged." in page.words
    assert page.unclosed == []


def test_an_overview_of_nothing_says_how_to_begin(project: Project) -> None:
    assert "No environment has data yet. Next: gatehouse demo" in Page(index_html(project, [])).words


def test_an_environment_called_index_does_not_take_the_place_of_the_overview() -> None:
    assert [file_name(name) for name in ("prod", "index", "Index")] == [
        "prod.html",
        "environment-index.html",
        "environment-index.html",
    ]
