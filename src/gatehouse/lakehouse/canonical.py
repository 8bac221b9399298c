"""One way to write a value as JSON, so that equal content has equal bytes and one digest.

Keys sorted by code point, no insignificant white space, UTF-8 without escapes, floats in the shortest form that reads
back as the same number, moments in ISO 8601 and UTC. RFC 8785 has the same purpose; it differs in how it writes numbers
(as ECMAScript does) and sorts keys (by UTF-16 code unit). What has no such form is refused, in both directions.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any, NoReturn

from gatehouse.errors import DataError, StorageError


def dumps(content: object) -> str:
    """The canonical JSON of anything that `plain` takes; DataError names what it refuses, and where."""
    return json.dumps(plain(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(content: object) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON."""
    return hashlib.sha256(dumps(content).encode()).hexdigest()


def loads(text: str | bytes, *, named: str) -> Any:
    """Read JSON, not necessarily canonical, that says one thing only: a repeated key, NaN or infinity is refused.

    Raises:
        StorageError: that is no whole JSON text, or not an unambiguous one; `named` says of what.
    """
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        content = json.loads(decoded, object_pairs_hook=_unique, parse_constant=_no_number)
        return plain(content)
    except (ValueError, RecursionError, DataError) as error:
        reason = error.what if isinstance(error, DataError) else f"{error}"
        raise StorageError(
            f"{named} cannot be read as JSON: {reason}",
            why="Half of it, or something that can be read in two ways, proves nothing.",
            remedy="Fetch it again from where it was first written, such as the artefacts of the run.",
        ) from error


def plain(content: object, path: str = "$") -> Any:
    """A copy made of dicts with text keys, lists, text, whole and finite numbers, booleans and None alone.

    Tuples become lists, moments text, numbers of numpy those of Python; `path` is for the DataError.
    """
    if content is None or isinstance(content, bool):
        return content
    if isinstance(content, str):
        return _text(content, path)
    if isinstance(content, datetime):
        return moment(content, path)
    if isinstance(content, Mapping):
        return {_key(key, path): plain(value, f"{path}.{key}") for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [plain(value, f"{path}[{position}]") for position, value in enumerate(content)]
    return _number(content, path)


def moment(at: datetime, path: str = "$") -> str:
    """A moment as it stands in canonical JSON; DataError if it has no zone."""
    if at.tzinfo is None:
        raise _refused(path, at, "a moment without a time zone can mean any of 24 hours")
    return at.astimezone(UTC).isoformat()


def _number(content: object, path: str) -> int | float:
    if type(content) is int or (type(content) is float and math.isfinite(content)):
        return content  # nearly all of them, and asking the abstract classes takes longer than the rest
    if isinstance(content, Integral):
        return int(content)
    if not isinstance(content, Real):
        raise _refused(path, content, f"JSON has nothing for a {type(content).__name__}")
    number = float(content)
    if not math.isfinite(number):
        raise _refused(path, content, "what is no finite number was not measured, and passes any comparison or none")
    return number


def _text(content: str, path: str) -> str:
    text = str(content)  # an enumeration's value, and no longer a subclass
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _refused(path, text, "half of a surrogate pair is no character") from None
    return text


def _key(key: object, path: str) -> str:
    if not isinstance(key, str):
        raise _refused(path, key, "the keys of a JSON object are text")
    return _text(key, path)


def _refused(path: str, content: object, why: str) -> DataError:
    return DataError(
        f"{path} is {content!a:.80}, which canonical JSON cannot hold: {why}.",
        why="A record must say the same to everybody who reads it, or its digest proves nothing.",
        remedy="Put text, a whole or finite number, a list or an object of those there, or null for what is unknown.",
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice in one object")
    return read


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
