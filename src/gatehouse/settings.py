"""What is configured in conf/: closed, frozen, typed. An unknown key is an error, and the schema can be printed.

    conf/environments.yml   which project, which environments, where each lives and what it may do
    conf/training.yml       windows, limits of the search, seed
    conf/options.yml        the best options found in development, reviewed; all that production considers
    conf/monitoring.yml     windows and thresholds
    conf/demo.yml           the moments that `gatehouse demo` visits

Two files have their models elsewhere: conf/promotion.yml in `gates.policy`, conf/setup.yml in `setup.answers`.
A second use case in the same repository has a folder of its own with these files: `--conf DIR` or GATEHOUSE_CONF.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gatehouse.errors import ConfigurationError, StorageError

if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml import SafeLoader as _Loader
else:
    from yaml import CSafeLoader as _Loader  # ten times as fast

_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
Name = Annotated[str, Field(pattern=_NAME, max_length=64)]
Fraction = Annotated[float, Field(gt=0, le=1)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Replay(_Closed):
    """Which part of the past is lived through, and in which steps."""

    start: date = Field(description="Where it begins: as-of of the first command.")
    step_days: int = Field(ge=1, le=366, description="How far `gatehouse clock --advance` moves it.")
    end: date = Field(description="Where it stays: the data go no further.")

    @model_validator(mode="after")
    def _ordered(self) -> Replay:
        if self.end < self.start:
            raise ValueError(f"a replay that starts on {self.start} cannot end on {self.end}")
        return self


class Serving(_Closed):
    """An endpoint that answers with the champion."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$", description="Of the endpoint.")
    workload_size: str = Field(default="Small", description="Small, Medium or Large.")
    scale_to_zero: bool = Field(default=True, description="Costs nothing, and answers late, when nobody asks.")


class Environment(_Closed):
    """One environment: where it lives, what it reads, how much of the data it takes."""

    catalog: Name
    db_schema: Name = Field(alias="schema", default="main")
    platform: Literal["local", "databricks"] = "local"
    sources_from: str | None = Field(
        default=None,
        description="Environment whose source tables are read, read-only, instead of ingesting: dev reads prod.",
    )
    source: Literal["live", "mirror"] = Field(
        default="live",
        description="With `sources_from`: its own tables, or the masked sample that `gatehouse run mirror` writes.",
    )
    data_fraction: Fraction = Field(
        default=1.0, description="Share of the events that is used, chosen by a hash of their key."
    )
    history_days: int | None = Field(
        default=None,
        ge=1,
        description="How many days of events before as-of are kept; null: all of them.",
    )
    search: bool = Field(
        default=False,
        description="Training searches for options here; elsewhere it considers conf/options.yml only.",
    )
    max_trials: int = Field(default=20, ge=1, le=1000, description="Options tried at most in one search.")
    clock: Literal["now", "replay"] = Field(
        default="now",
        description="`replay`: as-of is kept in the environment's state and moved on by each run.",
    )
    replay: Replay | None = Field(
        default=None, description="Only with `clock: replay`; null: the first command says --as-of."
    )
    driver: Literal["ci", "registry"] = Field(
        default="ci",
        description="Who judges a new version: `ci`, the release itself and the CI's approval; or `registry`, what the "
        "registered model starts by itself (a deployment job, or `gatehouse listen`), and an approval by tags.",
    )
    volume: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){2}$",
        description="On Databricks: volume of the environment's state and pages; null: gatehouse, in its schema.",
    )
    landing: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){2}$",
        description="On Databricks: volume in which raw files land; null: landing, in its schema.",
    )
    serving: Serving | None = Field(
        default=None, description="On Databricks: an endpoint that every promotion and rollback brings up to date."
    )
    keep_failed_hours: int = Field(
        default=24, ge=0, le=2160, description="How long what a failed rehearsal wrote is kept; 0 drops it at once."
    )
    protected: bool = Field(default=False, description="`reset` refuses, and a person is asked, where this is true.")

    @property
    def place(self) -> tuple[str, str]:
        """Catalog and schema, which it alone may write."""
        return self.catalog, self.db_schema

    @property
    def mirror(self) -> tuple[str, str]:
        """Catalog and schema of the masked sample of its source tables, for those who may not see them."""
        return self.catalog, f"{self.db_schema}_mirror"

    @property
    def keeps(self) -> str:
        """The volume of its state and pages."""
        return self.volume or f"{self.catalog}.{self.db_schema}.gatehouse"

    @property
    def lands(self) -> str:
        """The volume of its raw files, in which each source table has a folder. Its rehearsals read the same."""
        return self.landing or f"{self.catalog}.{self.db_schema}.landing"

    @property
    def rehearses(self) -> str:
        """The volume of its rehearsals: who may rehearse writes there, and nothing that the environment keeps."""
        return f"{self.catalog}.{self.db_schema}.rehearsals"

    @model_validator(mode="after")
    def _only_a_replay_has_steps(self) -> Environment:
        if self.replay is not None and self.clock != "replay":
            raise ValueError("`replay` belongs to `clock: replay`")
        if self.source == "mirror" and self.sources_from is None:
            raise ValueError("`source: mirror` belongs to `sources_from`")
        return self


