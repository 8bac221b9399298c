"""A bare git repository that several people work on, and a working copy in which a test changes files."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Author:
    """Who stands in a commit."""

    name: str
    email: str


@dataclass
class Repository:
    """`origin` is bare, `work` a working copy."""

    origin: Path
    work: Path

    def __post_init__(self) -> None:
        self.origin.mkdir(parents=True)
        self.git("init", "--quiet", "--bare", "--initial-branch=main")
        self.work.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main", at=self.work)

    def git(self, *arguments: str, at: Path | None = None, by: Author | None = None) -> str:
        """In the bare repository, or elsewhere, in somebody's name; what it printed."""
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        if by:
            for role in ("AUTHOR", "COMMITTER"):
                environment |= {f"GIT_{role}_NAME": by.name, f"GIT_{role}_EMAIL": by.email}
        done = subprocess.run(
            ["git", *arguments],
            cwd=at or self.origin,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done.stdout.strip()

    def commit(self, by: Author, message: str, branch: str) -> str:
        """Commits what is in `work` and pushes it; the commit."""
        self.git("add", "--all", at=self.work)
        self.git("commit", "--quiet", "--allow-empty", "-m", message, at=self.work, by=by)
        self.git("push", "--quiet", "--force", str(self.origin), f"HEAD:refs/heads/{branch}", at=self.work)
        return self.git("rev-parse", "HEAD", at=self.work)

    def head(self, ref: str = "refs/heads/main") -> str:
        """The commit of a branch or tag."""
        return self.git("rev-parse", f"{ref}^{{commit}}")

    def merged(self, number: int, sha: str, by: Author) -> str:
        """refs/pull/NUMBER/merge of a proposal onto main."""
        self.git("update-ref", f"refs/pull/{number}/head", sha)
        tree = self.git("rev-parse", f"{sha}^{{tree}}")
        parents = ["-p", self.head(), "-p", sha]
        merge = self.git("commit-tree", tree, *parents, "-m", "Merge", by=by)
        self.git("update-ref", f"refs/pull/{number}/merge", merge)
        return merge

    def clone(self, place: Path, sha: str, ref: str, url: str, *, depth: int = 1) -> None:
        """As an agent checks out: this many commits deep (0: all), with the address that others see."""
        place.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=none", at=place)
        self.git("remote", "add", "origin", url, at=place)
        deep = [f"--depth={depth}"] if depth else ["--tags"]
        refs = [sha] if depth else [sha, "+refs/heads/*:refs/remotes/origin/*"]
        self.git("fetch", "--quiet", *(["--no-tags"] if depth else []), *deep, f"file://{self.origin}", *refs, at=place)
        self.git("-c", "advice.detachedHead=false", "checkout", "--quiet", "--detach", sha, at=place)
        if ref.startswith("refs/tags/"):
            self.git("update-ref", ref, sha, at=place)
