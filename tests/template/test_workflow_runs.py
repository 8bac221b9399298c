"""All workflows of both providers, executed with a `gatehouse` that only writes down how it was called."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.template.harness.azure_graph import azure_graph
from tests.template.harness.azure_hub import AzureDevOps
from tests.template.harness.azure_state import Answer, Build, Person
from tests.template.harness.github_graph import github_graph
from tests.template.harness.github_hub import Finished, GitHub
from tests.template.harness.github_state import Review
from tests.template.harness.github_stubs import write_recorder
from tests.template.harness.graph import Graph
from tests.template.harness.scripted import Calls, scripted_gatehouse
from tests.template.harness.use_case import write_use_case

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name == "nt", reason="jobs run in bash on this machine")]

GRAPHS = {"github": github_graph(), "azure": azure_graph()}
PROVIDERS = pytest.mark.parametrize("provider", ["github", "azure"])
CUT_OFF = {
    "candidate": ["state restore", "deploy", "clock", "release", "state pack", "state point"],
    "promote": ["state restore", "approve", "promote", "publish", "state pack", "state point"],
}


@dataclass
class Place:
    """Either provider, under one set of names."""

    hub: GitHub | AzureDevOps
    calls: Calls

    def tag(self, name: str) -> Finished | Build:
        self.hub.commit("anna", "Begin")
        (run,) = self.hub.tag("anna", name)
        return run

    def start(self, workflow: str, **inputs: Any) -> Finished | Build:
        self.hub.commit("anna", "Begin")
        if isinstance(self.hub, GitHub):
            (run,) = self.hub.dispatch("anna", f"{workflow}.yml", **inputs)
            return run
        (build,) = self.hub.queue("anna", workflow, **inputs)
        return build


@contextmanager
def place(folder: Path, provider: str, **script: Any) -> Iterator[Place]:
    program, calls = scripted_gatehouse(folder / "scripted", **script)
    make = write_recorder(folder / "recorders", "make", folder / "made")  # tests are not what is run here
    if provider == "github":
        hub = GitHub(folder / "hub")
        hub.reviewer = lambda w: Review(environment=w.environment, by=hub.people["bert"])
        write_use_case(hub.work, hub.programs, program, make=make)
        hub.protect("prod-approval", "bert")
        with hub.open():
            yield Place(hub, calls)
    else:
        project = AzureDevOps(folder / "project")
        project.approver = lambda _: Answer(by=Person("bert"))
        write_use_case(project.work, project.programs, program, make=make)
        project.protect("prod-approval", "bert")
        project.protect("prod")
        project.protect("staging")
        with project.open():
            yield Place(project, calls)


def ended(run: Finished | Build) -> str:
    """`good` or `bad`."""
    word = run.result if isinstance(run, Build) else run.conclusion
    return {"succeeded": "good", "success": "good", "skipped": "good"}.get(str(word), "bad")


def planned(provider: str, workflow: str, *whens: str) -> dict[str, list[str]]:
    """What the files say, for when all goes well; and what runs for other reasons."""
    graph: Graph = GRAPHS[provider]
    made = {}
    for name, node in graph[workflow].items():
        words = [c.text.split() for c in node.commands if c.kind == "run" and c.when in ("success", *whens)]
        calls = [" ".join(w[1:3]) if w[1] in ("state", "run") else w[1] for w in words if w[0] == "gatehouse"]
        if calls:
            made[name] = calls
    return made


@PROVIDERS
def test_a_tag_runs_every_command_of_a_release_in_order(tmp_path: Path, provider: str) -> None:
    with place(tmp_path, provider) as here:
        run = here.tag("v1.0.0")
    assert ended(run) == "good"
    assert here.calls.verbs() == planned(provider, "release")
    assert CUT_OFF.items() <= here.calls.verbs().items()


HOST = "https://prod.example"


@PROVIDERS
def test_with_a_workspace_each_environment_is_somebody_there_and_the_rest_is_nobody(
    tmp_path: Path, provider: str
) -> None:
    with place(tmp_path, provider) as here:
        if isinstance(here.hub, GitHub):  # variables of environments: the harness has those of repositories only
            here.hub.variables |= {"DATABRICKS_HOST": HOST, "DATABRICKS_CLIENT_ID": "somebody"}
        else:
            here.hub.committed["GATEHOUSE_WORKSPACE"] = "on"
            for name in ("prod", "prod-approval"):
                here.hub.groups[f"gatehouse-{name}"] = {"DATABRICKS_HOST": HOST, "DATABRICKS_CLIENT_ID": name}
            curl = here.hub.programs / "curl"
            curl.write_text("#!/bin/sh\necho true\n", encoding="utf-8")
            curl.chmod(0o755)
        assert ended(here.tag("v1.0.0")) == "good"
    assert here.calls.verbs() == planned(provider, "release")
    kind, who = (
        ("github-oidc", ["somebody"] * 2) if provider == "github" else ("azure-devops-oidc", ["prod", "prod-approval"])
    )
    assert here.calls.identities() == {
        "tested": {("", "", "", "")} if provider == "azure" else {("",) * 4},
        "candidate": {(HOST, who[0], kind, "databricks")},
        "promote": {(HOST, who[1], kind, "databricks")},
    }


@PROVIDERS
@pytest.mark.parametrize("failing", ["promote", "state point"])
def test_failed_jobs_alone_are_run_again_and_go_on_with_what_the_others_said(
    tmp_path: Path, provider: str, failing: str
) -> None:
    with place(tmp_path, provider, failing=["promote", *failing.split()]) as here:
        run = here.tag("v1.0.0")
        assert ended(run) == "bad"
        assert list(here.calls.verbs()) == ["tested", "candidate", "promote"]
        scripted_gatehouse(tmp_path / "scripted")  # whatever was wrong is over
        here.calls.log.write_text("", encoding="utf-8")
        if isinstance(here.hub, GitHub):
            assert isinstance(run, Finished)
            again: Finished | Build = here.hub.again(run, "anna", failed_only=True)
            assert [release.tag for release in here.hub.api.releases] == ["v1.0.0"]
        else:
            assert isinstance(run, Build)
            again = here.hub.again(run, failed_only=True)
        assert ended(again) == "good", again
    assert here.calls.verbs() == {"promote": CUT_OFF["promote"]}
    (approve,) = [words for words in here.calls.by_job()["promote"] if words[0] == "approve"]
    assert approve[1] == "7"


@PROVIDERS
@pytest.mark.parametrize("verdict", ["hold", "insufficient_evidence", "", "Promote!"])
def test_only_the_verdict_promote_opens_the_way(tmp_path: Path, provider: str, verdict: str) -> None:
    with place(tmp_path, provider, verdict=verdict) as here:
        run = here.tag("v1.0.0")
    assert ended(run) == "good"
    assert list(here.calls.verbs()) == ["tested", "candidate"]


@PROVIDERS
@pytest.mark.parametrize(
    "failing",
    [["tested", "tested"]]
    + [["candidate", *words.split()] for words in ("state restore", "deploy", "release", "state point")]
    + [["promote", *words.split()] for words in ("approve", "promote", "state point")],
    ids=" ".join,
)
@pytest.mark.broken_gate(12)
def test_a_command_that_fails_ends_the_release_there_in_red(tmp_path: Path, provider: str, failing: list[str]) -> None:
    with place(tmp_path, provider, failing=failing) as here:
        run = here.tag("v1.0.0")
    assert ended(run) == "bad"
    job, words = failing[0], " ".join(failing[1:])
    expected = planned(provider, "release")
    expected[job] = expected[job][: expected[job].index(words) + 1]
    jobs = list(expected)
    assert here.calls.verbs() == {name: expected[name] for name in jobs[: jobs.index(job) + 1]}
    if isinstance(run, Finished):
        assert {"release-pass": "failure", "publish": "skipped"}.items() <= run.ran.jobs.items()


@pytest.mark.parametrize("words", ["state restore", "release", "promote", "state point"])
def test_a_run_that_is_cancelled_calls_nothing_more(tmp_path: Path, words: str) -> None:
    with place(tmp_path, "github", hanging=words.split()) as here:
        assert isinstance(here.hub, GitHub)
        here.hub.cancel = lambda line: "hanging" in line
        run = here.tag("v1.0.0")
        assert ended(run) == "bad"
        assert here.hub.api.releases == []
    last = list(here.calls.verbs().values())[-1]
    assert last[-1] == words


@PROVIDERS
def test_about_the_champion_nobody_is_asked_and_its_decision_goes_with_the_tag(tmp_path: Path, provider: str) -> None:
    with place(tmp_path, provider, live="true") as here:
        assert ended(here.tag("v1.0.1")) == "good"
        if isinstance(here.hub, GitHub):
            assert [release.tag for release in here.hub.api.releases] == ["v1.0.1"]
    plan = planned(provider, "release", "live")
    assert here.calls.verbs() == {job: plan[job] for job in ("tested", "candidate")}
    assert "publish" in plan["candidate"]


@PROVIDERS
def test_where_the_registry_judges_this_run_asks_nobody_and_its_decision_goes_with_the_tag(
    tmp_path: Path, provider: str
) -> None:
    with place(tmp_path, provider, driver="registry") as here:
        assert ended(here.tag("v1.0.1")) == "good"
        if isinstance(here.hub, GitHub):
            assert [release.tag for release in here.hub.api.releases] == ["v1.0.1"]
    plan = planned(provider, "release", "live")
    assert here.calls.verbs() == {job: plan[job] for job in ("tested", "candidate")}
    assert "publish" in plan["candidate"]


@PROVIDERS
def test_without_an_answer_nothing_of_the_promotion_runs(tmp_path: Path, provider: str) -> None:
    with place(tmp_path, provider) as here:
        if isinstance(here.hub, GitHub):
            here.hub.reviewer = lambda _: None
        else:
            here.hub.approver = lambda _: None
        here.tag("v1.0.0")
    assert list(here.calls.verbs()) == ["tested", "candidate"]


@PROVIDERS
@pytest.mark.parametrize(("workflow", "cron"), [("monitor", "17 5 * * *"), ("retrain", "41 4 * * 1")])
def test_a_schedule_does_nothing_until_the_variable_is_set(
    tmp_path: Path, provider: str, workflow: str, cron: str
) -> None:
    with place(tmp_path, provider) as here:
        here.hub.commit("anna", "Begin")
        for value in ("", "on"):
            assert here.calls.verbs() == {}
            if value:
                here.hub.variables["GATEHOUSE_SCHEDULE"] = value
            (run,) = here.hub.schedule(cron) if isinstance(here.hub, GitHub) else here.hub.schedule(cron, "anna")
            assert ended(run) == "good"
    assert here.calls.verbs() == planned(provider, workflow)


@PROVIDERS
def test_a_retraining_is_by_the_live_code_and_deploys_none(tmp_path: Path, provider: str) -> None:
    with place(tmp_path, provider) as here:
        assert ended(here.start("retrain")) == "good"
    verbs = here.calls.verbs()
    assert verbs == planned(provider, "retrain")
    assert [("live" in calls, "deploy" in calls) for calls in verbs.values()] == [(True, False), (True, False)]


HOSTILE = (
    """late"; touch pwned; $(touch pwned) `touch pwned` ${PATH} ' \\ %0A::error::x ##vso[task.complete result=Failed]"""
)


