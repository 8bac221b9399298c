"""Many processes on one audit log, some of them killed: one chain, nothing twice, nothing lost that was told."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gatehouse.lakehouse.audit import AuditLog, Verification
from gatehouse.lakehouse.session import Engine
from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.tables import DeltaTables, TableName

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.slow

NAME = TableName("prod", "main", "audit_log")
PROCESSES = 20
KILLS = 12

# Forked before the engine starts: each child then has a session of its own, without paying for the imports again.
FORKS = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
os.environ["SPARK_CONNECT_MODE_ENABLED"] = "1"
import pyspark.sql.connect.functions, pyspark.sql.connect.session
import deltalake
from gatehouse.lakehouse.audit import AuditLog
from gatehouse.lakehouse.session import Engine, open_session
from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.tables import DeltaTables, TableName

root, entries = Path(sys.argv[1]), int(sys.argv[2])

def write(child):
    tables = DeltaTables(open_session(Engine.SAIL, catalogs=["prod"]), Engine.SAIL, root, writable=[("prod", "main")])
    name = TableName("prod", "main", "audit_log")
    log = AuditLog(tables, name, store=FolderStore(root), clock=lambda: datetime.now(UTC))
    for number in range(entries):
        key = f"{child}-{number}"
        log.append(action="promote", actor=f"process {child}", actor_source="its number", key=key)
        os.write(1, f"{key}\\n".encode())  # at once: writers share this pipe

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
for line in sys.stdin:
    child = line.strip()
    if os.fork() == 0:
        os.write(1, f"{child} is {os.getpid()}\\n".encode())
        write(child)
        os._exit(0)
"""


@pytest.mark.engine("sail")
def test_twenty_processes_write_one_chain(spark: SparkSession, engine: Engine, lakehouse_root: Path) -> None:
    with forks(lakehouse_root, entries=2) as parent:
        told, _ = parent.communicate("".join(f"{child}\n" for child in range(PROCESSES)), timeout=300)

    log = open_log(spark, engine, lakehouse_root)
    expected = {f"{child}-{number}" for child in range(PROCESSES) for number in range(2)}
    assert {line for line in told.splitlines() if " is " not in line} == expected
    assert Counter(e.key for e in log.entries()) == Counter(expected)
    assert [e.seq for e in log.entries()] == list(range(1, 2 * PROCESSES + 1))
    assert log.verify().problems == ()


@pytest.mark.engine("sail")
def test_killed_processes_leave_a_chain_that_goes_on(spark: SparkSession, engine: Engine, lakehouse_root: Path) -> None:
    log = open_log(spark, engine, lakehouse_root)
    moments = random.Random(7)  # noqa: S311
    with forks(lakehouse_root, entries=10_000) as parent:
        assert parent.stdin is not None
        told: list[str] = []
        for kill in range(KILLS):
            parent.stdin.write(f"{kill}\n")
            parent.stdin.flush()
            process = int(heard(parent, f"{kill} is ", told))
            heard(parent, f"{kill}-0", told)
            time.sleep(moments.uniform(0, 0.1))  # not a wait for anything: an append takes about 0.04 s
            os.kill(process, signal.SIGKILL)
            last = log.append(action="look", actor="anna", actor_source="--as", key=f"after kill {kill}")
            assert log.verify() == Verification(problems=(), head=last.head)
        told += parent.communicate(timeout=60)[0].split()

    keys = Counter(e.key for e in log.entries())
    assert set(keys.values()) == {1}
    assert set(told) <= set(keys)
    assert [e.seq for e in log.entries()] == list(range(1, len(keys) + 1))


def forks(root: Path, *, entries: int) -> subprocess.Popen[str]:
    """A process that forks a writer of so many entries for each name it reads; they say what they wrote."""
    script = root.parent / "forks.py"  # a file: pyspark takes a program without one for its own doctests
    script.write_text(FORKS)
    return subprocess.Popen(
        [sys.executable, str(script), str(root), str(entries)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def heard(parent: subprocess.Popen[str], beginning: str, told: list[str]) -> str:
    """The rest of the next line that begins so; keys of entries on the way are noted."""
    assert parent.stdout is not None
    for line in parent.stdout:
        if " is " not in line:
            told.append(line.strip())
        if line.startswith(beginning):
            return line.removeprefix(beginning)
    raise AssertionError(f"the writers ended without saying {beginning!r}")


def open_log(spark: SparkSession, engine: Engine, root: Path) -> AuditLog:
    tables = DeltaTables(spark, engine, root, writable=[("prod", "main")])
    return AuditLog(tables, NAME, store=FolderStore(root), clock=lambda: datetime.now(UTC))