class EnvironmentsFile(_Closed):
    """conf/environments.yml"""

    project: str = Field(description="`package:ATTRIBUTE` of the use case's Project.")
    staging_branch: str = Field(default="main", description="The branch that staging tests, and releases are cut from.")
    environments: dict[Name, Environment] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> EnvironmentsFile:
        for name, environment in self.environments.items():
            source = environment.sources_from
            if source is not None and (source == name or source not in self.environments):
                raise ValueError(f"{name}.sources_from names {source!r}, which is not another environment")
            if environment.source == "mirror" and self.environments[str(source)].platform != environment.platform:
                raise ValueError(f"{name} reads a mirror of {source}, which lives on another platform")
        # Unity Catalog and some file systems do not tell capitals apart.
        places = [(e.platform, e.catalog.casefold(), e.db_schema.casefold()) for e in self.environments.values()]
        mirrored = [self.environments[e.sources_from or ""] for e in self.environments.values() if e.source == "mirror"]
        places += {(e.platform, e.mirror[0].casefold(), e.mirror[1].casefold()) for e in mirrored}
        if len(set(places)) != len(places):
            raise ValueError("two environments share one catalog and schema, so neither is safe from the other")
        return self

    def is_mirrored(self, name: str) -> bool:
        """Whether another environment reads the masked sample of this one's source tables."""
        return any(e.sources_from == name and e.source == "mirror" for e in self.environments.values())