@PROVIDERS
def test_what_a_person_types_stays_one_argument(tmp_path: Path, provider: str) -> None:
    with place(tmp_path, provider) as here:
        run = here.start("rollback", what="code", reason=HOSTILE)
        assert ended(run) == "good"
        assert list(here.hub.folder.rglob("pwned")) == []
    (calls,) = here.calls.by_job().values()
    (rollback,) = [words for words in calls if words[0] == "rollback"]
    assert rollback[-1] == (HOSTILE if provider == "github" else HOSTILE.replace("$(", "$ ("))
    assert "code" in rollback


def test_nobody_types_their_way_to_the_token_of_a_build(tmp_path: Path) -> None:
    with place(tmp_path, "azure") as here:
        run = here.start("rollback", what="code", reason="for $(System.AccessToken) and $(Build.BuildId)")
        assert ended(run) == "good"
    (calls,) = here.calls.by_job().values()
    (rollback,) = [words for words in calls if words[0] == "rollback"]
    assert rollback[-1] == "for $ (System.AccessToken) and $ (Build.BuildId)"


@PROVIDERS
@pytest.mark.parametrize("name", ["release/$(touch${IFS}pwned)", "release/a;touch${IFS}pwned", "release/`id`"])
def test_a_hostile_branch_and_message_are_data(tmp_path: Path, provider: str, name: str) -> None:
    with place(tmp_path, provider) as here:
        (run,) = here.hub.push("anna", name, message=HOSTILE)
        assert ended(run) == "good"
        assert list(here.hub.folder.rglob("pwned")) == []
    assert list(here.calls.verbs()) == ["tested", "candidate", "promote"]


