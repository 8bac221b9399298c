"""`driver: registry` on a laptop, as it runs: a real MLflow server, its own deliveries, commands in their processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gatehouse.lakehouse.store import FolderStore
from gatehouse.lakehouse.webhooks import registered_webhook
from gatehouse.listening.queue import Queue, State
from gatehouse.listening.server import server_in

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[4] / "examples" / "temperature"
PLACE = ("prod", "temperature")
LIMIT = 180
"""Seconds for one command, on a machine that may be busy."""


@dataclass(kw_only=True)
class Listening:
    """A running `gatehouse listen`."""

    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def until(self, words: str) -> str:
        """Read what it says up to a line with these words."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError(f"it ended before it said {words!r}: {''.join(self.said)}")

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        assert self.process.stderr is not None
        self.said += self.process.stderr.readlines()
        self.process.wait(LIMIT)
        self.process.stderr.close()


@dataclass(kw_only=True)
class Checkout:
    """The second use case as a repository of its own, whose production is judged by the registry."""

    folder: Path
    started: list[Listening] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / ".lakehouse"

    @property
    def queue(self) -> Queue:
        return Queue(self.root / "listen" / "prod.temperature")

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "gatehouse", *arguments]

    def run(self, *arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            self.line(*arguments), cwd=self.folder, capture_output=True, text=True, timeout=LIMIT, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def listen(self) -> Listening:
        process = subprocess.Popen(
            self.line("listen", "--env", "prod"),
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(Listening(process=process))
        return self.started[-1]

    def judge_line(self) -> tuple[str, str]:
        """What preflight says of the judge of production."""
        code, said = self.run("preflight", "--json")
        lines = json.loads(said[said.index("{") : said.rindex("}") + 1])["lines"]
        assert code in (0, 5)
        return next((line["state"], line["remedy"]) for line in lines if line["about"] == "judge of prod")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checkout]:
    for name in [name for name in os.environ if name.startswith(("GATEHOUSE_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "repository", ignore=shutil.ignore_patterns("__pycache__")))
    file = folder / "conf" / "environments.yml"
    file.write_text(file.read_text(encoding="utf-8").rstrip() + "\n    driver: registry\n", encoding="utf-8")
    (folder / ".gitignore").write_text(".lakehouse/\n__pycache__/\n", encoding="utf-8")
    git = ["git", "-c", "user.email=ada@example.org", "-c", "user.name=Ada"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    made = Checkout(folder=folder)
    yield made
    for listening in made.started:
        if listening.process.poll() is None:
            listening.end(signal.SIGTERM)
    with suppress(OSError, KeyError, ValueError):  # the server of a listener that was killed
        os.killpg(json.loads((made.queue.folder / "server.json").read_text())["pid"], signal.SIGKILL)


def test_from_a_new_version_to_the_champion_through_a_killed_listener(checkout: Checkout) -> None:
    assert checkout.judge_line() == ("problem", "gatehouse listen --env prod")
    listening = checkout.listen()
    address = listening.until("listening: ").rsplit(" ", 1)[1].strip()

    # Somebody else holds the gates, so that the version stays in the queue; then the listener is killed.
    with FolderStore(checkout.root).alone("prod.temperature.release", timeout=0):
        code, said = checkout.run("release", "--as-of", "2013-10-01", "--proposer", "ada@example.org", "--wait", "0")
        assert (code, "Nobody has judged version 1 within 0 minutes" in said) == (9, True), said
        listening.until("version 1 stays in the queue")
        assert unsigned(address) == 401
        os.kill(listening.process.pid, signal.SIGKILL)
        listening.process.wait(LIMIT)
    entry = checkout.queue.find("1")
    assert entry is not None
    assert (entry.state, entry.id.count("-")) == (State.TODO, 4), "it came by a delivery, whose id is a UUID"
    server = server_in(checkout.queue.folder)
    assert server is not None, "what the listener has started outlives it"

    code, said = checkout.run("listen", "--env", "prod", "--once")
    assert (code, "version 1 waits for approval" in said) == (0, True), said
    code, said = checkout.run("release", "--as-of", "2013-10-01", "--proposer", "ada@example.org", "--wait", "1")
    assert (code, "gatehouse approve 1 --env prod" in said) == (0, True), said

    code, said = checkout.run("approve", "1", "--as", "ada@example.org", "--reason", "mine")
    assert (code, "nobody approves what they proposed" in said) == (10, True), said
    listening = checkout.listen()
    assert server in listening.until("listening: ")
    assert checkout.run("approve", "1", "--as", "anna@example.org", "--reason", "read it")[0] == 0
    listening.until("version 1 is the champion")
    listening.end(signal.SIGTERM)
    assert server_in(checkout.queue.folder) is None, "the server goes with the listener that took it over"

    code, said = checkout.run("audit", "show", "--json")
    assert code == 0
    assert [said.count(f'"action": "{action}"') for action in ("judged", "decision_approve", "move_done")] == [1, 1, 1]
    assert checkout.judge_line()[0] == "ok"
    secret = json.loads((checkout.queue.folder / "keys.json").read_text())["secret"]
    assert secret not in "".join(line for started in checkout.started for line in started.said)
    assert checkout.run("approve", "1", "--from-ci")[0] == 3

    file = checkout.folder / "conf" / "environments.yml"
    file.write_text(file.read_text(encoding="utf-8").replace("driver: registry", "driver: ci"), encoding="utf-8")
    state, remedy = checkout.judge_line()
    assert (state, remedy.partition("    ")[0]) == ("problem", "gatehouse listen --env prod --remove")
    assert checkout.run("listen", "--env", "prod")[0] == 3
    assert checkout.run("listen", "--env", "prod", "--remove") == (0, "The webhook of prod is removed.\n")
    assert registered_webhook(checkout.root, PLACE) is None


def unsigned(address: str) -> int:
    """The answer to a delivery that nobody has signed."""
    body = {"entity": "model_version", "action": "created", "data": {"name": "x", "version": "1"}}
    try:
        with urllib.request.urlopen(address, data=json.dumps(body).encode(), timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
