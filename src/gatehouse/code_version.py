"""Which code this is: the commit, and a digest of the part of it that training depends on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gatehouse.errors import PlatformError, StateError
from gatehouse.git import answer

TRAINING_CODE = (
    "gatehouse.project",
    "gatehouse.evaluation.baseline",
    "gatehouse.evaluation.metrics",
    "gatehouse.evaluation.point",
    "gatehouse.evaluation.ranking",
    "gatehouse.lakehouse.expectations",
    "gatehouse.lakehouse.frames",
    "gatehouse.lakehouse.point_in_time",
    "gatehouse.pipelines.changes",
    "gatehouse.pipelines.dataset",
    "gatehouse.pipelines.features",
    "gatehouse.pipelines.ingest",
    "gatehouse.pipelines.quality",
    "gatehouse.pipelines.runs",
    "gatehouse.pipelines.search",
    "gatehouse.pipelines.training",
    "gatehouse.pipelines.windows",
)
"""What, besides the use case's own package, decides which model comes out of given data."""

CODE_FILE = "code.json"
"""What git says of the code, written when it is deployed to where there is none (`gatehouse.databricks.build`):

    {"commit": .., "author": .., "dirty": ..,
     "log": [{"commit": .., "parents": [..], "authors": [..], "training": bool}, ..]}

The log is the newest first; `training` says whether a commit changed what training reads.
"""

_CHANGES = "+changes"


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeVersion:
    """`commit` is `unknown` outside a git checkout and ends in `+changes` where the tree differs from it.

    `training_digest` is a SHA-256 over the sources that training runs; it does not change with a README.
    """

    commit: str
    author: str
    training_digest: str


def code_version(use_case: str, root: Path) -> CodeVersion:
    """The version of a checkout at `root` whose use case is the package `use_case`.

    In a workspace there is no git: what it said when the code was deployed lies beside conf/ (`CODE_FILE`).
    """
    digest = _digest([f for name in (use_case, *TRAINING_CODE) for f in _sources(name)])
    if said := _deployed(root):
        commit = said["commit"] + (_CHANGES if said["dirty"] else "")
        return CodeVersion(commit=commit, author=said["author"], training_digest=digest)
    commit = answer(root, "rev-parse", "HEAD")
    changed = bool(commit) and bool(answer(root, "status", "--porcelain", "--untracked-files=no"))
    return CodeVersion(
        commit=(commit + (_CHANGES if changed else "")) or "unknown",
        author=answer(root, "log", "-1", "--format=%ae") or "unknown",
        training_digest=digest,
    )


def authors(use_case: str, root: Path, *, commit: str, since: str | None) -> tuple[str, ...]:
    """Who wrote `commit`, and who changed what training reads after `since` up to it; their co-authors too.

    Names are as git has them, `Anna <anna@example.org>`. None at all where git does not know the commit. A `since` that
    it does not know (`unknown`, history that was rewritten, a clone that does not reach back) counts as the beginning.
    """
    if said := _deployed(root):
        return _authors_deployed(said["log"], commit.removesuffix(_CHANGES), (since or commit).removesuffix(_CHANGES))
    form = "--format=%an <%ae>%n%(trailers:key=Co-authored-by,valueonly)"
    commit, since = commit.removesuffix(_CHANGES), (since or commit).removesuffix(_CHANGES)
    own = answer(root, "log", "-1", form, commit)
    checkout = Path(answer(root, "rev-parse", "--show-toplevel") or root)
    read = [str(path) for path in _training_files(use_case) if path.is_relative_to(checkout)]
    new = f"{since}..{commit}" if answer(root, "cat-file", "-t", f"{since}^{{commit}}") else commit
    before = answer(root, "log", form, new, "--", "conf", *read)
    return tuple(sorted({line.strip() for line in (own + "\n" + before).splitlines() if line.strip()}))