def test_a_hostile_tag_is_data_where_its_release_is_made(tmp_path: Path) -> None:
    with place(tmp_path, "github") as here:
        assert ended(here.tag("v1$(touch${IFS}pwned)")) == "good"
        assert list(here.hub.folder.rglob("pwned")) == []
        assert isinstance(here.hub, GitHub)
        assert [release.tag for release in here.hub.api.releases] == ["v1$(touch${IFS}pwned)"]


def test_nothing_is_attested_where_the_plan_may_not_allow_it(tmp_path: Path) -> None:
    with place(tmp_path, "github") as here:
        assert isinstance(here.hub, GitHub)
        here.hub.api.private = True
        assert ended(here.tag("v1.0.0")) == "good"
        assert here.hub.api.attested == []
        assert len(here.hub.api.releases) == 1


@PROVIDERS
def test_a_rehearsal_that_failed_deploys_nothing_and_keeps_what_it_left(tmp_path: Path, provider: str) -> None:
    with place(tmp_path, provider, failing=["rehearsal", "rehearse"]) as here:
        (run,) = here.hub.push("anna")
        assert ended(run) == "bad"
        artefacts = [artefact.name for artefact in here.hub.api.artifacts]
    assert here.calls.verbs() == {"rehearsal": ["sweep", "rehearse"]}
    assert artefacts == ["failed-rehearsal-1"]
