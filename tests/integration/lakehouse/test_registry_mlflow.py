"""What only MLflow's registry can get wrong: outages taken for absence, files shared or lost, noise on the terminal."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gatehouse.errors import AccessDenied, AliasMoved, Busy, RegistryUnavailable, StateError, StorageError
from gatehouse.lakehouse import mlflow_database, registry_mlflow
from gatehouse.lakehouse.mlflow_errors import translated
from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
from gatehouse.lakehouse.tracking import Tracking, open_tracking

pytestmark = pytest.mark.slow

MODEL = "prod.flights.delays"
WRITABLE = [("prod", "flights"), ("staging", "flights")]


@pytest.fixture
def registry(tracking: Tracking) -> MlflowRegistry:
    return tracking.registry(writable=WRITABLE)


@pytest.fixture
def champion(registry: MlflowRegistry, make_model: Callable[[float], Path]) -> MlflowRegistry:
    """A registry in which version 1 of MODEL is the champion."""
    registry.register(MODEL, source=str(make_model(0.25)), run_id=None, tags={})
    registry.set_alias(MODEL, "champion", "1")
    return registry


class Answers(BaseHTTPRequestHandler):
    """A server that gives one answer to everything."""

    status: int
    body: str

    def do_GET(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body.encode())

    do_POST = do_GET  # noqa: N815 (the base class names it)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, str], MlflowRegistry]]:
    """A registry behind a server on loopback that answers as told."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()

    def answer(status: int, body: str) -> MlflowRegistry:
        Answers.status, Answers.body = status, body
        address = f"http://127.0.0.1:{server.server_port}"
        return MlflowRegistry(address, address, root=tmp_path, writable=WRITABLE)

    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.broken_gate(5)
@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("INVALID_PARAMETER_VALUE", "Registered model alias champion not found."),
        ("RESOURCE_DOES_NOT_EXIST", f"Registered Model with name={MODEL} not found"),
        # Unity Catalog's words.
        ("RESOURCE_DOES_NOT_EXIST", "Registered Model Alias 'champion' does not exist."),
        ("RESOURCE_DOES_NOT_EXIST", f"Routine or Model '{MODEL}' does not exist."),
        ("NOT_FOUND", f"Registered Model '{MODEL}' does not exist."),
    ],
)
def test_there_is_no_champion_where_the_registry_says_so(
    answering: Callable[[int, str], MlflowRegistry], code: str, sentence: str
) -> None:
    registry = answering(404, json.dumps({"error_code": code, "message": sentence}))

    assert registry.by_alias(MODEL, "champion") is None


@pytest.mark.broken_gate(5)
@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, "<html>404 page not found</html>", RegistryUnavailable),
        (404, "Registered model alias champion not found.", RegistryUnavailable),
        (502, "Bad gateway", RegistryUnavailable),
        (200, "<html>Please sign in</html>", RegistryUnavailable),
        (429, json.dumps({"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Slow down"}), RegistryUnavailable),
        (500, json.dumps({"error_code": "INTERNAL_ERROR", "message": "alias champion not found"}), RegistryUnavailable),
        (503, json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Starting"}), RegistryUnavailable),
        (403, json.dumps({"error_code": "PERMISSION_DENIED", "message": "No EXECUTE on the model"}), AccessDenied),
        (401, "Credential was not sent", AccessDenied),
        (
            404,
            json.dumps({"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Catalog 'prod' does not exist."}),
            StateError,
        ),
        (
            404,
            json.dumps(
                {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model Alias 'x' does not exist."}
            ),
            StateError,
        ),
        (400, json.dumps({"error_code": "INVALID_PARAMETER_VALUE", "message": "Unknown parameter alias"}), StateError),
    ],
)
def test_anything_else_a_server_says_is_not_taken_for_no_champion(
    answering: Callable[[int, str], MlflowRegistry], status: int, body: str, error: type[Exception]
) -> None:
    registry = answering(status, body)

    with pytest.raises(error):
        registry.by_alias(MODEL, "champion")
    with pytest.raises(error):
        registry.compare_and_set_alias(MODEL, "champion", expected=None, version="1")
    with pytest.raises(error):
        registry.versions(MODEL)


@pytest.mark.broken_gate(5)
def test_a_server_that_is_down_is_not_taken_for_no_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with HTTPServer(("127.0.0.1", 0), Answers) as closed:
        address = f"http://127.0.0.1:{closed.server_port}"
    registry = MlflowRegistry(address, address, root=tmp_path, writable=WRITABLE)

    with pytest.raises(RegistryUnavailable, match="while asking who holds champion"):
        registry.by_alias(MODEL, "champion")
    with pytest.raises(RegistryUnavailable):
        registry.versions(MODEL)


@pytest.mark.broken_gate(5)
@pytest.mark.parametrize("error", [OSError("no host"), ConnectionResetError(104, "reset"), TimeoutError(110, "late")])
def test_a_network_that_fails_is_not_taken_for_a_full_disk(error: OSError) -> None:
    assert type(translated(error, "asking")) is RegistryUnavailable
    assert type(translated(OSError(28, "No space left on device"), "asking")) is StorageError


def lose(path: Path) -> None:
    path.unlink()


