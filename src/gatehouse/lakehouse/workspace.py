"""The platform in a Databricks workspace: Unity Catalog's tables and models, runs of its MLflow, files of a volume.

The same inside a job, whose session is there already, and outside, where databricks-connect makes one. No command line
of Databricks and no notebook is needed for either.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gatehouse.databricks.client import Workspace, open_workspace
from gatehouse.errors import Refused, Unanswered
from gatehouse.lakehouse.locks import writer_lock
from gatehouse.lakehouse.registry_rules import Schema
from gatehouse.lakehouse.session import inside_a_job

if TYPE_CHECKING:
    from databricks.sdk.service.files import DirectoryEntry
    from pyspark.sql import SparkSession

    from gatehouse.databricks.serving import Rows, Serving
    from gatehouse.lakehouse.auto_loader import AutoLoader
    from gatehouse.lakehouse.online import Asked, Online, Wanted
    from gatehouse.lakehouse.platform import SignedIn
    from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
    from gatehouse.lakehouse.table_types import TableName
    from gatehouse.lakehouse.tracking import Tracking
    from gatehouse.lakehouse.unity_tables import UnityTables
    from gatehouse.progress import Progress

TRACKING, REGISTRY = "databricks", "databricks-uc"
_BAD_REQUEST, _NOT_FOUND, _CONFLICT = 400, 404, 409
_Answer = TypeVar("_Answer")


def experiment_of(place: Schema, project: str) -> str:
    """The path of a project's experiment, as the bundle declares it."""
    return f"/Shared/{'.'.join((*place, project))}"


class VolumeStore:
    """The store in a volume, through the Files API, so that it is the same on a cluster and on any other machine.

    A file is replaced whole. `alone` holds a lock of this machine only: jobs run one at a time, and what several of
    them may write at once, the audit log, is compared and set in its table.
    """

    def __init__(self, workspace: Callable[[], Workspace], volume: str, locks: Path) -> None:
        self._workspace = workspace
        self._folder = "/Volumes/" + volume.replace(".", "/")
        self._locks = locks

    def read(self, name: str) -> str | None:
        """See Store."""

        def download() -> str:
            contents = self._workspace().sdk.files.download(f"{self._folder}/{name}").contents
            return contents.read().decode("utf-8") if contents else ""

        return self._found(f"reading {self._folder}/{name}", download)

    def write(self, name: str, text: str) -> None:
        """See Store."""
        path = f"{self._folder}/{name}"
        self._workspace().ask(
            f"writing {path}",
            lambda: self._workspace().sdk.files.upload(path, io.BytesIO(text.encode("utf-8")), overwrite=True),
        )

    def delete(self, name: str) -> None:
        """See Store."""
        path = f"{self._folder}/{name}"
        self._found(f"deleting {path}", lambda: self._workspace().sdk.files.delete(path))

    def names(self, folder: str) -> tuple[str, ...]:
        """See Store."""
        path = f"{self._folder}/{folder}"
        listed = self._found(f"listing {path}", lambda: list(self._workspace().sdk.files.list_directory_contents(path)))
        return tuple(sorted(str(entry.name) for entry in listed or () if not entry.is_directory))

    def place(self, name: str) -> str:
        """See Store."""
        return f"{self._folder}/{name}"

    @contextmanager
    def alone(self, subject: str, *, timeout: float) -> Iterator[None]:
        """See Store."""
        with writer_lock(self._locks, subject, timeout=timeout):
            yield

    def _found(self, what: str, call: Callable[[], _Answer]) -> _Answer | None:
        return found(self._workspace(), what, call)


def found(workspace: Workspace, what: str, call: Callable[[], _Answer]) -> _Answer | None:
    """The answer to a call; None where the workspace says plainly that there is nothing of that name."""
    try:
        return workspace.ask(what, call)
    except Unanswered as error:
        if error.status == _NOT_FOUND:
            return None
        raise


