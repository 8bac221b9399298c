"""Which code trained a model: a commit for people, a digest of the sources for the machinery."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Callable
from importlib import invalidate_caches
from importlib.util import find_spec
from pathlib import Path

import pytest

from gatehouse.code_version import CODE_FILE, TRAINING_CODE, CodeVersion, authors, check_out, code_version
from gatehouse.databricks.build import code_of
from gatehouse.errors import PlatformError, StateError

COUNTER = iter(range(1000))


@pytest.fixture
def use_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a package of two modules; its name is new each time, because Python remembers modules."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    package = tmp_path / f"little_case_{next(COUNTER)}"
    (package / "features").mkdir(parents=True)
    (package / "__init__.py").write_text("NUMBER = 1\n")
    (package / "features" / "weather.py").write_text("WIND = 2\n")
    (tmp_path / "README.md").write_text("A case.\n")
    monkeypatch.syspath_prepend(tmp_path)
    invalidate_caches()
    return package


@pytest.fixture
def digest(use_case: Path) -> Callable[[], str]:
    return lambda: code_version(use_case.name, use_case.parent).training_digest


@pytest.fixture
def git(use_case: Path) -> Callable[..., str]:
    """Git in the checkout, by an author of the test's own."""

    def run(*arguments: str) -> str:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=use_case.parent, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    run("init", "--quiet")
    return run


def test_a_readme_data_and_other_line_ends_do_not_change_the_digest(use_case: Path, digest: Callable[[], str]) -> None:
    before = digest()

    (use_case.parent / "README.md").write_text("Another case.\n")
    (use_case / "notes.md").write_text("Notes.\n")
    (use_case / "features" / "weather.py").write_bytes(b"WIND = 2\r\n")

    assert digest() == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda package: (package / "__init__.py").write_text("NUMBER = 2\n"),
        lambda package: (package / "features" / "weather.py").write_text("WIND = 3\n"),
        lambda package: (package / "features" / "weather.py").rename(package / "features" / "wind.py"),
        lambda package: (package / "features" / "more.py").write_text(""),
    ],
    ids=["the package", "a module below", "a name", "a new module"],
)
def test_a_change_of_the_use_case_changes_the_digest(
    use_case: Path, digest: Callable[[], str], change: Callable[[Path], object]
) -> None:
    before = digest()

    change(use_case)

    assert digest() != before


def test_a_use_case_in_one_file_is_that_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    name = f"little_file_{next(COUNTER)}"
    (tmp_path / f"{name}.py").write_text("NUMBER = 1\n")
    before = code_version(name, tmp_path).training_digest

    (tmp_path / "beside.py").write_text("NUMBER = 2\n")
    assert code_version(name, tmp_path).training_digest == before
    (tmp_path / f"{name}.py").write_text("NUMBER = 2\n")
    assert code_version(name, tmp_path).training_digest != before


PLUMBING = {
    "gatehouse.errors",
    "gatehouse.evaluation.arrow_columns",  # drift: what monitoring compares with
    "gatehouse.evaluation.drift",
    "gatehouse.evaluation.one_pass",
    "gatehouse.lakehouse.audit",
    "gatehouse.lakehouse.audit_chain",
    "gatehouse.lakehouse.canonical",
    "gatehouse.lakehouse.delta_log",  # versions of tables are part of the training key
    "gatehouse.lakehouse.failures",
    "gatehouse.lakehouse.jvm",
    "gatehouse.lakehouse.lineage",
    "gatehouse.lakehouse.locks",
    "gatehouse.lakehouse.mlflow_globals",
    "gatehouse.lakehouse.model_files",
    "gatehouse.lakehouse.naming",
    "gatehouse.lakehouse.online",
    "gatehouse.lakehouse.session",
    "gatehouse.lakehouse.table_rules",  # what is refused
    "gatehouse.lakehouse.table_types",
    "gatehouse.lakehouse.tables",
    "gatehouse.pipelines.context",
    "gatehouse.pipelines.moments",
    "gatehouse.pipelines.scoring",  # what is refused
    "gatehouse.pipelines.tables",
    "gatehouse.reports.card",
    "gatehouse.settings",  # what they say has a digest of its own
}
"""What ingest, features and training stand on, and what does not decide which model comes out of given data."""


