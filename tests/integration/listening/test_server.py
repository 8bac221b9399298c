"""The server that a listener keeps: started, found by others, taken over after a crash, and never left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gatehouse.errors import PlatformError, UsageError
from gatehouse.listening.server import answers, server_in, serving

HEALTHY = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Health(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Health).serve_forever()
"""
"""What answers as MLflow's server does when it is asked how it is."""


def healthy(port: int) -> list[str]:
    return [sys.executable, "-c", HEALTHY, str(port)]


def never(port: int) -> list[str]:
    raise AssertionError(f"a second server was to be started on {port}")


def test_it_is_started_found_by_others_and_gone_afterwards(tmp_path: Path) -> None:
    assert server_in(tmp_path) is None
    with serving(tmp_path, healthy, {}, given=None) as address:
        assert answers(address)
        assert server_in(tmp_path) == address
    assert not answers(address)
    assert server_in(tmp_path) is None


def test_its_settings_reach_it_and_nobody_else(tmp_path: Path) -> None:
    def telling(port: int) -> list[str]:
        return [sys.executable, "-c", "import os; print(os.environ['KEY'], flush=True)\n" + HEALTHY, str(port)]

    with serving(tmp_path, telling, {"KEY": "for it alone"}, given=None):
        assert (tmp_path / "server.log").read_text(encoding="utf-8").startswith("for it alone")
    assert "KEY" not in os.environ


def test_one_that_a_killed_listener_left_is_taken_over_and_ended(tmp_path: Path) -> None:
    keeping = """
import os, signal, sys
from pathlib import Path
from gatehouse.listening.server import serving
with serving(Path(sys.argv[1]), lambda port: [sys.executable, "-c", sys.argv[2], str(port)], {}, given=None):
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", keeping, str(tmp_path), HEALTHY], check=False)
    assert killed.returncode == -signal.SIGKILL
    left = server_in(tmp_path)
    assert left is not None

    with serving(tmp_path, never, {}, given=None) as address:
        assert address == left
    assert not answers(left)


def test_one_that_somebody_else_has_started_is_used_and_left_running(tmp_path: Path) -> None:
    with serving(tmp_path, healthy, {}, given=None) as theirs:
        folder = tmp_path / "listen"
        folder.mkdir()
        with serving(folder, never, {}, given=f"{theirs}/") as address:
            assert (address, server_in(folder)) == (theirs, theirs)
        assert answers(theirs)


def test_one_that_does_not_start_says_where_to_look(tmp_path: Path) -> None:
    def broken(_: int) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('no database')"]

    with (
        pytest.raises(PlatformError, match="did not start: it ended with 1") as raised,
        serving(tmp_path, broken, {}, given=None),
    ):
        pass
    assert str(tmp_path / "server.log") in raised.value.remedy
    assert "no database" in (tmp_path / "server.log").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "given", ["http://example.org:5000", "https://127.0.0.1:1", "http://u:p@127.0.0.1:1", "ftp://127.0.0.1", "[::"]
)
def test_the_secret_goes_to_no_other_machine(tmp_path: Path, given: str) -> None:
    with pytest.raises(UsageError, match="not on this machine"), serving(tmp_path, never, {}, given=given):
        pass


def test_a_server_that_does_not_answer_is_not_relied_on(tmp_path: Path) -> None:
    with (
        pytest.raises(PlatformError, match="No MLflow server answers"),
        serving(tmp_path, never, {}, given="http://127.0.0.1:1"),
    ):
        pass


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"address": "http://127.0.0.1:1"}', json.dumps({"address": "http://example.org:80", "pid": 1})],
)
def test_an_address_that_leads_nowhere_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content, encoding="utf-8")
    assert server_in(tmp_path) is None
