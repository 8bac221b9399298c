"""Sessions on a server, in UTC on both sides."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def session(remote: str) -> Iterator[SparkSession]:
    """A session of its own, which the body may lose with its server."""
    from pyspark.sql import SparkSession

    os.environ["TZ"] = "UTC"
    time.tzset()
    opened = SparkSession.builder.remote(remote).create()
    try:
        yield opened
    finally:
        with suppress(Exception):
            opened.stop()
