"""The demo as its reader meets it: a process of its own, in an empty folder, and once more in the same one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow


@dataclass(frozen=True, slots=True)
class Told:
    """What the demo said, and what production held after it."""

    said: str
    status: dict[str, Any]
    entries: list[dict[str, Any]]


def gatehouse(root: Path, *words: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("SPARK_", "DATABRICKS_", "GATEHOUSE_"))}
    command = [sys.executable, "-m", "gatehouse", "--lakehouse", str(root), *words]
    ran = subprocess.run(command, env={**kept, "COLUMNS": "160"}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def told(root: Path) -> Told:
    return Told(
        gatehouse(root, "demo"),
        json.loads(gatehouse(root, "status", "--env", "prod", "--json")),
        json.loads(gatehouse(root, "audit", "show", "--env", "prod", "--json")),
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "lakehouse"


@pytest.fixture(scope="module")
def twice(root: Path) -> tuple[Told, Told]:
    return told(root), told(root)


def acts(told: Told) -> list[tuple[str, str]]:
    """(action, version) of what was decided and moved."""
    return [(e["action"], e["version"]) for e in told.entries if e["action"] in ("decision_approve", "move_done")]


def test_a_better_model_is_let_through_worse_ones_are_not_and_there_is_a_way_back(twice: tuple[Told, Told]) -> None:
    first, _ = twice
    verdicts = {e["version"]: e["details"]["verdict"] for e in first.entries if e["action"] == "judged"}
    assert verdicts == {"1": "PROMOTE", "2": "PROMOTE", "3": "HOLD", "4": "HOLD"}
    assert acts(first) == [
        ("decision_approve", "1"),
        ("move_done", "1"),
        ("decision_approve", "2"),
        ("move_done", "2"),
        ("move_done", "1"),
    ]
    assert first.status["champion"] == "1"
    for said in ("approves their own, and is refused", "The model reads columns it must not: departure_delay_minutes"):
        assert said in first.said


def test_its_report_is_a_page_with_figures(twice: tuple[Told, Told], root: Path) -> None:
    assert f"{root}/report/index.html" in twice[0].said
    index, prod = ((root / "report" / page).read_text(encoding="utf-8") for page in ("index.html", "prod.html"))
    assert 'href="prod.html"' in index
    assert prod.count("<svg") + prod.count("data:image") > 3


def test_a_second_time_nothing_is_decided_moved_or_written_again(twice: tuple[Told, Told], root: Path) -> None:
    first, second = twice
    assert "is in use: what was done there is not done again" in second.said
    assert acts(second) == acts(first)
    assert second.status["champion"] == first.status["champion"]
    # Candidates that were held are judged once more: against the champion that was gone back to.
    kept = [
        {
            t["name"]: t
            for t in told.status["tables"]
            if t["name"] not in ("gate_metrics", "gate_decisions", "audit_log")
        }
        for told in twice
    ]
    assert {"flights", "carrier_punctuality", "predictions", "monitoring_metrics"} <= kept[0].keys()
    assert kept[1] == kept[0]
    gatehouse(root, "audit", "verify", "--env", "prod")


def test_a_champion_that_somebody_promoted_since_stays(twice: tuple[Told, Told], root: Path) -> None:
    approver = ("--env", "prod", "--as", "approver@example.org")
    gatehouse(root, "approve", "2", "--reason", "it was not the model", *approver)
    gatehouse(root, "promote", "2", *approver)
    assert told(root).status["champion"] == "2"
