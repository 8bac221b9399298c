"""Which code this is: the commit, and a digest of the part of it that training depends on."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

_TRAINING_MODULES = (
    "gatehouse.project",
    "gatehouse.evaluation.baseline",
    "gatehouse.lakehouse.point_in_time",
    "gatehouse.pipelines.dataset",
    "gatehouse.pipelines.features",
    "gatehouse.pipelines.ingest",
    "gatehouse.pipelines.training",
)
"""What, besides the use case's own package, decides which model comes out of given data."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeVersion:
    """`commit` is `unknown` outside a git checkout and ends in `+changes` where the tree differs from it.

    `training_digest` is a SHA-256 over the sources that training runs; it does not change with a README.
    """

    commit: str
    author: str
    training_digest: str


def code_version(use_case: str, root: Path) -> CodeVersion:
    """The version of a checkout at `root` whose use case is the package `use_case`."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = bool(commit) and bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    return CodeVersion(
        commit=(commit + ("+changes" if changed else "")) or "unknown",
        author=_git(root, "log", "-1", "--format=%ae") or "unknown",
        training_digest=_digest([*_package_files(use_case), *map(_module_file, _TRAINING_MODULES)]),
    )


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(root), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _digest(files: Iterable[tuple[str, Path]]) -> str:
    total = hashlib.sha256()
    for name, path in sorted(files):
        content = path.read_bytes().replace(b"\r\n", b"\n")  # the same on a checkout with Windows line ends
        total.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def _package_files(package: str) -> list[tuple[str, Path]]:
    module = import_module(package.partition(".")[0])
    found = Path(str(module.__file__))
    if found.name != "__init__.py":
        return [(found.name, found)]
    return [(str(p.relative_to(found.parent.parent).as_posix()), p) for p in found.parent.rglob("*.py")]


def _module_file(module: str) -> tuple[str, Path]:
    return (module, Path(str(import_module(module).__file__)))
