"""Columns of an Arrow batch as numpy arrays. Null and NaN are the same here: missing."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from gatehouse.errors import EvaluationError

MISSING = "(missing)"  # the text of a missing value


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type have sizes: booleans have not."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def numbers(column: pa.Array, name: str) -> NDArray[np.float64]:
    """As float64, null as NaN. Booleans are 0 and 1.

    Raises:
        EvaluationError: The column, called `name`, holds neither numbers nor booleans.
    """
    kind = column.type
    if not (is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
        raise EvaluationError(
            f"Column {name} holds {kind}, and a number is needed.",
            why="Text is not turned into numbers here: a typing error in one row would become a missing value.",
            remedy=f"Cast {name} to double where it is made.",
        )
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def missing(column: pa.Array) -> NDArray[np.bool_]:
    """Which values are null or NaN."""
    return np.asarray(column.is_null(nan_is_null=pa.types.is_floating(column.type)))


def coded(column: pa.Array) -> tuple[list[str], NDArray[np.intp]]:
    """The distinct values as text, and for each row the position of its own; text is made once per value."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    texts = [_text(value) for value in column.dictionary.to_pylist()]
    if column.indices.null_count:
        texts.append(MISSING)
    codes = column.indices.fill_null(len(texts) - 1)
    return texts, codes.to_numpy(zero_copy_only=False).astype(np.intp)


def _text(value: Any) -> str:
    """The same for a value however it came: booleans as SQL writes them, moments by ISO 8601."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)
