"""Which CI am I in, and what it can tell and be told: summaries, annotations, outputs, artefacts, who approved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from gatehouse.ci.job import NOTES, InJob
from gatehouse.ci.none import NoCi
from gatehouse.ci.provider import Provider


def detect(environ: Mapping[str, str], *, log: TextIO, folder: Path) -> Provider:
    """The CI that the variables of a process tell of.

    `log` is where the CI reads commands from, standard error, so that standard output stays what a command prints for
    machines. `folder` is the checkout.
    """
    if environ.get(NOTES):
        return InJob(environ)
    if environ.get("GITHUB_ACTIONS") == "true":
        from gatehouse.ci.github import GitHub

        return GitHub(environ, log=log)
    if environ.get("TF_BUILD", "").lower() == "true":
        from gatehouse.ci.azure import Azure

        return Azure(environ, log=log, folder=folder)
    if environ.get("GITLAB_CI") == "true":
        from gatehouse.ci.gitlab import GitLab

        return GitLab(environ, log=log, folder=folder)
    if environ.get("JENKINS_URL"):
        from gatehouse.ci.jenkins import Jenkins

        return Jenkins(environ, folder=folder)
    return NoCi(folder)
