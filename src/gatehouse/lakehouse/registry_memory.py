"""The registry's twin in memory: same contract, no database, microseconds. For simulations and tests of gates."""
# ruff: noqa: D102 (what each method promises stands in the port)

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from gatehouse.errors import StorageError, VersionNotFound
from gatehouse.lakehouse import model_files
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
    from gatehouse.project import Predictor


class MemoryRegistry:
    """Models, versions and aliases of one process.

    Args:
        clock: The time that versions are said to be created at, UTC.
        writable: The schemas whose models may be changed; any model may be read.

    A version's source is a folder, and its files stay there: a copy shares them. `sharing` is another instance whose
    models this one sees with rights of its own, as environments see one registry.
    """

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        writable: Collection[Schema],
        sharing: MemoryRegistry | None = None,
    ) -> None:
        self._clock = clock
        self._writable = frozenset(writable)
        self._versions: dict[str, list[Version]] = sharing._versions if sharing else {}
        self._aliases: dict[tuple[str, str], str] = sharing._aliases if sharing else {}
        self._lock: threading.RLock = sharing._lock if sharing else threading.RLock()

    def register(
        self, model: str, *, source: str, run_id: str | None, tags: Mapping[str, str], description: str = ""
    ) -> Version:
        check_tags(tags)
        check_writable(model, self._writable)
        with self._lock:
            known = self._versions.setdefault(model, [])
            made = Version(
                model=model,
                version=str(len(known) + 1),
                run_id=run_id,
                source=source,
                tags=dict(tags),
                description=description,
                aliases=(),
                created_at=self._clock(),
            )
            known.append(made)
        return made

    def get(self, model: str, version: str) -> Version:
        check_model(model)
        check_version(version)
        with self._lock:
            known = self._versions.get(model, [])
            if int(version) > len(known):
                raise VersionNotFound(
                    f"There is no version {version} of {model}.",
                    why="What does not exist can be neither judged nor promoted.",
                    remedy="gatehouse status shows which versions there are.",
                )
            held = (alias for (of, alias), holder in self._aliases.items() if (of, holder) == (model, version))
            return replace(known[int(version) - 1], aliases=tuple(sorted(held)))

    def versions(self, model: str) -> tuple[Version, ...]:
        check_model(model)
        with self._lock:
            return tuple(self.get(model, v.version) for v in reversed(self._versions.get(model, [])))

    def by_alias(self, model: str, alias: str) -> Version | None:
        check_model(model)
        check_alias(alias)
        with self._lock:
            holder = self._aliases.get((model, alias))
            return self.get(model, holder) if holder else None

    def set_alias(self, model: str, alias: str, version: str) -> None:
        check_alias(alias)
        check_writable(model, self._writable)
        with self._lock:
            self._aliases[model, alias] = self.get(model, version).version

    def delete_alias(self, model: str, alias: str) -> None:
        check_alias(alias)
        check_writable(model, self._writable)
        with self._lock:
            self._aliases.pop((model, alias), None)

    def compare_and_set_alias(self, model: str, alias: str, *, expected: str | None, version: str) -> None:
        check_alias(alias)
        check_writable(model, self._writable)
        with self._lock:
            check_holder(model, alias, self._aliases.get((model, alias)), wanted=expected)
            self.set_alias(model, alias, version)

    def set_tags(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        check_writable(model, self._writable)
        with self._lock:
            merged = {**self.get(model, version).tags, **tags}
            check_tags(merged)
            self._replace(model, version, tags=merged)

    def set_description(self, model: str, version: str, text: str) -> None:
        check_writable(model, self._writable)
        with self._lock:
            self._replace(model, version, description=text)

    def download(self, model: str, version: str) -> Path:
        folder = Path(self.get(model, version).source.removeprefix("file://"))
        if not folder.is_dir():
            raise StorageError(f"The files of version {version} of {model} are gone: there is no folder {folder}.")
        return folder

    def digest(self, model: str, version: str) -> str:
        return model_files.digest(self.download(model, version))

    def load(self, model: str, version: str) -> Predictor:
        return model_files.load(self.download(model, version), f"Version {version} of {model}")

    def copy(self, model: str, version: str, *, to: str) -> Version:
        check_writable(to, self._writable)
        original = self.get(model, version)
        return self.register(
            to,
            source=original.source,
            run_id=original.run_id,
            tags={**without_approval(original.tags), COPIED_FROM: f"{model}/{version}"},
            description=original.description,
        )

    def delete(self, model: str) -> None:
        check_writable(model, self._writable)
        with self._lock:
            self._versions.pop(model, None)
            for held in [key for key in self._aliases if key[0] == model]:
                del self._aliases[held]

    def delete_models(self, catalog: str, schema: str) -> None:
        with self._lock:
            for model in [m for m in self._versions if check_model(m) == (catalog, schema)]:
                self.delete(model)

    def _replace(self, model: str, version: str, **changes: object) -> None:
        known = self._versions[model] if self.get(model, version) else []
        known[int(version) - 1] = replace(known[int(version) - 1], **changes)  # type: ignore[arg-type]