def check_out(root: Path, commit: str) -> bool:
    """Put a commit into the working tree at `root`, on no branch; False if it is there already.

    Raises:
        StateError: the tree has changes, or git does not know the commit.
    """
    if answer(root, "rev-parse", "HEAD") == commit:
        return False
    if answer(root, "status", "--porcelain", "--untracked-files=no"):
        raise StateError(
            f"The working tree in {root} has changes.",
            why=f"To check {commit[:12]} out would lose them, or carry them into code that is live.",
            remedy="Commit or stash them (git status shows them), then run the same command again.",
        )
    if not answer(root, "cat-file", "-t", commit):
        raise StateError(
            f"git does not know commit {commit[:12]} here.",
            why="It is the live code, and this clone does not reach that far back, or its history was rewritten.",
            remedy=f"git fetch origin {commit}    (in CI: check out with the whole history, fetch-depth 0)",
        )
    answer(root, "checkout", "--quiet", "--detach", commit, "--")
    if answer(root, "rev-parse", "HEAD") != commit:
        raise StateError(
            f"git could not check {commit[:12]} out.",
            why="The code in the working tree is not the one that is live.",
            remedy=f"git checkout --detach {commit}    says why.",
        )
    return True


@contextmanager
def checked_out_aside(root: Path, commit: str) -> Iterator[Path]:
    """What `root` was at a commit, in a checkout of its own for the body; StateError if git does not know the commit.

    `root` may be a folder in its checkout.
    """
    with tempfile.TemporaryDirectory(prefix="gatehouse-") as folder:
        aside = Path(folder) / "checkout"
        answer(root, "worktree", "add", "--quiet", "--detach", str(aside), commit)
        if answer(aside, "rev-parse", "HEAD") != commit:
            raise StateError(
                f"git could not check {commit[:12]} out.",
                why="This clone does not reach that far back, or its history was rewritten.",
                remedy=f"git fetch origin {commit}    (in CI: check out with the whole history, fetch-depth 0)",
            )
        try:
            yield aside / answer(root, "rev-parse", "--show-prefix")
        finally:
            answer(root, "worktree", "remove", "--force", str(aside))


def _training_files(use_case: str) -> list[Path]:
    return [path for name in (use_case, *TRAINING_CODE) for _, path in _sources(name)]


@cache
def _deployed(root: Path) -> Any:
    """What the code's file says; None in a checkout, whose git knows better."""
    file = root / CODE_FILE
    if not file.is_file() or any((folder / ".git").exists() for folder in (root, *root.parents)):
        return None
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return {name: said[name] for name in ("commit", "author", "dirty", "log")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlatformError(
            f"{file} cannot be read: {error!r}.",
            why="It says which commit this code is, and who wrote it: they may not approve what it trains.",
            remedy="Deploy again: databricks bundle deploy",
        ) from error


def _authors_deployed(log: list[dict[str, Any]], commit: str, since: str) -> tuple[str, ...]:
    """As `authors`, from the log of the deployment. A start that it does not reach back to counts as its beginning."""
    known = {entry["commit"]: entry for entry in log}
    if commit not in known:
        return ()
    new = _reached(known, commit) - _reached(known, since)
    who = [known[commit], *(known[made] for made in new if known[made]["training"])]
    return tuple(sorted({name for entry in who for name in entry["authors"]}))


def _reached(known: dict[str, dict[str, Any]], commit: str) -> set[str]:
    """It and all that came before it. Neither the log's order nor dates tell: a branch may be older than its merge."""
    found: set[str] = set()
    waiting = [commit]
    while waiting:
        if (one := waiting.pop()) in known and one not in found:
            found.add(one)
            waiting += known[one]["parents"]
    return found


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, path in sorted(files):
        content = path.read_bytes().replace(b"\r\n", b"\n")  # the same on a checkout with Windows line ends
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def _sources(module: str) -> list[tuple[str, Path]]:
    """A module's file, or all files of a package, by names that do not depend on where they lie."""
    found = _file(module)
    if found.name != "__init__.py":
        return [(module, found)]
    package = found.parent
    return [(f"{module}/{p.relative_to(package).as_posix()}", p) for p in package.rglob("*.py")]


def _file(module: str) -> Path:
    """Where a module's source lies; found without importing it, because most of them are heavy."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise PlatformError(
            f"The source of {module} cannot be found.",
            why="A candidate is known by the code that trained it.",
            remedy="Install the package again: uv sync",
        )
    return Path(spec.origin)