class TrainingFile(_Closed):
    """conf/training.yml"""

    hold_out_days: int = Field(ge=1, le=3650, description="Last days before as-of that no contender trains on.")
    validation_days: int = Field(
        ge=1, le=3650, description="Last days of the training window that choose among options."
    )
    history_days: int | None = Field(default=None, ge=1, description="How far back training reads; null: everything.")
    minimum_rows: int = Field(default=1000, ge=1, description="Fewer labelled rows than this are refused.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


class ReviewedOptions(_Closed):
    """One set of options that a person let through to production."""

    found_by: str = Field(description="Run that found it, or a name.")
    validation_loss: float | None = None
    options: dict[str, float | int | str | bool]


class OptionsFile(_Closed):
    """conf/options.yml: written by `gatehouse run training` where search is on, reviewed as any other change."""

    candidates: tuple[ReviewedOptions, ...] = Field(min_length=1, max_length=10)


class MonitoringFile(_Closed):
    """conf/monitoring.yml"""

    window_days: int = Field(default=7, ge=1, le=365, description="Length of a monitoring window.")
    scoring_days: int = Field(
        default=31, ge=1, le=3650, description="How far back inference looks for unscored events."
    )
    drift_warning: float = Field(default=0.1, gt=0, description="Population stability index that is worth a look.")
    drift_alert: float = Field(default=0.25, gt=0, description="Population stability index that raises an alert.")
    accuracy_alert: float | None = Field(
        default=None,
        gt=0,
        description="How much worse than on its hold-out the champion's primary metric may be over a window, in the "
        "metric's unit, before it raises an alert, if chance does not explain it; null: none is raised.",
    )
    accuracy_units: int = Field(
        default=14, ge=4, description="Units with labels (days) that a window must have before that is said."
    )

    @model_validator(mode="after")
    def _ordered(self) -> MonitoringFile:
        if self.drift_warning > self.drift_alert:
            raise ValueError("drift_warning is above drift_alert, so nothing would ever be a mere warning")
        return self


class DemoFile(_Closed):
    """conf/demo.yml"""

    first_release: date = Field(description="Production knows everything up to this day, and releases.")
    monitored: date = Field(description="The champion has scored up to this day, and labels have arrived.")
    challenged: date = Field(description="A challenger meets the champion on the hold-out before this day.")
    broken_table: str = Field(description="Feature table whose columns mislead the candidate that has to be held.")
    leaked_column: str = Field(description="Late column of the events that the candidate to be rejected reads.")

    @model_validator(mode="after")
    def _ordered(self) -> DemoFile:
        if not self.first_release < self.monitored < self.challenged:
            raise ValueError("first_release, monitored and challenged must follow each other")
        return self


class Settings(_Closed):
    """Everything in conf/, read once."""

    root: Path = Field(exclude=True)
    conf: Path = Field(exclude=True)
    environments: EnvironmentsFile
    training: TrainingFile
    options: OptionsFile
    monitoring: MonitoringFile
    demo: DemoFile

    def environment(self, name: str) -> Environment:
        """The environment of that name; ConfigurationError lists the others."""
        if name not in self.environments.environments:
            raise ConfigurationError(
                f"There is no environment {name!r}.",
                why="Every command reads and writes in exactly one environment.",
                remedy=f"Choose from: {', '.join(self.environments.environments)} (conf/environments.yml).",
            )
        return self.environments.environments[name]

    def digest(self) -> str:
        """SHA-256 over the parts that training reads: what a candidate's configuration is known by."""
        read = {
            "training": self.training.model_dump(mode="json"),
            "options": self.options.model_dump(mode="json"),
        }
        return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()


FILES: dict[str, type[_Closed]] = {
    "environments": EnvironmentsFile,
    "training": TrainingFile,
    "options": OptionsFile,
    "monitoring": MonitoringFile,
    "demo": DemoFile,
}
"""Each file of conf/ by its stem, with the model that reads it."""


def find_conf(start: Path) -> Path:
    """The configuration folder: GATEHOUSE_CONF, or the nearest `conf/environments.yml` at or above `start`."""
    if given := os.environ.get("GATEHOUSE_CONF"):
        return Path(given).resolve()
    for folder in (start, *start.parents):
        if (folder / "conf" / "environments.yml").is_file():
            return (folder / "conf").resolve()
    raise ConfigurationError(
        f"No conf/environments.yml in {start} or above it.",
        why="It says which project and which environments there are.",
        remedy="Run gatehouse inside a checkout, or name the folder with --conf.",
    )


def load(conf: Path) -> Settings:
    """Read and check every file of a configuration folder."""
    if not conf.is_dir():
        raise ConfigurationError(
            f"There is no folder {conf}.",
            why="--conf (or GATEHOUSE_CONF) names the folder whose environments.yml says which environments there are.",
            remedy="Name a folder that is there; inside a checkout leave it out: conf/ is found by itself.",
        )
    read: dict[str, Any] = {stem: read_file(conf / f"{stem}.yml", model) for stem, model in FILES.items()}
    return Settings(root=conf.parent, conf=conf, **read)


def parse_as_of(text: str) -> datetime:
    """A date (its first moment) or a date and time, in UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--as-of {text!r} is not a date.",
            why="Nothing later than this moment may be read, so it must be exact.",
            remedy="Write 2013-04-01, or 2013-04-01T06:00 (UTC).",
        ) from None
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise ConfigurationError(
            f"--as-of {text!r} lies outside the years {_YEARS[0]} to {_YEARS[1]}.",
            why="A moment far away is a typing error, and pandas cannot hold it.",
            remedy="Write the moment up to which data may be read, such as 2013-04-01.",
        )
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


_YEARS = (1900, 2200)

_Model = TypeVar("_Model", bound=BaseModel)


class _UniqueKeys(_Loader):
    """YAML in which a key stands once: of two, PyYAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            key = repr(self.construct_object(key_node, deep=True))
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key} stands twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_file(path: Path, model: type[_Model]) -> _Model:
    """One configuration file, checked against its model; ConfigurationError says what does not fit, and where."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 - it is a safe loader
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path} is missing.",
            why="Without it Gatehouse would have to guess what it may do.",
            remedy=f"Restore it (git checkout -- {path}), or write one after `gatehouse schema {path.stem}`.",
        ) from None
    except OSError as error:
        raise StorageError(
            f"{path} cannot be read: {error.strerror or error}.",
            why="Without it Gatehouse would have to guess what it may do.",
            remedy="Give yourself the right to read it.",
        ) from None
    except (yaml.YAMLError, ValueError) as error:  # a value that is no date, a text that is not UTF-8
        raise ConfigurationError(
            f"{path} is not readable as YAML: {' '.join(str(error).split())}",
            why="A file that is half understood is worse than none.",
            remedy="Mend the line it names.",
        ) from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']} (got {e['input']!r:.80})" for e in error.errors()
        )
        raise ConfigurationError(
            f"{path} does not fit its schema: {found}",
            why="A key that nobody reads, or a value of another type, would silently change nothing.",
            remedy=f"See `gatehouse schema {path.stem}` for what may stand there.",
        ) from None
