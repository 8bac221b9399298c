"""The ports of a workspace that are no tables: its store keeps the laptop's promises, schemas go, files land."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from pyspark.sql import SparkSession
from tests.template.harness.workspace import ADMIN, Workspace

from gatehouse.errors import AccessDenied, Busy, Refused, Unanswered
from gatehouse.lakehouse.store import FolderStore, Store
from gatehouse.lakehouse.table_types import TableName
from gatehouse.lakehouse.workspace import WorkspacePlatform

CATALOG = "ported"


@pytest.fixture
def admin(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> WorkspaceClient:
    for name, value in workspace.environ(ADMIN).items():
        monkeypatch.setenv(name, value)
    client = WorkspaceClient(host=workspace.host, token=workspace.token_of(ADMIN), auth_type="pat")
    if CATALOG not in [catalog.name for catalog in client.catalogs.list()]:
        from databricks.sdk.service.catalog import VolumeType

        client.catalogs.create(CATALOG)
        client.schemas.create("main", CATALOG)
        for volume in ("gatehouse", "landing"):
            client.volumes.create(CATALOG, "main", volume, VolumeType.MANAGED)
    return client


@pytest.fixture
def platform(admin: WorkspaceClient, tmp_path: Path) -> WorkspacePlatform:
    return WorkspacePlatform(
        tmp_path / "scratch", volume=f"{CATALOG}.main.gatehouse", landing=f"{CATALOG}.main.landing"
    )


@pytest.fixture(params=["folder", "volume"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "folder":
        yield FolderStore(tmp_path)
        return
    store = request.getfixturevalue("platform").store
    yield store
    for name in store.names("kept"):
        store.delete(f"kept/{name}")


def test_a_store_keeps_what_was_written_last(store: Store) -> None:
    assert (store.read("kept/a.json"), store.names("kept")) == (None, ())
    store.write("kept/b.json", "Grüße")
    store.write("kept/a.json", "1")
    store.write("kept/a.json", "")
    assert (store.read("kept/a.json"), store.read("kept/b.json")) == ("", "Grüße")
    assert store.names("kept") == ("a.json", "b.json")

    for _ in range(2):
        store.delete("kept/a.json")
    assert (store.read("kept/a.json"), store.names("kept")) == (None, ("b.json",))


def test_a_store_lets_one_work_at_a_time_on_this_machine(store: Store) -> None:
    with store.alone("x", timeout=0), pytest.raises(Busy), store.alone("x", timeout=0):
        pass
    with store.alone("x", timeout=0), store.alone("y", timeout=0):
        pass


def test_a_schema_is_made_by_one_and_dropped_with_what_is_in_it(platform: WorkspacePlatform) -> None:
    place = (CATALOG, "pr_7")
    assert not platform.has_schema(place)
    platform.make_schema(place)
    assert platform.has_schema(place)
    with pytest.raises(Refused, match=r"ported\.pr_7 was made by somebody else"):
        platform.make_schema(place)
    platform.drop_tables(place)
    for _ in range(2):
        platform.drop_schema(place)
    assert not platform.has_schema(place)


def test_pages_go_into_the_volume_with_their_folders(platform: WorkspacePlatform) -> None:
    platform.keep_pages()
    for page in ("report/index.html", "report/decisions/prod/version-1.html"):
        (platform.root / page).parent.mkdir(parents=True, exist_ok=True)
        (platform.root / page).write_text(f"<p>{page}")
    platform.keep_pages()
    assert platform.store.read("report/decisions/prod/version-1.html") == "<p>report/decisions/prod/version-1.html"
    assert platform.store.names("report") == ("index.html",)


def test_a_file_lands_once_in_the_volume(platform: WorkspacePlatform, workspace: Workspace, tmp_path: Path) -> None:
    source, file = TableName(CATALOG, "pr_7", "flights"), tmp_path / "1.csv"  # a rehearsal's: it has no such volume
    file.write_text("a\n1\n")
    assert [platform.land(source, file) for _ in range(2)] == [True, False]
    assert workspace.folder(f"/Volumes/{CATALOG}/main/landing/flights/1.csv").read_text() == "a\n1\n"
    file.write_text("a\n2\n")
    with pytest.raises(Refused, match=r"Another file has landed as 1\.csv already"):
        platform.land(source, file)


def test_a_landing_of_a_workspace_is_asked_for_without_reading_it(
    platform: WorkspacePlatform, workspace: Workspace, tmp_path: Path, spark: SparkSession
) -> None:
    source, file = TableName(CATALOG, "main", "weather"), tmp_path / "1.csv"
    file.write_text("a\n1\n")
    nowhere = WorkspacePlatform(platform.root, volume=f"{CATALOG}.main.gatehouse", landing=f"{CATALOG}.main.missing")
    assert nowhere.landing(spark, source).empty
    assert platform.landing(spark, source).empty
    platform.land(source, file)
    before = len(workspace.calls)
    assert not platform.landing(spark, source).empty
    assert {call.split()[0] for call in workspace.calls[before:]} == {"GET"}


def test_how_far_streams_had_come_goes_with_the_tables_of_their_schema(
    platform: WorkspacePlatform, workspace: Workspace
) -> None:
    for file in ("pr_7.a/offsets/0", "pr_7.a/metadata", "pr_8.a/metadata"):
        schema, _, rest = file.partition(".")
        platform.store.write(f"checkpoints/{CATALOG}.{schema}/{rest}", "{}")
    for _ in range(2):
        platform.drop_tables((CATALOG, "pr_7"))
    kept = workspace.folder(f"/Volumes/{CATALOG}/main/gatehouse/checkpoints")
    assert [path.name for path in kept.iterdir()] == [f"{CATALOG}.pr_8"]


def test_a_refusal_is_not_taken_for_an_empty_store(
    platform: WorkspacePlatform, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.store.write("state/clock.json", "{}")
    stranger = workspace.add_user("stranger@example.org")
    workspace.fail("*", r"clock\.json|create-download-url", status=400, times=2)  # the SDK knows two ways
    with pytest.raises(Unanswered):
        platform.store.read("state/clock.json")
    for name, value in workspace.environ(stranger).items():
        monkeypatch.setenv(name, value)
    theirs = WorkspacePlatform(
        platform.root, volume=f"{CATALOG}.main.gatehouse", landing=f"{CATALOG}.main.landing"
    ).store
    with pytest.raises(AccessDenied):
        theirs.read("state/clock.json")
    with pytest.raises(AccessDenied):
        theirs.write("state/clock.json", "{}")
