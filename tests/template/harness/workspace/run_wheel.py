"""The process of a Python wheel task: python run_wheel.py PACKAGE ENTRY_POINT OUTCOME [PARAMETER ...].

Runs by itself, without the harness. As on Databricks the entry point is looked up in the package's metadata, and is the
attribute of that name of the package if there is none; the parameters are `sys.argv[1:]`. Whatever leaves the entry
point as an exception fails the task, SystemExit of any code among it; the file OUTCOME then says why.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from typing import Any


def entry_point(package: str, name: str) -> Callable[[], Any]:
    for point in distribution(package).entry_points:
        if point.name == name:
            loaded: Callable[[], Any] = point.load()
            return loaded
    found: Callable[[], Any] = getattr(import_module(package), name)
    return found


def main() -> int:
    package, name, outcome, *parameters = sys.argv[1:]
    sys.argv = [package, *parameters]
    try:
        entry_point(package, name)()
    except BaseException as error:  # noqa: BLE001 - interrupts and exits, too
        trace = traceback.format_exc()
        sys.stderr.write(trace)
        said = {"error": f"{type(error).__name__}: {error}", "error_trace": trace}
        Path(outcome).write_text(json.dumps(said), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file is not the task's
    sys.exit(main())
