"""The platform in a folder: Sail or Spark on this machine, Delta tables in folders, MLflow on SQLite."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.lakehouse.registry_rules import Schema
from gatehouse.lakehouse.store import FolderStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from gatehouse.lakehouse.landing import FolderLanding
    from gatehouse.lakehouse.online import Wanted
    from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
    from gatehouse.lakehouse.table_types import TableName
    from gatehouse.lakehouse.tables import DeltaTables
    from gatehouse.lakehouse.tracking import Tracking
    from gatehouse.progress import Progress


class Embedded:
    """See Platform. Everything lies under `root`."""

    name = "local"
    in_jobs = False

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = FolderStore(root)

    def signed_in(self) -> None:
        """See Platform. A folder asks nobody who they are."""

    @contextmanager
    def session(self, catalogs: Sequence[str]) -> Iterator[SparkSession]:
        """See Platform."""
        from gatehouse.lakehouse.session import close_session, installed_engine, interruptible, open_session

        spark = open_session(installed_engine(), catalogs=catalogs)
        try:
            with interruptible(spark):
                yield spark
        finally:
            close_session(spark)

    def tables(self, spark: SparkSession, *, writable: Collection[Schema]) -> DeltaTables:
        """See Platform."""
        from gatehouse.lakehouse.session import installed_engine
        from gatehouse.lakehouse.tables import DeltaTables

        return DeltaTables(spark, installed_engine(), self.root, writable=writable)

    def land(self, source: TableName, file: Path) -> bool:
        """See Platform. It is there whole or not at all."""
        place = self.root / "landing" / source.table / file.name
        if place.exists():
            from gatehouse.lakehouse.landing import refuse_changed

            refuse_changed(file, place.read_bytes())
            return False
        partial = self.root / "landing" / f".{source.table}.part"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, partial)
        partial.replace(place)
        return True

    def landing(self, spark: SparkSession, source: TableName) -> FolderLanding:
        """See Platform."""
        from gatehouse.lakehouse.landing import FolderLanding

        return FolderLanding(spark, self.root / "landing" / source.table)

    def tracking(self, place: Schema, project: str) -> Tracking:
        """See Platform."""
        from gatehouse.lakehouse.tracking import open_tracking

        return open_tracking(self.root, experiment=".".join((*place, project)))

    def registry(self, *, writable: Collection[Schema]) -> MlflowRegistry:
        """See Platform."""
        from gatehouse.lakehouse.mlflow_database import prepare
        from gatehouse.lakehouse.registry_mlflow import MlflowRegistry

        address = prepare(self.root)
        return MlflowRegistry(address, address, root=self.root, writable=writable)

    def online(self, model: str, place: Schema, wanted: Wanted | None, progress: Progress) -> None:
        """See Platform. There is none: `mlflow models serve` is one by hand."""

    def has_schema(self, place: Schema) -> bool:
        """See Platform. File systems do not agree on capitals."""
        catalog, schema = place
        folder = self.root / "tables" / catalog
        return folder.is_dir() and schema.casefold() in {f.name.casefold() for f in folder.iterdir()}

    def make_schema(self, place: Schema) -> None:
        """See Platform. A schema is made by its first table here."""

    def keep_pages(self) -> None:
        """See Platform. There they are."""

    def drop_tables(self, place: Schema) -> None:
        """See Platform."""
        with self.session([place[0]]) as spark:
            self.tables(spark, writable=[place]).drop_schema(*place)

    def drop_schema(self, place: Schema) -> None:
        """See Platform."""
        name = ".".join(place)
        shutil.rmtree(self.root / "report" / "decisions" / name, ignore_errors=True)
        for left in (self.root / "locks").glob(f"{name}.*"):
            left.unlink(missing_ok=True)