def scribble(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def drop_aliases(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE registered_model_aliases")


@pytest.mark.broken_gate(5)
@pytest.mark.parametrize(
    ("damage", "error"), [(lose, RegistryUnavailable), (scribble, StorageError), (drop_aliases, RegistryUnavailable)]
)
def test_a_database_lost_or_damaged_under_us_is_not_taken_for_no_champion(
    champion: MlflowRegistry, mlflow_root: Path, damage: Callable[[Path], None], error: type[Exception]
) -> None:
    damage(mlflow_root / "mlflow.db")

    with pytest.raises(error):
        champion.by_alias(MODEL, "champion")
    with pytest.raises(error):
        champion.compare_and_set_alias(MODEL, "champion", expected=None, version="1")


def test_an_alias_that_somebody_else_moved_right_after_the_write_is_found(
    champion: MlflowRegistry, mlflow_root: Path, make_model: Callable[[float], Path]
) -> None:
    """The lock does not reach other machines: one of them is a trigger that answers each write with its own."""
    champion.register(MODEL, source=str(make_model(0.75)), run_id=None, tags={})
    champion.register(MODEL, source=str(make_model(0.5)), run_id=None, tags={})
    with closing(sqlite3.connect(mlflow_root / "mlflow.db")) as database:
        database.execute(
            "CREATE TRIGGER rival AFTER UPDATE ON registered_model_aliases WHEN NEW.version = 2 "
            "BEGIN UPDATE registered_model_aliases SET version = 3 WHERE alias = NEW.alias; END"
        )

    with pytest.raises(AliasMoved, match="held by version 3, not by version 2") as caught:
        champion.compare_and_set_alias(MODEL, "champion", expected="1", version="2")

    assert caught.value.holder == "3"


def test_whoever_waits_too_long_for_another_process_is_told_so(
    champion: MlflowRegistry, mlflow_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_database, "LOCK_SECONDS", 0.01)

    with mlflow_database.exclusive(mlflow_root), pytest.raises(Busy, match=r"Another process has held .*mlflow\.lock"):
        champion.set_alias(MODEL, "champion", "1")


def test_all_versions_are_listed_however_many_pages_they_fill(
    champion: MlflowRegistry, make_model: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_mlflow, "PAGE", 2)
    files = str(make_model(0.75))
    for _ in range(4):
        champion.register(MODEL, source=files, run_id=None, tags={})

    assert [v.version for v in champion.versions(MODEL)] == ["5", "4", "3", "2", "1"]


def test_a_copy_has_files_of_its_own(champion: MlflowRegistry, make_model: Callable[[float], Path]) -> None:
    files = make_model(0.75)
    champion.register("staging.flights.delays", source=str(files), run_id=None, tags={})
    judged = champion.digest("staging.flights.delays", "1")

    copied = champion.copy("staging.flights.delays", "1", to=MODEL)
    again = champion.copy("staging.flights.delays", "1", to=MODEL)
    champion.delete("staging.flights.delays")
    shutil.rmtree(files)

    assert [copied.version, again.version] == ["2", "3"]
    assert champion.digest(MODEL, "2") == champion.digest(MODEL, "3") == judged


def test_a_lakehouse_that_was_moved_finds_its_files(
    tracking: Tracking, mlflow_root: Path, tmp_path: Path, make_model: Callable[[float], Path]
) -> None:
    registry = tracking.registry(writable=WRITABLE)
    with tracking.run("training", tags={}) as run:
        run.log_text("A card", "card.md")
    files = mlflow_root / "artifacts" / "model"
    shutil.copytree(make_model(0.25), files)
    registry.register(MODEL, source=files.as_uri(), run_id=run.run_id, tags={})
    judged = registry.digest(MODEL, "1")

    moved = tmp_path / "elsewhere" / "lake house"
    moved.parent.mkdir()
    mlflow_root.rename(moved)
    tracking = open_tracking(moved, experiment="dev.flights.delays")
    registry = tracking.registry(writable=WRITABLE)

    assert registry.download(MODEL, "1") == moved / "artifacts" / "model"
    assert registry.digest(MODEL, "1") == judged
    assert Path(tracking.client.download_artifacts(run.run_id, "card.md")).read_text() == "A card"
    assert tracking.client.get_run(run.run_id).info.artifact_uri.startswith(moved.as_uri())


def test_after_a_reset_nothing_of_the_old_registry_is_seen_or_written(
    champion: MlflowRegistry, mlflow_root: Path, mlflow_template: Path, make_model: Callable[[float], Path]
) -> None:
    (mlflow_root / "mlflow.db").unlink()
    shutil.copy(mlflow_template, mlflow_root)
    registry = open_tracking(mlflow_root, experiment="dev.flights.delays").registry(writable=WRITABLE)

    assert registry.by_alias(MODEL, "champion") is None
    registry.register(MODEL, source=str(make_model(0.75)), run_id=None, tags={"new": "yes"})
    with closing(sqlite3.connect(mlflow_root / "mlflow.db")) as database:
        assert database.execute("SELECT name, version FROM model_versions").fetchall() == [(MODEL, 1)]


def test_mlflow_says_nothing_on_the_terminal(champion: MlflowRegistry, capsys: pytest.CaptureFixture[str]) -> None:
    champion.copy(MODEL, "1", to="staging.flights.delays")
    champion.load(MODEL, "1")
    with pytest.raises(StateError):
        champion.get(MODEL, "2")

    assert capsys.readouterr() == ("", "")
