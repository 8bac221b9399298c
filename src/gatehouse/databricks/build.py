"""What the bundle deploys besides conf/: the wheel, its locked dependencies, and what git knows of this code.

python -m gatehouse.databricks.build     # `artifacts` in databricks.yml calls it, in the folder of that file

dist/NAME-VERSION-py3-none-any.whl   the same bytes from the same commit
dist/requirements.txt                the versions of uv.lock; no Spark, which the compute brings
code.json                            what gatehouse.code_version asks git for elsewhere: a job has no git
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypedDict

import yaml

from gatehouse.code_version import TRAINING_CODE
from gatehouse.errors import ConfigurationError, PlatformError, StateError
from gatehouse.git import git

COMMITS = 500
"""How far back code.json reaches."""
_END, _FIELD = "\x01", "\x02"


class Commit(TypedDict):
    """`authors` with the co-authors, as git names them; `training`: whether it changed what training reads."""

    commit: str
    parents: list[str]
    authors: list[str]
    training: bool


class Code(TypedDict):
    """code.json. `author` is an address; `dirty`: the tree differs from the commit; `log` has the newest first."""

    commit: str
    author: str
    dirty: bool
    log: list[Commit]


def build(root: Path) -> None:
    """Write the three into `root`, the folder of databricks.yml: of a second use case, a folder in the checkout.

    Raises:
        StateError: no git checkout, or one without its history.
        PlatformError: uv is missing, or failed.
    """
    code, source = code_of(root), source_of(root)
    committed = _git(root, "log", "-1", "--format=%ct")
    (root / "code.json").write_text(json.dumps(code, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        # By the locked hatchling beside this Python, which another version would not equal byte for byte.
        here = ("--no-build-isolation", "--python", sys.executable)
        _uv(source, "build", "--wheel", *here, "--out-dir", folder, epoch=committed)
        _uv(source, "export", "--frozen", "--no-default-groups", "--no-emit-project", "--no-hashes", "--no-header",
            "--no-annotate", "--output-file", str(Path(folder, "requirements.txt")))  # fmt: skip
        dist = root / "dist"
        dist.mkdir(exist_ok=True)
        for old in dist.glob("*.whl"):  # the bundle names the wheel by a pattern, which one of another version fits too
            old.unlink()
        for made in [*Path(folder).glob("*.whl"), Path(folder, "requirements.txt")]:
            shutil.move(made, dist / made.name)
            # The CLI puts this time into the wheel's version, and so tells one deployment from the next.
            moment = None if code["dirty"] else (int(committed), int(committed))
            os.utime(dist / made.name, moment)


def source_of(root: Path) -> Path:
    """The folder with pyproject.toml that `root` lies in, or is; StateError if there is none."""
    for folder in (root, *root.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise StateError(
        f"There is no pyproject.toml in {root}, nor in a folder that it lies in.",
        why="The wheel is built from it.",
        remedy="Run it in a checkout of the repository.",
    )


def code_of(root: Path) -> Code:
    """What git knows of the code of the use case whose conf/ lies in `root`."""
    commit = _git(root, "rev-parse", "HEAD")
    if _git(root, "rev-parse", "--is-shallow-repository") == "true":
        raise StateError(
            "This clone is shallow.",
            why="Who wrote the code decides who may approve the model, and git does not know all of them here.",
            remedy="git fetch --unshallow    (in CI: check out with fetch-depth 0)",
        )
    training = set(_git(root, "log", "--format=%H", "--", *_read_by_training(root)).splitlines())
    form = f"%H{_FIELD}%P{_FIELD}%an <%ae>{_FIELD}%(trailers:key=Co-authored-by,valueonly){_END}"
    return Code(
        commit=commit,
        author=_git(root, "log", "-1", "--format=%ae"),
        dirty=bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
        log=list(_commits(_git(root, "log", f"-{COMMITS}", f"--format={form}"), training)),
    )


def _commits(text: str, training: set[str]) -> Iterator[Commit]:
    for entry in text.split(_END):
        if entry.strip():
            commit, parents, author, others = entry.strip("\n").split(_FIELD)
            authors = {author, *filter(None, map(str.strip, others.splitlines()))}
            yield Commit(commit=commit, parents=parents.split(), authors=sorted(authors), training=commit in training)


def _read_by_training(root: Path) -> Iterator[str]:
    """The same files as gatehouse.code_version, as git's path patterns, so that they are found in old commits too."""
    path = root / "conf" / "environments.yml"
    try:
        use_case = str(yaml.safe_load(path.read_text("utf-8"))["project"]).partition(":")[0]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"conf/environments.yml does not name the use case: {error!r}.",
            why="Its package is part of what training reads.",
            remedy="gatehouse schema environments    says what may stand there.",
        ) from error
    yield "conf"
    source = Path(os.path.relpath(source_of(root) / "src", root)).as_posix()
    for module in (use_case, *TRAINING_CODE):
        place = f"{source}/" + module.replace(".", "/")
        yield from (f"{place}.py", f":(glob){place}/**/*.py")


def _git(root: Path, *arguments: str) -> str:
    done = git(root, *arguments)
    if done.returncode != 0:
        raise StateError(
            f"git {arguments[0]} failed in {root}: {done.stderr.strip()}",
            why="A job in the workspace has no git: what it knows of its code is written down here.",
            remedy="Build in a git checkout with at least one commit.",
        )
    return done.stdout.strip()


def _uv(root: Path, *arguments: str, epoch: str = "") -> None:
    homes = (root, Path(sys.prefix).parent)  # an older commit lies elsewhere than the environment that builds it
    beside = sorted(found for home in homes for found in home.glob(".tools/uv-*/bin/uv"))
    uv = os.environ.get("UV") or shutil.which("uv") or (str(beside[-1]) if beside else "uv")
    done = _run(root, uv, *arguments, "--quiet", SOURCE_DATE_EPOCH=epoch)
    if done.returncode != 0:
        raise PlatformError(
            f"uv {arguments[0]} failed: {done.stderr.strip()}",
            why="The bundle deploys what it makes.",
            remedy="make install    brings uv and what builds the wheel; then deploy again.",
        )


def _run(root: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: value for name, value in environment.items() if value}
    try:
        return subprocess.run(  # noqa: S603 - our own argument lists
            command, cwd=root, env=os.environ | given, capture_output=True, text=True, encoding="utf-8", check=False
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


if __name__ == "__main__":
    build(Path.cwd())
