"""A `gatehouse` that writes down how it was called, answers what it is told to, and fails where it is told to.

For what is about the workflows alone: order, conditions, what a failure stops, what becomes of hostile words.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

IDENTITY = ("DATABRICKS_HOST", "DATABRICKS_CLIENT_ID", "DATABRICKS_AUTH_TYPE", "ENGINE")
"""What of its environment is written down."""
_PROGRAM = """#!{python} -IS
import json, os, signal, sys
words = sys.argv[1:]
job = os.environ.get("HARNESS_JOB") or os.environ["SYSTEM_STAGENAME"]
with open({log!r}, "a") as log:
    who = [os.environ.get(name, "") for name in {identity!r}]
    log.write(json.dumps([job.rpartition("/")[2], words, who]) + "\\n")

def output(**values):
    for name, value in values.items():
        if "GITHUB_OUTPUT" in os.environ:
            with open(os.environ["GITHUB_OUTPUT"], "a") as file:
                file.write(f"{{name}}={{value}}\\n")
        else:
            print(f"##vso[task.setvariable variable={{name}};isOutput=true]{{value}}")

def write(path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write("x")

if words[0] == "release":
    output(verdict={verdict!r}, version="7", live={live!r}, driver={driver!r})
if words[0] == "rehearse":
    write(".lakehouse/tables/x")
if words[:2] == ["state", "pack"]:
    write("dist/state/state.tar.gz")
    output(path="dist/state/state.tar.gz")
if words[0] == "publish":
    for name in ("x-decision.md", "x-record.json", "SHA256SUMS"):
        write(f"{{words[words.index('--to') + 1]}}/{{name}}")
if {hanging!r} and words[:len({hanging!r})] == {hanging!r}:
    print("hanging", flush=True)
    signal.pause()
failing = {failing!r}
sys.exit(9 if failing and [job.rpartition("/")[2], *words][:len(failing)] == failing else 0)
"""


@dataclass(frozen=True, slots=True)
class Calls:
    """What was called."""

    log: Path

    def by_job(self) -> dict[str, list[list[str]]]:
        """Arguments of each call, in the order of each job."""
        found: dict[str, list[list[str]]] = {}
        for line in self.log.read_text(encoding="utf-8").splitlines():
            job, words, _ = json.loads(line)
            found.setdefault(job, []).append(words)
        return found

    def identities(self) -> dict[str, set[tuple[str, ...]]]:
        """What each job's calls had in the variables of IDENTITY."""
        found: dict[str, set[tuple[str, ...]]] = {}
        for line in self.log.read_text(encoding="utf-8").splitlines():
            job, _, who = json.loads(line)
            found.setdefault(job, set()).add(tuple(who))
        return found

    def verbs(self) -> dict[str, list[str]]:
        """`release`, `state pack`, ... of each job."""
        return {
            job: [" ".join(words[:2]) if words[0] in ("state", "run") else words[0] for words in calls]
            for job, calls in self.by_job().items()
        }


def scripted_gatehouse(
    folder: Path,
    *,
    verdict: str = "promote",
    live: str = "false",
    driver: str = "ci",
    failing: list[str] | None = None,
    hanging: list[str] | None = None,
) -> tuple[Path, Calls]:
    """`failing` is a job, and the beginning of the arguments of its call: `["promote", "state", "point"]`.

    `hanging` is the beginning of the arguments of a call that never ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "calls"
    log.touch()
    program = folder / "gatehouse"
    text = _PROGRAM.format(
        python=sys.executable,
        log=str(log),
        identity=IDENTITY,
        verdict=verdict,
        live=live,
        driver=driver,
        failing=failing or [],
        hanging=hanging or [],
    )
    program.write_text(text, encoding="utf-8")
    program.chmod(0o755)
    return program, Calls(log)
