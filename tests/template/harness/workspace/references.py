"""`{{...}}` in the settings of a task, replaced when the task starts. One that does not exist is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tests.template.harness.workspace.errors import invalid

_REFERENCE = re.compile(r"\{\{\s*(.*?)\s*\}\}")
_TIMES = {
    "iso_date": "%Y-%m-%d",
    "iso_datetime": "%Y-%m-%dT%H:%M:%S.%f",
    "year": "%Y",
    "month": "%m",
    "day": "%d",
    "hour": "%H",
    "minute": "%M",
    "second": "%S",
}


def times(prefix: str, milliseconds: int) -> dict[str, str]:
    """What `prefix.iso_date` and its like stand for: UTC, numbers without leading zeros."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    values = {f"{prefix}.{name}": moment.strftime(form) for name, form in _TIMES.items() if len(form) == 2}
    values = {name: str(int(value)) for name, value in values.items()}
    iso = {f"{prefix}.{name}": moment.strftime(form) for name, form in _TIMES.items() if len(form) > 2}
    return {
        **values,
        **iso,
        f"{prefix}.iso_weekday": str(moment.isoweekday()),
        f"{prefix}.is_weekday": str(moment.isoweekday() < 6).lower(),
        f"{prefix}.timestamp_ms": str(milliseconds),
    }


def resolved(setting: Any, values: Mapping[str, str]) -> Any:
    """The same setting, its references replaced at any depth. Raises Refusal for one that means nothing."""
    if isinstance(setting, str):
        return _REFERENCE.sub(lambda found: _value(found[1], values), setting)
    if isinstance(setting, list):
        return [resolved(part, values) for part in setting]
    if isinstance(setting, dict):
        return {key: resolved(part, values) for key, part in setting.items()}
    return setting


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise invalid(f"The reference {{{{{name}}}}} means nothing here; known are: {', '.join(sorted(values))}.")
    return values[name]
