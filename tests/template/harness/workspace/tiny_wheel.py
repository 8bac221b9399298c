"""A wheel for tests, with one entry point that does what its first parameter says."""

from __future__ import annotations

import zipfile
from pathlib import Path

_CODE = """
import json, os, signal, sys

def main():
    what, *rest = sys.argv[1:]
    if what == "say":
        print(*rest)
    elif what == "where":
        names = ("DATABRICKS_RUNTIME_VERSION", "DATABRICKS_HOST", "DATABRICKS_TOKEN", "EXTRA")
        print(json.dumps({name: os.environ.get(name) for name in names} | {"here": os.listdir(".")}))
    elif what == "read":
        print(open(rest[0]).read())
    elif what == "fail":
        raise ValueError("the flights are gone")
    elif what == "exit":
        sys.exit(int(rest[0]))
    elif what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "set":
        from databricks.sdk.runtime import dbutils
        dbutils.jobs.taskValues.set(key=rest[0], value=json.loads(rest[1]))
    elif what == "get":
        from databricks.sdk.runtime import dbutils
        print(dbutils.jobs.taskValues.get(taskKey=rest[0], key=rest[1]))
    elif what == "once":
        # Fails the first time, and leaves a mark.
        if not os.path.exists(rest[0]):
            open(rest[0], "w").close()
            raise ValueError("not yet")
    elif what == "wait":
        # Opening the pipe tells the test that it runs, reading waits for the test.
        if rest[1:] == ["stubborn"]:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        with open(rest[0] + ".runs", "w"):
            pass
        try:
            with open(rest[0]) as pipe:
                pipe.read()
        except KeyboardInterrupt:
            print("interrupted")
            raise
    else:
        raise SystemExit("unknown: " + what)
"""


def make_wheel(folder: Path) -> Path:
    """tiny-1.0: package `tiny`, entry point `tiny-task`."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    about = "tiny-1.0.dist-info"
    files = {
        "tiny/__init__.py": _CODE,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\ntiny-task = tiny:main\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
