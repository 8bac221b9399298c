"""The state of an environment from run to run: packed whole, named by one ref, restored by whoever comes next.

The pointer lives in a real git repository; the CI is one in memory that keeps artefacts as GitHub does.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sqlite3
import subprocess
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from filelock import FileLock

from gatehouse.ci.provider import Artefact, CiRun
from gatehouse.ci.unable import Unable
from gatehouse.errors import Busy, GatehouseError, PlatformError, StateError, StorageError
from gatehouse.state.archive import MANIFEST, Scope, at_rest, pack, unpack
from gatehouse.state.passing import Standing, pack_state, point, restore
from gatehouse.state.pointer import Pointed, PointerRef

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
PROD = Scope(environment="prod", places=("prod.flights",))
AT_START = Standing(champion="3", clock="2013-07-08T00:00:00+00:00", audit={"seq": 7, "hash": "a" * 64})


@dataclass
class Memory(Unable):
    """A CI that keeps what is uploaded, as long as nobody deletes it."""

    kept: dict[str, tuple[Artefact, Path]] = field(default_factory=dict)
    name = "memory"

    def run(self) -> CiRun:
        return CiRun(
            id="41", attempt=1, url="", event="push", ref="", commit="", repository="", people=(), visibility="public"
        )

    def proposers(self) -> tuple[str, ...]:
        return ()

    def upload(self, folder: Path, **differing: object) -> str:
        """What the CI's own step does; returns the number it gives."""
        number = str(1000 + len(self.kept))
        copy = folder.parent / f"artefact-{number}"
        shutil.copytree(folder, copy)
        artefact = Artefact(id=number, name="state", digest="", run_id="41", created_at=NOON, expired=False, ours=True)
        self.kept[number] = (replace(artefact, **differing), copy)  # type: ignore[arg-type]
        return number

    def artefact(self, identifier: str) -> Artefact | None:
        return self.kept[identifier][0] if identifier in self.kept else None

    def download(self, artefact: Artefact, folder: Path) -> None:
        shutil.copytree(self.kept[artefact.id][1], folder / artefact.name)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@dataclass
class Runner:
    """A fresh machine with a clone: what each job of a workflow gets."""

    clone: Path
    ci: Memory

    @property
    def root(self) -> Path:
        return self.clone / ".lakehouse"

    @property
    def dist(self) -> Path:
        return self.clone / "dist"

    def ref(self, remote: str = "origin") -> PointerRef:
        return PointerRef(self.clone, "prod", environ={}, remote=remote)

    def restore(self) -> str | None:
        found = restore(self.root, PROD, self.ref(), self.ci)
        return found.commit if found else None

    def work(self, text: str) -> None:
        """What a run leaves in the lakehouse."""
        fill(self.root, text)

    def pack(self) -> None:
        pack_state(self.root, PROD, self.dist, lambda: AT_START, now=NOON, run="41")

    def upload(self, **differing: object) -> str:
        return self.ci.upload(self.dist, **differing)

    def point(self, artefact: str) -> str:
        return point(self.root, PROD, self.dist, self.ref(), self.ci, artefact=artefact).commit

    def all(self, text: str) -> str:
        """A whole job."""
        self.restore()
        self.work(text)
        self.pack()
        return self.point(self.upload())


def fill(root: Path, text: str) -> None:
    files = {
        "tables/prod/flights/predictions/part-0.parquet": text,
        "tables/prod/flights/predictions/_delta_log/00.json": f"{text} committed",
        "tables/prod/flights/_gatehouse_staging/part-1.parquet": "left by a killed run",
        "tables/staging/flights/flights/part-0.parquet": "another environment's",
        "artifacts/prod.flights.delays/model/MLmodel": text,
        "audit/prod.flights.json": text,
        "audit/prod.flights.part": "half",
        "state/prod.flights.json": text,
        "state/staging.flights.json": "another environment's",
        "report/decisions/prod.flights/version-3.json": text,
        "report/index.html": "made again by the next run",
        "locks/prod.flights.lock": "",
    }
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    with closing(sqlite3.connect(root / "mlflow.db")) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS runs (said TEXT)")
        database.execute("DELETE FROM runs")
        database.execute("INSERT INTO runs VALUES (?)", (text,))