def _is_identifier(name: str) -> bool:
    try:
        uuid.UUID(name)
    except ValueError:
        return False
    return True


class WorkspacePlatform:
    """See Platform. `root` is scratch space of this machine; what is to last goes into `volume`.

    Raw files land in the volume `landing`; how far Auto Loader has come with them stands in the other one.
    """

    name = "databricks"

    def __init__(self, root: Path, *, volume: str, landing: str) -> None:
        self.root = root
        self._landing = "/Volumes/" + landing.replace(".", "/")
        self._checkpoints = f"/Volumes/{volume.replace('.', '/')}/checkpoints"
        self.store = VolumeStore(lambda: self._workspace, volume, root / "locks")

    @property
    def in_jobs(self) -> bool:
        """See Platform. Inside one, this process is it."""
        return not inside_a_job()

    def signed_in(self) -> SignedIn:
        """See Platform. A service principal's user name is its application id."""
        from gatehouse.lakehouse.platform import SignedIn

        me = self._workspace.ask("saying who is signed in", self._workspace.sdk.current_user.me)
        name = me.user_name or ""
        if not name:
            raise Unanswered(
                f"{self._workspace.host} does not say who is signed in.",
                why="Without a name nobody knows who acts, and whether they may.",
                remedy="databricks auth login; then run it again.",
            )
        return SignedIn(
            name=name,
            also=tuple(address for email in me.emails or () if (address := email.value) and address != name),
            place=self._workspace.host,
            is_person=not _is_identifier(name),
        )

    @contextmanager
    def session(self, catalogs: Sequence[str]) -> Iterator[SparkSession]:
        """See Platform."""
        from gatehouse.lakehouse.session import Engine, close_session, interruptible, open_session

        spark = open_session(Engine.DATABRICKS, catalogs=catalogs)
        try:
            with interruptible(spark):
                yield spark
        finally:
            close_session(spark)

    def tables(self, spark: SparkSession, *, writable: Collection[Schema]) -> UnityTables:
        """See Platform."""
        from gatehouse.lakehouse.unity_tables import UnityTables

        return UnityTables(spark, writable=writable)

    def land(self, source: TableName, file: Path) -> bool:
        """See Platform."""
        from gatehouse.lakehouse.landing import refuse_changed

        path = f"{self._landing}/{source.table}/{file.name}"
        files = self._workspace.sdk.files

        def landed() -> bytes:
            contents = files.download(path).contents
            return contents.read() if contents else b""

        known = found(self._workspace, f"reading {path}", landed)
        if known is not None:
            refuse_changed(file, known)
            return False

        def upload() -> None:
            with file.open("rb") as content:
                files.upload(path, content, overwrite=False)

        self._workspace.ask(f"writing {path}", upload)
        return True

    def landing(self, spark: SparkSession, source: TableName) -> AutoLoader:
        """See Platform."""
        from gatehouse.lakehouse.auto_loader import AutoLoader

        folder = f"{self._landing}/{source.table}"
        checkpoints = f"{self._checkpoints}/{source.catalog}.{source.schema}"
        return AutoLoader(
            spark, source, folder=folder, checkpoints=checkpoints, has_files=lambda: bool(self._listed(folder))
        )

    def tracking(self, place: Schema, project: str) -> Tracking:
        """See Platform."""
        from gatehouse.lakehouse.tracking import Tracking

        return Tracking.connect(
            tracking_uri=TRACKING, registry_uri=REGISTRY, root=self.root, experiment=experiment_of(place, project)
        )

    def registry(self, *, writable: Collection[Schema]) -> MlflowRegistry:
        """See Platform."""
        from gatehouse.lakehouse.registry_mlflow import MlflowRegistry

        return MlflowRegistry(TRACKING, REGISTRY, root=self.root, writable=writable)

    def online(self, model: str, place: Schema, wanted: Wanted | None, progress: Progress) -> Online | None:
        """See Platform. Requests and answers go into tables of the same schema."""
        if wanted is None:
            return None
        from gatehouse.databricks.endpoint import Endpoint, InferenceTable
        from gatehouse.databricks.serving import Serving

        catalog, schema = place
        endpoint = Endpoint(
            name=wanted.name,
            model=model,
            project=wanted.project,
            env=wanted.env,
            inference_table=InferenceTable(catalog=catalog, schema=schema, prefix=wanted.name.replace("-", "_")),
            workload_size=wanted.workload_size,
            scale_to_zero=wanted.scale_to_zero,
        )
        return _Endpoint(Serving(self._workspace, endpoint, progress=progress))

    def has_schema(self, place: Schema) -> bool:
        """See Platform."""
        name = ".".join(place)
        asked = f"asking for the schema {name}"
        return found(self._workspace, asked, lambda: self._workspace.sdk.schemas.get(name)) is not None

    def make_schema(self, place: Schema) -> None:
        """See Platform. Of two that make it at once one is refused by Unity Catalog."""
        catalog, schema = place
        try:
            self._workspace.ask(
                f"making the schema {catalog}.{schema}",
                lambda: self._workspace.sdk.schemas.create(name=schema, catalog_name=catalog),
                again=False,
            )
        except Unanswered as error:
            if error.status not in (_CONFLICT, _BAD_REQUEST) or not self.has_schema(place):
                raise
            raise Refused(
                f"{catalog}.{schema} was made by somebody else a moment ago.",
                why="What is thrown away later must be ours.",
                remedy="Name another schema, or leave --schema out.",
            ) from error

    def keep_pages(self) -> None:
        """See Platform. They go into the volume, with their folders."""
        folder = self.root / "report"
        for page in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if page.is_file():
                self.store.write(page.relative_to(self.root).as_posix(), page.read_text(encoding="utf-8"))

    def drop_tables(self, place: Schema) -> None:
        """See Platform. How far their streams had come goes after them."""
        sdk = self._workspace.sdk
        asked = f"listing the tables of {'.'.join(place)}"
        for table in found(self._workspace, asked, lambda: list(sdk.tables.list(*place))) or ():
            name = str(table.full_name)
            found(self._workspace, f"dropping {name}", lambda name=name: sdk.tables.delete(name))  # type: ignore[misc]
        self._remove(f"{self._checkpoints}/{'.'.join(place)}")

    def drop_schema(self, place: Schema) -> None:
        """See Platform."""
        name = ".".join(place)
        found(self._workspace, f"dropping {name}", lambda: self._workspace.sdk.schemas.delete(name, force=True))

    def _listed(self, folder: str) -> Sequence[DirectoryEntry]:
        """What lies in a folder of a volume; nothing where there is no such folder, or no such volume."""
        files = self._workspace.sdk.files
        return found(self._workspace, f"listing {folder}", lambda: list(files.list_directory_contents(folder))) or ()

    def _remove(self, folder: str) -> None:
        """A folder of a volume with what is in it; the Files API removes empty ones alone."""
        files = self._workspace.sdk.files
        for entry in self._listed(folder):
            path = str(entry.path)
            if entry.is_directory:
                self._remove(path)
            else:
                found(self._workspace, f"deleting {path}", lambda path=path: files.delete(path))  # type: ignore[misc]
        found(self._workspace, f"deleting {folder}", lambda: files.delete_directory(folder))

    @cached_property
    def _workspace(self) -> Workspace:
        return open_workspace()


class _Endpoint:
    """See Online."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    def serve(self, version: str, asked: Asked) -> str:
        """See Online."""
        return self._serving.serve(version, _rows(asked)).address

    def split(self, champion: str, challenger: str, percent: int, asked: Asked) -> str:
        """See Online."""
        return self._serving.split(champion, challenger, percent, _rows(asked)).address


def _rows(asked: Asked) -> Rows:
    from gatehouse.databricks.serving import Rows

    return Rows(columns=asked.columns, data=asked.data, answers=asked.answers)
