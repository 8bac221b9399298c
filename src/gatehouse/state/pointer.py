"""Which archive is an environment's state: a commit under `refs/gatehouse/`, whose parent is the pointer before.

A plain push refuses what does not follow from what is there, on the server, in one step. So of two runs that went on
from one state exactly one moves the pointer, and the other learns who did.
"""

from __future__ import annotations

import base64
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gatehouse.errors import Busy, PlatformError, StateError
from gatehouse.git import NO_ANSWER, git

_FILE = "state.json"
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "gatehouse"), ("EMAIL", "gatehouse@localhost"))
}


class Pointed(BaseModel):
    """What a pointer says. `artefact` is what the CI knows the archive by, `sha256` is of the tar file itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str
    artefact: str
    run: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    packed_at: str
    champion: str | None
    clock: str | None
    audit: dict[str, int | str] | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Pointer:
    """A pointer and the commit that holds it."""

    commit: str
    said: Pointed


class PointerRef:
    """The pointer of one environment of the use case in `folder`, at a remote of the git checkout around it.

    `environ` gives the token of a CI whose checkout keeps none: it goes to git through the environment, where no list
    of processes shows it.
    """

    def __init__(self, folder: Path, environment: str, *, environ: Mapping[str, str], remote: str = "origin") -> None:
        self._folder = folder
        self._remote = remote
        self._environment = environment
        self._environ = {**environ, **_WHO, **_credentials(environ), "GIT_TERMINAL_PROMPT": "0"}

    @cached_property
    def _ref(self) -> str:
        """`refs/gatehouse/state-prod`; that of a use case that is not at the root of the repository stands below it."""
        try:
            below = self._run("rev-parse", "--show-prefix").stdout.strip()
        except PlatformError:  # whatever comes next says it with what it wanted
            below = ""
        return f"refs/gatehouse/{below}state-{self._environment}"

    @property
    def begin_anew(self) -> str:
        """The command after which it points nowhere, as before the first run."""
        return f"git push {self._remote} :{self._ref}"

    def read(self) -> Pointer | None:
        """Where it points now; None if it never did."""
        commit = self.commit()
        if commit is None:
            return None
        self._git("fetch", "--quiet", "--no-tags", self._remote, self._ref)
        try:
            said = Pointed.model_validate_json(self._git("cat-file", "blob", f"{commit}:{_FILE}"))
        except ValidationError as error:
            raise StateError(
                f"{self._ref} holds no pointer: {error.errors()[0]['msg']} at {commit[:12]}.",
                why="Without it nobody knows which archive is the state.",
                remedy=f"Look who moved it. Without the history, the next run begins anew after: {self.begin_anew}",
            ) from None
        return Pointer(commit=commit, said=said)

    def move(self, said: Pointed, *, expected: str | None) -> str:
        """Point elsewhere, if it still points where `expected` says (None: nowhere); returns the new commit.

        Raises:
            Busy: somebody else moved it; the message says who.
        """
        blob = self._git("hash-object", "-w", "--stdin", given=said.model_dump_json(indent=1))
        tree = self._git("mktree", given=f"100644 blob {blob}\t{_FILE}\n")
        if expected is not None:
            self._run("fetch", "--quiet", "--no-tags", self._remote, self._ref)  # its parent has to be here
        parents = ["-p", expected] if expected else []
        commit = self._git("commit-tree", tree, *parents, "-m", f"State of {said.environment}")
        if self._run("push", "--quiet", self._remote, f"{commit}:{self._ref}").returncode == 0:
            return commit
        now = self.commit()
        if now == expected:
            raise PlatformError(
                f"git cannot push {self._ref}.",
                why="Without the pointer the next run goes on from an older state.",
                remedy="Give the job's token the right to write contents (permissions: contents: write).",
            )
        raise Busy(
            f"The state of {said.environment} was moved while this run worked: {self._by()}",
            why="Two runs that go on from one state would lose each other's tables, models and log.",
            remedy="Run this workflow again: it begins with the state that is there now.",
        )

    def _by(self) -> str:
        try:
            winner = self.read()
        except StateError:
            winner = None
        if winner is None:
            return f"{self._ref} is not where it was."
        return f"run {winner.said.run or 'of nobody knows whom'} was first, at {winner.said.packed_at}."

    def commit(self) -> str | None:
        """The commit it points with, whatever that says; None if it never pointed."""
        answered = self._git("ls-remote", self._remote, self._ref).split()
        if not answered:
            return None
        if not _COMMIT.fullmatch(answered[0]):
            raise PlatformError(f"git answered {answered[0][:80]!a} for {self._ref}.", remedy="Look at the remote.")
        return answered[0]

    def _git(self, *arguments: str, given: str | None = None) -> str:
        done = self._run(*arguments, given=given)
        if done.returncode != 0:
            # What git says may hold an address with a token in it.
            raise PlatformError(
                f"git {arguments[0]} failed with code {done.returncode} on {self._ref}.",
                why="The pointer to the state of an environment is kept in the repository.",
                remedy=f"Try it: git ls-remote {self._remote} '{self._ref}'",
            )
        return done.stdout.strip()

    def _run(self, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
        done = git(self._folder, *arguments, given=given, environ=self._environ)
        if done.returncode == NO_ANSWER:
            raise PlatformError(
                f"git {arguments[0]} does not answer: {done.stderr}.",
                why="The pointer to the state of an environment is kept in the repository.",
                remedy=f"Try it: git ls-remote {self._remote} '{self._ref}'",
            )
        return done


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The token of the run as git takes it, for the CI's own server and no other; nothing where there is none."""
    token = environ.get("GH_TOKEN") or environ.get("GITHUB_TOKEN")
    if environ.get("GITHUB_ACTIONS") == "true" and token:
        server = environ.get("GITHUB_SERVER_URL", "https://github.com")
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        return _header(server, f"AUTHORIZATION: basic {secret}")
    if environ.get("TF_BUILD") and environ.get("SYSTEM_ACCESSTOKEN") and environ.get("SYSTEM_COLLECTIONURI"):
        return _header(environ["SYSTEM_COLLECTIONURI"], f"AUTHORIZATION: bearer {environ['SYSTEM_ACCESSTOKEN']}")
    return {}


def _header(server: str, header: str) -> dict[str, str]:
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server.rstrip('/')}/.extraheader",
        "GIT_CONFIG_VALUE_0": header,
    }
