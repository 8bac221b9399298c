"""Where environments live, as one port: what a command needs of a laptop or of a workspace. Nothing else knows which.

`embedded.Embedded` is the folder on a laptop or a CI's runner, `workspace.WorkspacePlatform` Unity Catalog.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gatehouse.lakehouse.registry_rules import Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from pyspark.sql import SparkSession

    from gatehouse.lakehouse.online import Online, Wanted
    from gatehouse.lakehouse.registry import ModelRegistry
    from gatehouse.lakehouse.store import Store
    from gatehouse.lakehouse.table_port import Tables
    from gatehouse.lakehouse.table_types import TableName
    from gatehouse.lakehouse.tracking import Tracking
    from gatehouse.progress import Progress
    from gatehouse.project import Landing


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedIn:
    """Whom a platform let sign in. `also` are other names of the same person, such as further e-mail addresses."""

    name: str
    also: tuple[str, ...]
    place: str
    """Where: the address of a workspace."""
    is_person: bool
    """False: a service principal, whom many people and machines may use."""


class Platform(Protocol):
    """Makes the parts of a world. A `Schema` is a pair of catalog and schema.

    `root` is a folder of this machine for pages, downloads and locks; `store` is what is still there tomorrow.
    """

    @property
    def name(self) -> str:
        """`local` or `databricks`, as in conf/environments.yml."""

    @property
    def root(self) -> Path:
        """See above."""

    @property
    def store(self) -> Store:
        """See above."""

    @property
    def in_jobs(self) -> bool:
        """Whether pipelines run as jobs of the platform: then a command starts one, and follows it."""

    def signed_in(self) -> SignedIn | None:
        """Who asks, as the platform itself knows them; None where it lets nobody sign in.

        Raises:
            Unanswered: it does not say; AccessDenied: it did not accept the credentials.
        """

    def session(self, catalogs: Sequence[str]) -> AbstractContextManager[SparkSession]:
        """A Spark session in which tables of these catalogs can be named, for the body; Ctrl-C stops its queries."""

    def tables(self, spark: SparkSession, *, writable: Collection[Schema]) -> Tables:
        """The tables, with the right to write some schemas."""

    def land(self, source: TableName, file: Path) -> bool:
        """Put a raw file where the rows of a source land; False if it is there already.

        Raises:
            Refused: another file of that name has landed. What has landed never changes.
        """

    def landing(self, spark: SparkSession, source: TableName) -> Landing:
        """Where the raw files of a source table land."""

    def tracking(self, place: Schema, project: str) -> Tracking:
        """The runs of a project in a schema, and the registry beside them."""

    def registry(self, *, writable: Collection[Schema]) -> ModelRegistry:
        """The model registry alone."""

    def online(self, model: str, place: Schema, wanted: Wanted | None, progress: Progress) -> Online | None:
        """The endpoint that serves a model; None where none is wanted, or the platform has none."""

    def has_schema(self, place: Schema) -> bool:
        """Whether there is such a schema, in any capitals."""

    def make_schema(self, place: Schema) -> None:
        """Make a schema that is not there yet; Refused if it is."""

    def keep_pages(self) -> None:
        """Put the pages that were written under `root`/report where people find them tomorrow."""

    def drop_tables(self, place: Schema) -> None:
        """Throw away every table of a schema; nothing happens if it has none. What has landed stays."""

    def drop_schema(self, place: Schema) -> None:
        """Throw away a schema that `make_schema` made, with what is left in it."""
