"""Artefacts and runs of Azure pipelines: what an earlier build left behind, and whether it was one of ours."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import quote

from gatehouse.ci.answer import Answer
from gatehouse.ci.azure_approval import VERSION
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Artefact, CiRun, unique
from gatehouse.ci.unpack import unpack
from gatehouse.errors import StateError

_LOOKED_AT = 30
"""Builds at most, newest first, that are asked for the artefact."""
_GREEN = {"statusFilter": "completed", "resultFilter": "succeeded", "queryOrder": "finishTimeDescending"}


def artefacts(api: Api, run: CiRun, name: str) -> tuple[Artefact, ...]:
    """Of this build and of successful builds of this repository that no pull request started, newest first."""
    own = api.get(f"/_apis/build/builds/{run.id}", **VERSION)
    kind = own.text("repository", "type")
    listed = api.get(
        "/_apis/build/builds",
        repositoryId=run.repository,
        repositoryType=kind,
        **_GREEN,
        **{"$top": _LOOKED_AT},
        **VERSION,
    )
    found = []
    for build in (own, *listed.items("value")):
        trusted = build.identifier("id") == run.id or build.maybe_text("result") == "succeeded"
        if trusted and (artefact := _artefact(api, run, build, name)) is not None and artefact.ours:
            found.append(artefact)
    by_id = {artefact.id: artefact for artefact in found}
    return tuple(sorted(by_id.values(), key=lambda artefact: artefact.created_at, reverse=True))


def artefact(api: Api, run: CiRun, identifier: str) -> Artefact | None:
    """`BUILD/NAME`, whatever became of the build; None: there is none, or no longer."""
    build, _, name = identifier.partition("/")
    if not build.isdecimal() or not name:
        return None
    found = api.find(f"/_apis/build/builds/{build}", **VERSION)
    return None if found is None else _artefact(api, run, found, name)


def download(api: Api, artefact: Artefact, folder: Path) -> None:
    """Unpacks into the folder."""
    build, _, name = artefact.id.partition("/")
    if not artefact.ours:
        raise StateError(
            f"Artefact {artefact.id} is not of this repository, or a pull request made it.",
            why="Somebody else wrote its content.",
            remedy="Take another: a build of this repository's own branches.",
        )
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as room:
        packed = Path(room) / "artefact.zip"
        api.fetch(
            f"/_apis/build/builds/{build}/artifacts?artifactName={quote(name, safe='')}&$format=zip&api-version=7.1",
            packed,
            accept="application/zip",
        )
        unpack(packed, folder, named=f"Artefact {artefact.id}", within=name)


def successful_run(api: Api, run: CiRun, workflow: str, commit: str, *, branch: str) -> str | None:
    """The newest green build of the pipeline on the branch and this commit that no pull request started."""
    number = _definitions(api, workflow)
    if not number:
        return None
    listed = api.get("/_apis/build/builds", definitions=number, **_GREEN, **{"$top": 200}, **VERSION)
    for build in listed.items("value"):
        green = build.text("sourceVersion") == commit and build.text("result") == "succeeded"
        if green and build.text("sourceBranch") == f"refs/heads/{branch}" and _is_ours(build, run):
            return build.text("_links", "web", "href")
    return None


def started_by(api: Api, workflow: str, commit: str) -> tuple[str, ...]:
    """For whom builds of a pipeline ran on this commit: accounts and identifiers. Of the newest 200, green or not."""
    number = _definitions(api, workflow)
    if not number:
        return ()
    listed = api.get("/_apis/build/builds", definitions=number, **{"$top": 200}, **VERSION).items("value")
    ours = [build for build in listed if build.text("sourceVersion") == commit]
    return unique(*(build.maybe_text("requestedFor", key) for build in ours for key in ("uniqueName", "id")))


def _definitions(api: Api, name: str) -> str:
    """The numbers of the pipelines of exactly that name, as a filter takes them; empty: there is none."""
    listed = api.get("/_apis/build/definitions", name=name, **VERSION).items("value")
    return ",".join(found.identifier("id") for found in listed if found.text("name").casefold() == name.casefold())


def _artefact(api: Api, run: CiRun, build: Answer, name: str) -> Artefact | None:
    number = build.identifier("id")
    found = api.find(f"/_apis/build/builds/{number}/artifacts", artifactName=name, **VERSION)
    if found is None:
        return None
    return Artefact(
        id=f"{number}/{found.text('name')}",
        name=found.text("name"),
        digest="",
        run_id=number,
        created_at=build.moment("finishTime" if build.maybe("finishTime") else "queueTime"),
        expired=False,
        ours=_is_ours(build, run),
    )


def _is_ours(build: Answer, run: CiRun) -> bool:
    return build.text("repository", "id") == run.repository and build.text("reason") != "pullRequest"
