"""Artefacts and runs of a repository: what an earlier run left behind, and whether it was one of ours.

A fork's pull request can upload an artefact of any name into the repository's list, so the name proves nothing: the run
that made it must belong to the repository itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import quote

from gatehouse.ci.answer import Answer
from gatehouse.ci.http import Api
from gatehouse.ci.provider import Artefact, CiRun
from gatehouse.ci.unpack import unpack
from gatehouse.errors import StateError, Unanswered

_UNTRUSTED_EVENTS = frozenset({"pull_request", "pull_request_target", "issue_comment", "workflow_run"})
_LOOKED_AT = 30
"""Runs at most, newest first, that are asked whether they succeeded."""


def artefacts(api: Api, run: CiRun, name: str) -> tuple[Artefact, ...]:
    """Of this run and of successful runs of ours, newest first."""
    listed = api.pages(f"/repos/{run.repository}/actions/artifacts", "artifacts", name=name)
    ours = [found for answer in listed if (found := _artefact(answer)).ours and found.name == name]
    newest = sorted(ours, key=lambda found: (found.created_at, int(found.id)), reverse=True)
    good: dict[str, bool] = {run.id: True}
    for found in newest:
        if found.run_id not in good and len(good) <= _LOOKED_AT:
            good[found.run_id] = _succeeded(api, run, found.run_id)
    return tuple(found for found in newest if good.get(found.run_id, False))


def artefact(api: Api, run: CiRun, identifier: str) -> Artefact | None:
    """One of any run; None: GitHub has none of this number."""
    if not identifier.isdecimal():
        return None
    found = api.find(f"/repos/{run.repository}/actions/artifacts/{identifier}")
    return None if found is None else _artefact(found)


def download(api: Api, run: CiRun, artefact: Artefact, folder: Path) -> None:
    """Unpacks into the folder; nothing is left there if the digest does not fit."""
    if artefact.expired or not artefact.ours:
        fault = "expired" if artefact.expired else "not of this repository"
        raise StateError(
            f"Artefact {artefact.id} ({artefact.name}) is {fault}.",
            why="Its content is gone, or somebody else wrote it.",
            remedy="Take another: a run of this repository that is younger.",
        )
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as room:
        packed = Path(room) / "artefact.zip"
        found = api.fetch(f"/repos/{run.repository}/actions/artifacts/{artefact.id}/zip", packed)
        if artefact.digest != f"sha256:{found}":
            raise StateError(
                f"Artefact {artefact.id} has the digest sha256:{found}, and GitHub's is {artefact.digest or 'none'}.",
                why="These are not the bytes that the run uploaded.",
                remedy="Run it again; if it stays so, take the artefact of an earlier run.",
            )
        unpack(packed, folder, named=f"Artefact {artefact.id}")


def successful_run(api: Api, run: CiRun, workflow: str, commit: str, *, branch: str) -> str | None:
    """The newest run of ours of `.github/workflows/WORKFLOW.yml` on the branch that is green on this commit."""
    file = workflow if workflow.endswith((".yml", ".yaml")) else f"{workflow}.yml"
    path = f"/repos/{run.repository}/actions/workflows/{quote(file, safe='')}/runs"
    for found in api.pages(path, "workflow_runs", head_sha=commit, status="success"):
        if (
            found.text("head_sha") == commit
            and found.maybe_text("head_branch") == branch
            and found.text("conclusion") == "success"
            and found.text("path").partition("@")[0] == f".github/workflows/{file}"
            and found.text("event") not in _UNTRUSTED_EVENTS
            and _is_ours(found)
        ):
            return found.text("html_url")
    return None


def _artefact(answer: Answer) -> Artefact:
    maker = answer.maybe("workflow_run")
    own = maker is not None and (
        maker.identifier("repository_id") == maker.identifier("head_repository_id")
        if maker.maybe("repository_id") and maker.maybe("head_repository_id")
        else False
    )
    return Artefact(
        id=answer.identifier("id"),
        name=answer.text("name"),
        digest=answer.maybe_text("digest"),
        run_id=maker.identifier("id") if maker else "",
        created_at=answer.moment("created_at"),
        expired=answer.flag("expired"),
        ours=own,
    )


def _succeeded(api: Api, run: CiRun, number: str) -> bool:
    try:
        found = api.get(f"/repos/{run.repository}/actions/runs/{number}")
    except Unanswered as error:
        if error.status == 404:  # deleted since
            return False
        raise
    return (
        found.maybe_text("conclusion") == "success" and found.text("event") not in _UNTRUSTED_EVENTS and _is_ours(found)
    )


def _is_ours(found: Answer) -> bool:
    head = found.maybe("head_repository")
    return head is not None and head.identifier("id") == found.identifier("repository", "id")