def test_every_module_behind_training_counts_or_is_known_not_to_matter() -> None:
    behind: set[str] = set()
    unread = ["gatehouse.pipelines.ingest", "gatehouse.pipelines.features", "gatehouse.pipelines.training"]
    while unread:
        name = unread.pop()
        if name not in behind:
            behind.add(name)
            unread += imported_by(name)

    assert {m for m in behind if not m.startswith(TRAINING_CODE)} == PLUMBING
    assert set(TRAINING_CODE) <= behind


def imported_by(name: str) -> set[str]:
    """Modules of gatehouse that this one imports, also inside functions, but not for types alone."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text("utf-8"))
    for_types = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    ignored = {id(below) for block in for_types for below in ast.walk(block)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in ignored and str(node.module).startswith("gatehouse."):
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {n for n in inner if is_module(n)} | (
                {str(node.module)} if not all(map(is_module, inner)) else set()
            )
    return found


def is_module(name: str) -> bool:
    parent = find_spec(name.rpartition(".")[0])
    return parent is not None and bool(parent.submodule_search_locations) and find_spec(name) is not None


def test_a_commit_is_named_and_a_tree_that_differs_from_it_says_so(use_case: Path, git: Callable[..., str]) -> None:
    git("add", ".")
    git("commit", "--quiet", "--message", "First")
    commit = git("rev-parse", "HEAD")

    clean = code_version(use_case.name, use_case.parent)
    (use_case.parent / "untracked.txt").write_text("not of the commit")
    beside = code_version(use_case.name, use_case.parent)
    (use_case.parent / "README.md").write_text("changed")
    changed = code_version(use_case.name, use_case.parent)

    assert (
        clean == beside == CodeVersion(commit=commit, author="ada@example.org", training_digest=clean.training_digest)
    )
    assert changed == CodeVersion(
        commit=f"{commit}+changes", author="ada@example.org", training_digest=clean.training_digest
    )


def test_outside_a_checkout_commit_and_author_are_unknown(use_case: Path) -> None:
    found = code_version(use_case.name, use_case.parent)

    assert (found.commit, found.author) == ("unknown", "unknown")


def test_before_the_first_commit_they_are_unknown_too(use_case: Path, git: Callable[..., str]) -> None:
    found = code_version(use_case.name, use_case.parent)

    assert (found.commit, found.author) == ("unknown", "unknown")


def test_without_git_they_are_unknown_too(use_case: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    found = code_version(use_case.name, use_case.parent)

    assert (found.commit, found.author) == ("unknown", "unknown")


def test_a_package_without_sources_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="The source of no_such_case cannot be found"):
        code_version("no_such_case", tmp_path)


def test_a_commit_is_checked_out_once_on_no_branch(use_case: Path, git: Callable[..., str]) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    first = git("rev-parse", "HEAD")
    (use_case / "__init__.py").write_text("NUMBER = 2\n")
    git("commit", "--quiet", "-am", "second")

    assert check_out(use_case.parent, first)
    assert (git("rev-parse", "HEAD"), git("branch", "--show-current")) == (first, "")
    assert (use_case / "__init__.py").read_text() == "NUMBER = 1\n"
    assert not check_out(use_case.parent, first)


def test_a_tree_with_changes_and_a_commit_that_is_not_there_are_refused(
    use_case: Path, git: Callable[..., str]
) -> None:
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    first = git("rev-parse", "HEAD")
    git("commit", "--quiet", "--allow-empty", "-m", "second")

    with pytest.raises(StateError, match="git does not know commit 000000000000 here"):
        check_out(use_case.parent, "0" * 40)
    (use_case / "__init__.py").write_text("NUMBER = 3\n")
    with pytest.raises(StateError, match="has changes"):
        check_out(use_case.parent, first)
    assert (use_case / "__init__.py").read_text() == "NUMBER = 3\n"


def test_where_there_is_no_git_the_file_of_the_deployment_says_the_same(
    use_case: Path, git: Callable[..., str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = use_case.parent
    (root / "pyproject.toml").touch()
    (root / "conf").mkdir()
    (root / "conf" / "environments.yml").write_text(f"project: {use_case.name}:PROJECT\n")
    commits = []
    for who, file in (("ada", "conf/environments.yml"), ("bob", "README.md"), ("cleo", "conf/training.yml")):
        (root / file).write_text(f"{(root / file).read_text() if (root / file).exists() else ''}# {who}\n")
        git("add", ".")
        git("commit", "--quiet", "-m", who, "--author", f"{who} <{who}@example.org>")
        commits.append(git("rev-parse", "HEAD"))
    first, second, last = commits
    deployed = tmp_path_factory.mktemp("deployed")  # not in the checkout, whose git would know better
    (deployed / CODE_FILE).write_text(json.dumps(code_of(root)))

    assert code_version(use_case.name, deployed) == code_version(use_case.name, root)
    for commit, since in ((last, None), (last, first), (last, second), (second, first), (first, "0" * 40)):
        said, known = (authors(use_case.name, place, commit=commit, since=since) for place in (deployed, root))
        assert said == known, (commit, since)
    assert authors(use_case.name, deployed, commit=last, since=first) == ("cleo <cleo@example.org>",)


def test_who_wrote_a_branch_before_the_champion_was_trained_and_merged_it_after_is_an_author(
    use_case: Path,
    git: Callable[..., str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = use_case.parent

    def commit(who: str, day: int, file: Path, text: str) -> str:
        file.write_text(text)
        for role in ("AUTHOR", "COMMITTER"):
            monkeypatch.setenv(f"GIT_{role}_DATE", f"2013-07-{day:02}T12:00:00Z")
        git("add", ".")
        git("commit", "--quiet", "-m", who, "--author", f"{who} <{who}@example.org>")
        return git("rev-parse", "HEAD")

    (root / "conf").mkdir()
    (root / "pyproject.toml").touch()
    first = commit("ada", 1, root / "conf" / "environments.yml", f"project: {use_case.name}:PROJECT\n")
    git("checkout", "--quiet", "-b", "branch")
    commit("eve", 2, root / "conf" / "training.yml", "seed: 2\n")
    git("checkout", "--quiet", "-b", "trunk", first)
    champion = commit("bob", 3, root / "README.md", "Another case.\n")
    git("merge", "--quiet", "--no-ff", "-m", "merge", "branch")
    merged = git("rev-parse", "HEAD")
    deployed = tmp_path_factory.mktemp("deployed")  # not in the checkout, whose git would know better
    (deployed / CODE_FILE).write_text(json.dumps(code_of(root)))

    for place in (root, deployed):
        assert authors(use_case.name, place, commit=merged, since=champion) == (
            "Ada <ada@example.org>",
            "eve <eve@example.org>",
        )


@pytest.mark.parametrize("since", ["unknown", "0" * 40], ids=["no commit", "a commit that git does not know"])
def test_where_git_does_not_know_the_champions_commit_whoever_changed_what_training_reads_is_an_author(
    use_case: Path, git: Callable[..., str], since: str
) -> None:
    for who, file in (("eve", use_case / "__init__.py"), ("bob", use_case.parent / "README.md")):
        file.write_text("# changed\n")
        git("add", ".")
        git("commit", "--quiet", "-m", who, "--author", f"{who} <{who}@example.org>")
    last = git("rev-parse", "HEAD")

    found = authors(use_case.name, use_case.parent, commit=last, since=since)

    assert found == ("bob <bob@example.org>", "eve <eve@example.org>")


def test_a_name_that_is_no_text_hides_no_author(use_case: Path, git: Callable[..., str]) -> None:
    git("add", ".")
    git("commit", "--quiet", "--message", "First")
    raw = subprocess.run(
        ["git", "cat-file", "commit", "HEAD"], cwd=use_case.parent, capture_output=True, check=True
    ).stdout
    author = next(line for line in raw.splitlines() if line.startswith(b"author "))
    forged = raw.replace(author, b"author Mal\xff <mal@example.org> 1372636800 +0000")
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=use_case.parent,
        input=forged,
        capture_output=True,
        check=True,
    )
    commit = made.stdout.decode().strip()

    assert authors(use_case.name, use_case.parent, commit=commit, since=None) == ("Mal\ufffd <mal@example.org>",)


def test_a_deployment_that_does_not_say_who_wrote_its_code_is_an_error(use_case: Path) -> None:
    (use_case.parent / CODE_FILE).write_text('{"commit": "4f2a"}')

    with pytest.raises(PlatformError, match=r"code\.json cannot be read"):
        code_version(use_case.name, use_case.parent)
