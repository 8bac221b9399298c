"""Equal content has equal bytes, and what cannot be said in one way only is not said at all."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from typing import Any

import numpy as np
import pytest

from gatehouse.errors import DataError, StorageError
from gatehouse.lakehouse import canonical


class Colour(StrEnum):
    RED = "red"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"b": 1, "a": [True, None, "x"], "B": {}}, '{"B":{},"a":[true,null,"x"],"b":1}'),
        ({"é": "✈\n\u2028", "z": "ü"}, '{"z":"ü","é":"✈\\n\u2028"}'),
        ((0.1 + 0.2, 1e16, 1e-7, 100.0, -0.0, 5e-324), "[0.30000000000000004,1e+16,1e-07,100.0,-0.0,5e-324]"),
        ([1, 10**30, np.int64(3), np.float64(0.1), np.str_("a")], '[1,1000000000000000000000000000000,3,0.1,"a"]'),
        (Colour.RED, '"red"'),
        (datetime(2013, 7, 1, 12, tzinfo=UTC), '"2013-07-01T12:00:00+00:00"'),
        (datetime(2013, 7, 1, 8, 0, 0, 5, timezone(timedelta(hours=-4))), '"2013-07-01T12:00:00.000005+00:00"'),
    ],
    ids=["keys", "scripts", "floats", "numbers", "enumeration", "moment", "moment elsewhere"],
)
def test_there_is_one_way_to_write_it(content: object, text: str) -> None:
    assert canonical.dumps(content) == text
    assert canonical.digest(content) == hashlib.sha256(text.encode("utf-8")).hexdigest()
    assert canonical.dumps(canonical.loads(text, named="It")) == text


@pytest.mark.parametrize(
    ("content", "where"),
    [
        (float("nan"), r"\$ is nan"),
        ({"a": [1, {"b": float("-inf")}]}, r"\$\.a\[1\]\.b is -inf"),
        ({"a": datetime(2013, 7, 1)}, r"\$\.a is datetime\.datetime\(2013, 7, 1, 0, 0\)"),  # noqa: DTZ001
        ({"a": Decimal("0.1")}, r"\$\.a is Decimal\('0\.1'\)"),
        ({"a": b"x"}, r"\$\.a is b'x'"),
        ({"a": {1, 2}}, r"\$\.a is \{1, 2\}"),
        ({None: 1}, r"\$ is None"),
        ({"a": ["\ud83d"]}, r"\$\.a\[0\] is '\\ud83d'"),
        ({"\ud83d": 1}, r"\$ is '\\ud83d'"),
    ],
)
def test_what_has_no_one_way_is_refused_by_its_place(content: Any, where: str) -> None:
    with pytest.raises(DataError, match=f"^{where}, which canonical JSON cannot hold: ") as caught:
        canonical.dumps(content)

    assert caught.value.why
    assert caught.value.remedy


@pytest.mark.parametrize(
    "text", ["", "{", "[1,]", "{'a':1}", "NaN", "[1e400]", '{"a":1,"a":1}', '"\\ud83d"', "1 2", b"\xff"]
)
def test_text_that_is_not_one_whole_json_value_is_refused(text: str | bytes) -> None:
    with pytest.raises(StorageError, match=r"^The note cannot be read as JSON: ") as caught:
        canonical.loads(text, named="The note")

    assert caught.value.why
    assert caught.value.remedy
