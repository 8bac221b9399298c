"""Data that is read back exactly as it was written, or not at all: the ground of records and approvals.

A class made with `dataclass(..., config=CLOSED)` of pydantic takes no other fields and no other types, neither when it
is made nor when it is read; what it holds has canonical JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from gatehouse.errors import DataError
from gatehouse.lakehouse import canonical

CLOSED = ConfigDict(
    strict=True, extra="forbid", use_attribute_docstrings=True, json_schema_serialization_defaults_required=True
)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _plain(content: object) -> Any:
    return canonical.plain(content)


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Number = Annotated[float, BeforeValidator(_plain)]
Plain = Annotated[Mapping[str, Any], BeforeValidator(_plain)]
"""A JSON object of any content; canonical from the moment it is put in."""

_Read = TypeVar("_Read")


def read(kind: type[_Read], content: object, *, named: str) -> _Read:
    """Make a `kind` of plain content; DataError unless writing it again gives the same content."""
    adapter = TypeAdapter(kind)
    text = canonical.dumps(content)
    try:
        found = adapter.validate_json(text)
    except ValidationError as error:
        raise _misfit(named, [_sentence(details) for details in error.errors(include_url=False)]) from None
    if differences := list(_differences(canonical.plain(content), canonical.plain(written(found)), "$")):
        raise _misfit(named, differences)
    return found


def written(kind: object) -> Any:
    """The plain content that `read` takes."""
    return TypeAdapter(type(kind)).dump_python(kind)


def _sentence(details: Any) -> str:
    place = ".".join(map(str, details["loc"])) or "the whole"
    return f"{place}: {details['msg']} (got {details['input']!r:.80})"


def _differences(content: object, again: object, path: str) -> Iterator[str]:
    """Where content says something in another way than it would be written, such as a moment that is not in UTC."""
    if isinstance(content, dict) and isinstance(again, dict):
        for key in sorted(content.keys() | again.keys()):
            if key not in content:
                yield f"{path}.{key} is missing"
            else:
                yield from _differences(content[key], again.get(key), f"{path}.{key}")
    elif isinstance(content, list) and isinstance(again, list) and len(content) == len(again):
        for position, (one, other) in enumerate(zip(content, again, strict=True)):
            yield from _differences(one, other, f"{path}[{position}]")
    elif canonical.dumps(content) != canonical.dumps(again):
        yield f"{path} is {content!r:.80}, which is written {again!r:.80}"


def _misfit(named: str, problems: list[str]) -> DataError:
    return DataError(
        f"{named} is not what was written: {'; '.join(problems[:5])}.",
        why="Whoever changed it, took something away or put something there may have changed what it proves, too.",
        remedy="Use the one that Gatehouse wrote, or judge the version again with `gatehouse release`.",
    )
