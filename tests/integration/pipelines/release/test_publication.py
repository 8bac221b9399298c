"""What leaves the lakehouse: the files of a release, and calls for somebody."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gatehouse.gates.record import DecisionRecord

if TYPE_CHECKING:
    from tests.integration.pipelines.conftest import Command
    from tests.integration.pipelines.release.conftest import Road

pytestmark = pytest.mark.slow


def test_a_release_has_its_record_its_reasons_its_card_and_their_digests(
    road: Road, command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "dist" / "release"

    ended = command(road.lakehouse, f"publish 1 --env prod --to {folder}")

    assert ended.code == 0, ended.err
    names = [f"temperature-version-1-{what}" for what in ("record.json", "decision.md", "decision.html")]
    names += [f"temperature-version-1-card.{end}" for end in ("md", "html")]
    assert sorted(p.name for p in folder.iterdir()) == sorted([*names, "SHA256SUMS"])
    assert (folder / "SHA256SUMS").read_text() == "".join(
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names
    )
    assert DecisionRecord.from_json((folder / names[0]).read_text("utf-8")).digest() == road.record("1").digest()
    assert road.record("1").digest() in (folder / names[1]).read_text("utf-8")
    again = command(road.lakehouse, f"publish 1 --env prod --to {folder} --json")
    assert json.loads(again.out)["files"] == [*names, "SHA256SUMS"]


def test_what_was_not_judged_is_not_published(road: Road, command: Command, tmp_path: Path) -> None:
    ended = command(road.lakehouse, f"publish 3 --env prod --to {tmp_path / 'dist'}")

    assert ended.code == 5
    assert "was not judged yet" in ended.err
    assert not (tmp_path / "dist").exists()


@contextmanager
def listening(status: int = 200) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A webhook on this machine, with what it heard."""
    heard: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_alias_that_was_moved_by_hand_calls_once_and_is_settled_when_it_is_put_back(
    road: Road, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "alert --env prod --as-of 2013-12-01"
    context = road.context()
    assert command(road.lakehouse, line).out == "prod: nothing that somebody has to look at.\n"
    context.registry.set_alias(context.model, "champion", "2")

    with listening() as (address, heard):
        monkeypatch.setenv("HOOK", address)
        for _ in range(2):
            ended = command(road.lakehouse, f"{line} --webhook-url-env HOOK")
            assert ended.code == 0, ended.err
            assert ended.out.startswith("prod: the champion is not one that went through the gates. ")
        context.registry.set_alias(context.model, "champion", "1")
        assert command(road.lakehouse, f"{line} --webhook-url-env HOOK").out == "prod: champion is settled.\n"

    assert [(m["key"], m["state"]) for m in heard] == [("prod-champion", "open"), ("prod-champion", "settled")]
    assert "the alias was moved by another hand" in heard[0]["text"]
    assert "anybody but who proposed the version" in heard[0]["text"]


def test_a_webhook_that_is_not_there_is_an_error_that_does_not_show_its_address(
    road: Road, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = road.context()
    context.registry.set_alias(context.model, "champion", "2")
    line = "alert --env prod --as-of 2013-12-01 --webhook-url-env HOOK"

    monkeypatch.delenv("HOOK", raising=False)
    assert "The environment variable HOOK is not set." in command(road.lakehouse, line).err
    monkeypatch.setenv("HOOK", "ftp://hush.example")
    refused = command(road.lakehouse, line)
    with listening(status=410) as (address, _):
        monkeypatch.setenv("HOOK", f"{address}/hush")
        gone = command(road.lakehouse, line)
    down = command(road.lakehouse, line)

    assert (refused.code, gone.code, down.code) == (3, 11, 11)
    assert "answered 410" in gone.err
    assert "does not answer" in down.err
    assert "hush" not in refused.err + gone.err + down.err