def held(root: Path) -> dict[str, str]:
    """Every file with its content; of the database, its one row."""
    found = {
        p.relative_to(root).as_posix(): p.read_text()
        for p in sorted(root.rglob("*"))
        if p.is_file() and p.suffix != ".lock" and not p.name.startswith(("mlflow.db", "restored-"))
    }
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        found["mlflow.db"] = database.execute("SELECT said FROM runs").fetchone()[0]
    return found


def prods(text: str) -> dict[str, str]:
    return {
        "artifacts/prod.flights.delays/model/MLmodel": text,
        "audit/prod.flights.json": text,
        "mlflow.db": text,
        "report/decisions/prod.flights/version-3.json": text,
        "state/prod.flights.json": text,
        "tables/prod/flights/predictions/_delta_log/00.json": f"{text} committed",
        "tables/prod/flights/predictions/part-0.parquet": text,
    }


@pytest.fixture
def runner(tmp_path: Path) -> Callable[[], Runner]:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(remote)], check=True)
    ci = Memory()

    def start() -> Runner:
        clone = tmp_path / f"job-{len(list(tmp_path.iterdir()))}" / "checkout"
        clone.mkdir(parents=True)
        git(clone, "init", "--quiet")
        git(clone, "remote", "add", "origin", str(remote))
        return Runner(clone, ci)

    return start


def test_the_first_run_begins_anew_and_each_next_one_goes_on_from_the_last(runner: Callable[[], Runner]) -> None:
    first, second, third = runner(), runner(), runner()

    assert first.restore() is None
    first.work("July")
    first.pack()
    one = first.point(first.upload())

    assert second.restore() == one
    assert held(second.root) == prods("July")
    second.work("August")
    second.pack()
    two = second.point(second.upload())

    assert third.restore() == two
    assert held(third.root) == prods("August")
    assert git(third.clone, "log", "--format=%H %an %s", two).splitlines() == [
        f"{two} gatehouse State of prod",
        f"{one} gatehouse State of prod",
    ]
    said = third.ref().read()
    assert said is not None
    assert said.said.model_dump(exclude={"sha256"}) == {
        "environment": "prod",
        "artefact": "1001",
        "run": "41",
        "packed_at": "2026-11-21 12:00 UTC",
        "champion": "3",
        "clock": "2013-07-08T00:00:00+00:00",
        "audit": {"seq": 7, "hash": "a" * 64},
    }


def test_one_job_may_point_twice(runner: Callable[[], Runner]) -> None:
    job = runner()
    one = job.all("candidate")
    job.work("promoted")
    job.pack()

    two = job.point(job.upload())

    assert git(job.clone, "rev-parse", f"{two}^") == one


