"""The model registry's port: what a version is, and what may be asked of whoever keeps versions and aliases.

`by_alias` decides between "no champion yet" and everything that may not be taken for it, and `compare_and_set_alias`
between one winner and two. `registry_mlflow.MlflowRegistry` and `registry_memory.MemoryRegistry` pass one contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gatehouse.errors import AliasMoved

if TYPE_CHECKING:
    from gatehouse.project import Predictor


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version of a registered model, as it was when read. `model` is catalog.schema.name, `created_at` is UTC."""

    model: str
    version: str
    run_id: str | None
    source: str
    tags: Mapping[str, str]
    description: str
    aliases: tuple[str, ...]
    created_at: datetime


class ModelRegistry(Protocol):
    """Registered models, their versions and aliases.

    Every method raises RegistryUnavailable if no answer could be had, VersionNotFound for a version that does not
    exist, and, if it writes, AccessDenied for a model of another environment. What Unity Catalog would refuse is
    refused everywhere: UsageError for names and aliases, DataError for tags.
    """

    def register(
        self, model: str, *, source: str, run_id: str | None, tags: Mapping[str, str], description: str = ""
    ) -> Version:
        """Make the next version of a model, and the model if it is the first. `source` addresses the logged files."""

    def get(self, model: str, version: str) -> Version:
        """That version."""

    def versions(self, model: str) -> tuple[Version, ...]:
        """All versions, newest first; none if the model does not exist."""

    def by_alias(self, model: str, alias: str) -> Version | None:
        """Who holds the alias. None only if the registry says plainly that nobody does, or has no such model."""

    def set_alias(self, model: str, alias: str, version: str) -> None:
        """Give the alias to a version, whoever holds it."""

    def delete_alias(self, model: str, alias: str) -> None:
        """Take the alias away; nothing happens if nobody holds it."""

    def compare_and_set_alias(self, model: str, alias: str, *, expected: str | None, version: str) -> None:
        """Give the alias to a version if `expected` holds it (None: nobody does); AliasMoved says who does instead."""

    def set_tags(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Add tags, one after the other; those of the same key are replaced, others stay."""

    def set_description(self, model: str, version: str, text: str) -> None:
        """Replace the description."""

    def download(self, model: str, version: str) -> Path:
        """A folder with the model's files, to be read only. On a laptop it is the registry's own copy."""

    def digest(self, model: str, version: str) -> str:
        """SHA-256 of the model's files, as `model_files.digest` defines it."""

    def load(self, model: str, version: str) -> Predictor:
        """The model, ready to predict; ModelDoesNotLoad if its files do not make one."""

    def copy(self, model: str, version: str, *, to: str) -> Version:
        """Register the files as the next version of model `to`, with tags and description, and the tag COPIED_FROM.

        The copy has files of its own. Aliases, and the tags of an approval, stay behind.
        """

    def delete(self, model: str) -> None:
        """Remove a model with all its versions and aliases; nothing happens if it does not exist."""

    def delete_models(self, catalog: str, schema: str) -> None:
        """Remove every model of a schema."""


def check_holder(model: str, alias: str, holder: str | None, *, wanted: str | None) -> None:
    """AliasMoved unless the alias is held by the wanted version (None: by nobody)."""
    if holder == wanted:
        return
    raise AliasMoved(
        f"{alias} of {model} is held by {_by(holder)}, not by {_by(wanted)}.",
        holder=holder,
        why="Somebody moved it since it was looked at, so what was decided was decided against another version.",
        remedy="Look at gatehouse status, and judge the candidate against the version that holds it now.",
    )


def _by(holder: str | None) -> str:
    return f"version {holder}" if holder else "nobody"
