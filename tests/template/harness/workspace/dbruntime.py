"""What `from databricks.sdk.runtime import dbutils` finds inside of a task: task values, and nothing else.

The file is copied into the task's own folder of modules; the values lie in the file GATEHOUSE_EMULATED_TASK_VALUES
(those of the tasks before, by task, and its own under an empty name).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

_NOTHING = object()


class _TaskValues:
    def set(self, key: str, value: Any) -> None:
        values = _values()
        values.setdefault("", {})[key] = value
        _file().write_text(json.dumps(values), encoding="utf-8")

    def get(self, taskKey: str, key: str, default: Any = _NOTHING, debugValue: Any = None) -> Any:  # noqa: N803
        found = _values().get(taskKey, {}).get(key, default)
        if found is _NOTHING:
            raise ValueError(f"Task value with key {key} of task {taskKey} not found")
        return found


def _file() -> Path:
    return Path(os.environ["GATEHOUSE_EMULATED_TASK_VALUES"])


def _values() -> dict[str, dict[str, Any]]:
    return dict(json.loads(_file().read_text(encoding="utf-8")))


class UserNamespaceInitializer:
    """Named as the runtime names it, because the SDK looks for that."""

    @staticmethod
    def getOrCreate() -> UserNamespaceInitializer:  # noqa: N802
        return UserNamespaceInitializer()

    def get_namespace_globals(self) -> dict[str, Any]:
        return {"dbutils": SimpleNamespace(jobs=SimpleNamespace(taskValues=_TaskValues()))}
