"""The world a pipeline runs in: everything it may touch, made once by the CLI and handed down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import Busy

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from gatehouse.code_version import CodeVersion
    from gatehouse.gates.policy import Policy
    from gatehouse.lakehouse.audit import AuditLog
    from gatehouse.lakehouse.online import Online
    from gatehouse.lakehouse.platform import Platform
    from gatehouse.lakehouse.registry import ModelRegistry
    from gatehouse.lakehouse.store import Store
    from gatehouse.lakehouse.table_port import Tables
    from gatehouse.lakehouse.table_types import TableName
    from gatehouse.lakehouse.tracking import Tracking
    from gatehouse.progress import Progress
    from gatehouse.project import Project
    from gatehouse.settings import Environment, Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """One environment at one moment. `clock` tells the machine's time, for records.

    `root` is a folder of this machine, for pages and what is fetched; on a laptop it is the lakehouse. Runs and models
    are opened when somebody asks for them: MLflow takes a second to import, and pipelines of data need none of it.
    """

    project: Project
    settings: Settings
    name: str
    environment: Environment
    spark: SparkSession
    tables: Tables
    open_tracking: Callable[[], Tracking]
    open_registry: Callable[[], ModelRegistry]
    platform: Platform
    root: Path
    as_of: datetime
    clock: Callable[[], datetime]
    code: CodeVersion
    policy: Policy
    progress: Progress

    def own(self, table: str) -> TableName:
        """A table of this environment, the only kind it may write."""
        return self._named(self.environment, table)

    def source(self, table: str) -> TableName:
        """A source table: this environment's, or that of the one it reads its sources from, live or mirrored."""
        origin = self.environment.sources_from
        if origin is None:
            return self.own(table)
        environment = self.settings.environment(origin)
        if self.environment.source == "mirror" and table in self.project.tables:
            from gatehouse.lakehouse.table_types import TableName

            return TableName(*environment.mirror, table)
        return self._named(environment, table)

    @property
    def tracking(self) -> Tracking:
        """The runs of this environment."""
        return self.open_tracking()

    @property
    def registry(self) -> ModelRegistry:
        """The models of all environments, of which this one may change its own."""
        return self.open_registry()

    @property
    def store(self) -> Store:
        """What this environment keeps beside its tables."""
        return self.platform.store

    @property
    def online(self) -> Online | None:
        """The endpoint that this environment's champion answers on; None: it has none."""
        from gatehouse.lakehouse.online import Wanted

        asked = self.environment.serving
        wanted = Wanted(project=self.project.name, env=self.name, **asked.model_dump()) if asked else None
        return self.platform.online(self.model, self.environment.place, wanted, self.progress)

    @property
    def now(self) -> datetime:
        """The machine's time, UTC, in whole seconds."""
        return self.clock().replace(microsecond=0)

    @property
    def audit(self) -> AuditLog:
        """This environment's audit log."""
        from gatehouse.lakehouse.audit import AUDIT_LOG, AuditLog

        return AuditLog(self.tables, self.own(AUDIT_LOG.name), store=self.store, clock=self.clock)

    @property
    def model(self) -> str:
        """Three-part name of this environment's registered model."""
        return f"{self.environment.catalog}.{self.environment.db_schema}.{self.project.name}"

    def frame(self, rows: list[tuple[object, ...]], table: str) -> DataFrame:
        """Rows, in table order, as a DataFrame with the types of one of the machinery's own tables."""
        from gatehouse.pipelines.tables import SYSTEM_TABLES

        declared = next(t for t in SYSTEM_TABLES if t.name == table)
        schema = ", ".join(f"`{c.name}` {c.type}" for c in declared.columns)
        return self.spark.createDataFrame(rows, schema)

    @contextmanager
    def alone(self, pipeline: str) -> Iterator[None]:
        """Holds this pipeline of this environment for one process; Busy for everybody else."""
        subject = ".".join((*self.environment.place, pipeline))
        with ExitStack() as held:
            try:
                held.enter_context(self.store.alone(subject, timeout=0))
            except Busy:
                raise Busy(
                    f"The {pipeline} pipeline is already running in {self.name}.",
                    why="Two runs over one window would do the same work twice and wait for each other's writes.",
                    remedy="Wait until the other run has ended, then run the same command again.",
                ) from None
            yield

    @staticmethod
    def _named(environment: Environment, table: str) -> TableName:
        from gatehouse.lakehouse.table_types import TableName

        return TableName(environment.catalog, environment.db_schema, table)