@pytest.mark.parametrize("begun", [False, True])
def test_of_two_that_point_at_once_exactly_one_wins_and_the_other_learns_who(
    runner: Callable[[], Runner], begun: bool
) -> None:
    if begun:
        runner().all("July")
    jobs = [runner() for _ in range(4)]
    for number, job in enumerate(jobs):
        job.restore()
        job.work(f"run {number}")
        job.pack()
    numbers = [job.upload() for job in jobs]
    start, ended = threading.Barrier(len(jobs)), dict[int, str | GatehouseError]()

    def go(number: int) -> None:
        start.wait()
        try:
            ended[number] = jobs[number].point(numbers[number])
        except GatehouseError as error:
            ended[number] = error

    threads = [threading.Thread(target=go, args=(n,)) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = [n for n, end in ended.items() if isinstance(end, str)]
    lost = [end for end in ended.values() if isinstance(end, GatehouseError)]
    assert [type(error) for error in lost] == [Busy] * 3
    assert all("run 41 was first, at 2026-11-21 12:00 UTC" in error.what for error in lost)
    next_one = runner()
    assert next_one.restore() == ended[winner]
    assert held(next_one.root) == prods(f"run {winner}")


def test_a_state_that_is_gone_expired_or_foreign_is_refused_and_nothing_is_made(runner: Callable[[], Runner]) -> None:
    maker = runner()
    maker.restore()
    maker.work("July")
    maker.pack()
    number = maker.upload()
    maker.point(number)
    artefact, copy = maker.ci.kept[number]

    for kept, said in (
        ({}, "is gone"),
        ({number: (replace(artefact, expired=True), copy)}, "has expired"),
        ({number: (replace(artefact, ours=False), copy)}, "was not made by a run of this repository"),
        ({number: (artefact, _empty(maker.clone))}, r"holds no state-prod\.tar\.gz"),
    ):
        job = runner()
        job.ci = Memory(kept=kept)
        with pytest.raises(StateError, match=said) as refused:
            job.restore()
        assert refused.value.remedy.endswith("begins anew after: git push origin :refs/gatehouse/state-prod")
        assert not job.root.exists()

    anew = runner()
    git(anew.clone, *refused.value.remedy.rpartition("git ")[2].split())
    assert anew.restore() is None
    anew.work("began anew")
    anew.pack()
    assert git(anew.clone, "rev-list", "--count", anew.point(anew.upload())) == "1"


def _empty(near: Path) -> Path:
    folder = near.parent / f"empty-{len(list(near.parent.iterdir()))}"
    folder.mkdir()
    return folder


def test_an_archive_that_was_exchanged_is_not_unpacked(runner: Callable[[], Runner]) -> None:
    maker = runner()
    maker.all("July")
    other = runner()
    other.work("forged")
    other.pack()
    (_, copy), *_ = maker.ci.kept.values()
    shutil.copy(other.dist / "state-prod.tar.gz", copy)

    job = runner()
    with pytest.raises(StateError, match="is not what the pointer names"):
        job.restore()
    assert not job.root.exists()


def test_a_lakehouse_with_something_in_it_is_not_overwritten(runner: Callable[[], Runner]) -> None:
    runner().all("July")
    job = runner()
    (job.root / "locks").mkdir(parents=True)
    (job.root / "proposals").mkdir()

    with pytest.raises(StateError, match="is not empty: there are proposals"):
        job.restore()
    (job.root / "proposals").rmdir()
    assert job.restore() is not None


def test_without_a_restore_a_pack_or_an_upload_nothing_is_pointed_to(runner: Callable[[], Runner]) -> None:
    job = runner()
    job.work("July")
    job.pack()
    number = job.upload()

    with pytest.raises(StateError, match="Nothing says which state of prod this lakehouse goes on from"):
        job.point(number)
    shutil.move(job.root, job.clone / "aside")
    job.restore()
    shutil.rmtree(job.root / "locks", ignore_errors=True)
    with pytest.raises(StateError, match="There is no artefact '7' of this repository"):
        job.point("7")
    (job.dist / "state-prod.json").write_text("{}")
    with pytest.raises(StateError, match="is not there, or damaged"):
        job.point(number)
    assert job.ref().read() is None


def test_a_pointer_that_is_none_and_a_remote_that_is_not_there_are_told(runner: Callable[[], Runner]) -> None:
    job = runner()
    job.all("July")
    tree = git(job.clone, "hash-object", "-t", "tree", "-w", "/dev/null")
    empty = git(job.clone, "-c", "user.name=x", "-c", "user.email=x@x", "commit-tree", tree, "-m", "x")
    git(job.clone, "push", "--quiet", "--force", "origin", f"{empty}:refs/gatehouse/state-prod")

    with pytest.raises(PlatformError, match="git cat-file failed"):
        runner().restore()
    with pytest.raises(PlatformError, match="git ls-remote failed"):
        job.ref("nowhere").read()


def test_the_token_reaches_git_and_no_message(runner: Callable[[], Runner], tmp_path: Path) -> None:
    seen = tmp_path / "bin"
    seen.mkdir()
    script = seen / "git"
    script.write_text(f'#!/bin/sh\nenv > "{tmp_path}/environment"\necho "$@" > "{tmp_path}/arguments"\nexit 1\n')
    script.chmod(0o755)
    environ = {
        "PATH": f"{seen}:/usr/bin:/bin",
        "GITHUB_ACTIONS": "true",
        "GITHUB_TOKEN": "ghs_secret",
        "GITHUB_SERVER_URL": "https://github.example",
    }

    with pytest.raises(PlatformError) as raised:
        PointerRef(runner().clone, "prod", environ=environ).read()

    said = (tmp_path / "environment").read_text()
    assert "GIT_CONFIG_KEY_0=http.https://github.example/.extraheader\n" in said
    assert "GIT_CONFIG_VALUE_0=AUTHORIZATION: basic eC1hY2Nlc3MtdG9rZW46Z2hzX3NlY3JldA==\n" in said
    assert "secret" not in (tmp_path / "arguments").read_text() + str(raised.value)


def test_two_use_cases_of_one_repository_have_a_state_each(runner: Callable[[], Runner]) -> None:
    machine = runner()
    first = machine.all("the use case at the root")
    below = machine.clone / "projects" / "buses"
    below.mkdir(parents=True)

    assert PointerRef(below, "prod", environ={}).read() is None
    second = PointerRef(below, "prod", environ={}).move(machine.ref().read().said, expected=None)  # type: ignore[union-attr]

    assert (machine.ref().commit(), PointerRef(below, "prod", environ={}).commit()) == (first, second)
    refs = git(machine.clone, "ls-remote", "origin", "refs/gatehouse/*").split()[1::2]
    assert refs == ["refs/gatehouse/projects/buses/state-prod", "refs/gatehouse/state-prod"]


def test_packing_waits_for_nobody_and_says_who_works(tmp_path: Path) -> None:
    fill(tmp_path / "lake", "July")
    locks = tmp_path / "lake" / "locks"

    for name in ("prod.flights.training", "prod.flights", "prod.flights.delays.aliases"):
        with (
            FileLock(locks / f"{name}.lock"),
            pytest.raises(Busy, match=f"the lock {name} is held"),
            at_rest(tmp_path / "lake", PROD),
        ):
            pass
    with FileLock(locks / "staging.flights.training.lock"), at_rest(tmp_path / "lake", PROD):
        pass


def test_the_same_state_gives_the_same_bytes(tmp_path: Path) -> None:
    fill(tmp_path / "one", "July")
    shutil.copytree(tmp_path / "one", tmp_path / "two")

    digests = {pack(tmp_path / name, PROD, tmp_path / f"{name}.tar.gz") for name in ("one", "two")}

    assert len(digests) == 1


def hostile(name: str, **values: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    for key, value in values.items():
        setattr(entry, key, value)
    return entry


@pytest.mark.parametrize(
    "entry",
    [
        hostile("/etc/cron.d/x"),
        hostile("../outside"),
        hostile("tables/../../outside"),
        hostile("tables/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        hostile("tables/hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        hostile("tables/device", type=tarfile.CHRTYPE),
        hostile("tables/folder", type=tarfile.DIRTYPE),
        hostile(".git/hooks/post-checkout"),
        hostile("locks/x"),
    ],
    ids=lambda entry: entry.name,
)
def test_what_has_no_place_in_a_state_is_not_unpacked(tmp_path: Path, entry: tarfile.TarInfo) -> None:
    archive, root = tmp_path / "state.tar.gz", tmp_path / "lake" / "house"
    with tarfile.open(archive, "w:gz") as tar:
        manifest = hostile(MANIFEST, size=len(PROD.manifest))
        tar.addfile(manifest, io.BytesIO(PROD.manifest.encode()))
        tar.addfile(entry)

    with pytest.raises(StorageError, match="has no place in a state"):
        unpack(archive, root, PROD, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())

    assert list(root.parent.iterdir()) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lake", "state.tar.gz"]


def test_a_cut_archive_and_another_environments_are_not_unpacked(tmp_path: Path) -> None:
    fill(tmp_path / "lake", "July")
    archive = tmp_path / "state.tar.gz"
    pack(tmp_path / "lake", PROD, archive)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "new", PROD, sha256=hashlib.sha256(archive.read_bytes()).hexdigest())
    archive.write_bytes(whole)
    with pytest.raises(StateError, match=r"The archive says of itself .*prod.flights"):
        unpack(
            archive,
            tmp_path / "new",
            Scope(environment="prod", places=("prod.parcels",)),
            sha256=hashlib.sha256(whole).hexdigest(),
        )
    assert not (tmp_path / "new").exists()
    assert json.loads(PROD.manifest) == {"format": 1, "environment": "prod", "place": "prod.flights"}
    with pytest.raises(ValueError, match="sha256"):
        Pointed(
            environment="prod", artefact="1", run="", sha256="x", packed_at="", champion=None, clock=None, audit=None
        )
