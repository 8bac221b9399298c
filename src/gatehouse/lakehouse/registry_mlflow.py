"""The registry that MLflow keeps: in SQLite on a laptop, in Unity Catalog on Databricks, or behind a server."""
# ruff: noqa: D102 (what each method promises stands in the port)

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatehouse.errors import RegistryUnavailable, StorageError
from gatehouse.lakehouse import model_files
from gatehouse.lakehouse.mlflow_database import ARTIFACTS, exclusive
from gatehouse.lakehouse.mlflow_errors import says_absent, says_no_alias, says_no_model, told
from gatehouse.lakehouse.mlflow_globals import import_mlflow, pointed_at
from gatehouse.lakehouse.registry import Version, check_holder
from gatehouse.lakehouse.registry_rules import (
    COPIED_FROM,
    Schema,
    check_alias,
    check_model,
    check_tags,
    check_version,
    check_writable,
    without_approval,
)

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

    from gatehouse.project import Predictor

PAGE = 200
"""How many of what is searched are asked for at a time."""

_LOGGED_MODEL = re.compile(r"models:/(m-[0-9a-f]+)")


class MlflowRegistry:
    """The registry that MLflow finds at `registry_uri`.

    Args:
        tracking_uri: Where the runs are that versions come from.
        registry_uri: `sqlite:///..`, `databricks-uc`, or the address of an MLflow server.
        root: The lakehouse folder: its lock serialises writers of one machine, copies go to its artefacts.
        writable: The schemas whose models may be changed; any model may be read.

    Neither SQLite nor Unity Catalog can compare and set. Writers on one machine take turns by the lock; where several
    machines write, one job run at a time is the guard, and reading again after the write the check.
    """

    def __init__(self, tracking_uri: str, registry_uri: str, *, root: Path, writable: Collection[Schema]) -> None:
        self._uris = (tracking_uri, registry_uri)
        self._root = root
        self._writable = frozenset(writable)
        self._addresses: dict[tuple[str, str, str], str] = {}
        self._fetched: dict[tuple[str, str], tempfile.TemporaryDirectory[str]] = {}
        with told(f"opening the registry {registry_uri}"):
            self._client = import_mlflow().MlflowClient(tracking_uri=tracking_uri, registry_uri=registry_uri)

    def register(
        self, model: str, *, source: str, run_id: str | None, tags: Mapping[str, str], description: str = ""
    ) -> Version:
        check_tags(tags)
        with self._writing(model, f"registering a version of {model}"):
            return self._register(model, source, run_id, tags, description)

    def get(self, model: str, version: str) -> Version:
        check_model(model)
        check_version(version)
        with told(f"reading version {version} of {model}"):
            return _version(self._client.get_model_version(model, version))

    def versions(self, model: str) -> tuple[Version, ...]:
        check_model(model)
        with told(f"listing the versions of {model}"):
            try:
                holders = self._client.get_registered_model(model).aliases
            except _mlflow_exception() as error:
                if says_no_model(error, model):
                    return ()
                raise
            pages = _pages(
                lambda token: self._client.search_model_versions(
                    f"name = '{model}'", max_results=PAGE, page_token=token
                )
            )
            found = [self._complete(v) for v in pages]
        return tuple(
            _version(v, aliases=[alias for alias, holder in holders.items() if str(holder) == str(v.version)])
            for v in sorted(found, key=lambda v: int(v.version), reverse=True)
        )

    def by_alias(self, model: str, alias: str) -> Version | None:
        check_model(model)
        check_alias(alias)
        with told(f"asking who holds {alias} of {model}"):
            try:
                return _version(self._client.get_model_version_by_alias(model, alias))
            except _mlflow_exception() as error:
                if self._is_free(model, alias, error):
                    return None
                raise

    def set_alias(self, model: str, alias: str, version: str) -> None:
        check_alias(alias)
        check_version(version)
        with self._writing(model, f"giving {alias} of {model} to version {version}"):
            self._client.set_registered_model_alias(model, alias, version)

    def delete_alias(self, model: str, alias: str) -> None:
        check_alias(alias)
        with self._writing(model, f"taking {alias} of {model} away"):
            try:
                self._client.delete_registered_model_alias(model, alias)
            except _mlflow_exception() as error:
                if not self._is_free(model, alias, error):
                    raise

    def compare_and_set_alias(self, model: str, alias: str, *, expected: str | None, version: str) -> None:
        check_alias(alias)
        check_version(version)
        with self._writing(model, f"moving {alias} of {model} to version {version}"):
            check_holder(model, alias, self._holder(model, alias), wanted=expected)
            self._client.set_registered_model_alias(model, alias, version)
            check_holder(model, alias, self._holder(model, alias), wanted=version)

    def set_tags(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        check_version(version)
        with self._writing(model, f"tagging version {version} of {model}"):
            check_tags({**self._client.get_model_version(model, version).tags, **tags})
            for key, text in tags.items():
                self._client.set_model_version_tag(model, version, key, text)

    def set_description(self, model: str, version: str, text: str) -> None:
        check_version(version)
        with self._writing(model, f"describing version {version} of {model}"):
            self._client.update_model_version(model, version, text)

    def download(self, model: str, version: str) -> Path:
        check_model(model)
        check_version(version)
        with told(f"fetching the files of version {version} of {model}"):
            address = self._address(model, version)
            local = _local_path(address)
            if local is None:
                return self._fetch(model, version, address)
        if not local.is_dir():
            raise StorageError(
                f"The files of version {version} of {model} are gone: there is no folder {local}.",
                why="The registry still names the version, and nobody can load, check or serve it.",
                remedy="Restore the folder from a copy, or train the version again.",
            )
        return local

    def digest(self, model: str, version: str) -> str:
        return model_files.digest(self.download(model, version))

    def load(self, model: str, version: str) -> Predictor:
        folder = self.download(model, version)
        with pointed_at(*self._uris):
            return model_files.load(folder, f"Version {version} of {model}")

    def copy(self, model: str, version: str, *, to: str) -> Version:
        check_writable(to, self._writable)
        original = self.get(model, version)
        tags = {**without_approval(original.tags), COPIED_FROM: f"{model}/{version}"}
        check_tags(tags)
        source = self._own_files(model, version)
        with self._writing(to, f"copying version {version} of {model} to {to}"):
            return self._register(to, source, original.run_id, tags, original.description)

    def delete(self, model: str) -> None:
        with self._writing(model, f"deleting {model}"):
            try:
                self._client.delete_registered_model(model)
            except _mlflow_exception() as error:
                if not says_no_model(error, model):
                    raise

    def delete_models(self, catalog: str, schema: str) -> None:
        with told(f"listing the models of {catalog}.{schema}"):
            # Names are compared here: in a search filter an underscore would match any character.
            pages = _pages(lambda token: self._client.search_registered_models(max_results=PAGE, page_token=token))
            found = [model.name for model in pages if model.name.startswith(f"{catalog}.{schema}.")]
        for model in found:
            self.delete(model)

    @contextmanager
    def _writing(self, model: str, doing: str) -> Iterator[None]:
        check_writable(model, self._writable)
        with exclusive(self._root), told(doing), pointed_at(*self._uris):
            yield

    def _register(
        self, model: str, source: str, run_id: str | None, tags: Mapping[str, str], description: str
    ) -> Version:
        try:
            self._client.create_registered_model(model)
        except _mlflow_exception() as error:
            if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                raise
        logged = _LOGGED_MODEL.fullmatch(source)
        made = self._client.create_model_version(
            model,
            source,
            run_id=run_id,
            tags=dict(tags),
            description=description,
            model_id=logged[1] if logged else None,
        )
        if made.status != "READY":
            raise RegistryUnavailable(
                f"Version {made.version} of {model} was registered, and is {made.status} instead of READY.",
                why="Its files may be missing, so nobody should judge or serve it.",
                remedy="Run the command again; the version stays unused.",
            )
        return _version(made)

    def _complete(self, found: Any) -> Any:
        """Unity Catalog leaves tags out of what a search returns."""
        from mlflow.entities.model_registry.model_version_search import ModelVersionSearch

        if isinstance(found, ModelVersionSearch):
            return self._client.get_model_version(found.name, found.version)
        return found

    def _is_free(self, model: str, alias: str, error: Exception) -> bool:
        """Whether the registry says plainly that nobody holds the alias: in words, or by listing the model's others.

        Unity Catalog's words are not documented, and an answer that is misread would make a first deployment of any.
        """
        if says_no_alias(error, model, alias):
            return True
        if not says_absent(error):
            return False
        try:
            return alias not in self._client.get_registered_model(model).aliases
        except _mlflow_exception() as second:
            return says_no_model(second, model)

    def _holder(self, model: str, alias: str) -> str | None:
        held = self.by_alias(model, alias)
        return held.version if held else None

    def _address(self, model: str, version: str) -> str:
        if self._uris[1].startswith("databricks"):
            # The storage behind Unity Catalog opens only with credentials that MLflow gets for this form of address.
            return f"models:/{model}/{version}"
        # Asking costs MLflow a listing of all versions. A deleted model's number can come again, not with its source.
        key = (model, version, self._client.get_model_version(model, version).source)
        if key not in self._addresses:
            self._addresses[key] = str(self._client.get_model_version_download_uri(model, version))
        return self._addresses[key]

    def _fetch(self, model: str, version: str, address: str) -> Path:
        """Download once per process: a version never changes, but a deleted model's number can come again."""
        if (model, version) not in self._fetched:
            folder = tempfile.TemporaryDirectory(prefix="gatehouse-model-")
            with pointed_at(*self._uris):
                import_mlflow().artifacts.download_artifacts(artifact_uri=address, dst_path=folder.name)
            self._fetched[model, version] = folder
        return Path(self._fetched[model, version].name)

    def _own_files(self, model: str, version: str) -> str:
        """The address of files that do not go away with the original. Unity Catalog copies whatever it registers."""
        if not self._uris[1].startswith("sqlite"):
            return f"models:/{model}/{version}"
        files = self.download(model, version)
        kept = self._root / ARTIFACTS / "copies" / model_files.digest(files)
        with told(f"copying the files of version {version} of {model}"), exclusive(self._root):
            if not kept.exists():
                partial = kept.with_suffix(".part")
                shutil.rmtree(partial, ignore_errors=True)
                shutil.copytree(files, partial, ignore=shutil.ignore_patterns(model_files.REGISTRY_NOTE))
                partial.replace(kept)
        return kept.as_uri()


def _pages(search: Callable[[str | None], Any]) -> Iterator[Any]:
    """Everything a search finds, page after page."""
    page = search(None)
    yield from page
    while page.token:
        page = search(page.token)
        yield from page


def _version(found: Any, aliases: Collection[str] | None = None) -> Version:
    return Version(
        model=found.name,
        version=str(found.version),
        run_id=found.run_id or None,
        source=found.source,
        tags=dict(found.tags),
        description=found.description or "",
        aliases=tuple(sorted(found.aliases if aliases is None else aliases)),
        created_at=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
    )


def _local_path(address: str) -> Path | None:
    from mlflow.utils.file_utils import local_file_uri_to_path
    from mlflow.utils.uri import is_local_uri

    local = is_local_uri(address)  # type: ignore[no-untyped-call]
    return Path(local_file_uri_to_path(address)) if local else None  # type: ignore[no-untyped-call]


def _mlflow_exception() -> type[MlflowException]:
    from mlflow.exceptions import MlflowException

    return MlflowException
