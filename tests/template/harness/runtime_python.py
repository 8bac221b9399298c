"""The runtime's Python on this machine: 3.12, the locked dependencies, and the Spark client of its Spark.

Databricks Runtime 18 LTS and version 5 of the serverless environment. Made once for each uv.lock, in .tools/ beside uv.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
RUNTIME = {"python": "3.12", "spark": "pyspark-client==4.1.*", "mlflow": "mlflow==3.8.1"}


def find_uv() -> str | None:
    """uv, which `make` has at hand."""
    places = [os.environ.get("UV"), shutil.which("uv"), *map(str, sorted(ROOT.glob(".tools/uv-*/bin/uv")))]
    return next(filter(None, places), None)


def find_python(uv: str) -> Path | None:
    """An interpreter of the runtime's version; None if there is none here."""
    places = [os.environ["PATH"], *map(str, Path.home().glob(f".pyenv/versions/{RUNTIME['python']}.*/bin"))]
    environment = {**os.environ, "PATH": os.pathsep.join(places), "UV_PYTHON_DOWNLOADS": "never"}
    command = [uv, "python", "find", "--no-project", RUNTIME["python"]]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


@cache
def runtime_python() -> Path | None:
    """An interpreter with what the runtime and our requirements bring; None where this machine has no such Python."""
    uv = find_uv()
    python = find_python(uv) if uv else None
    if uv is None or python is None:
        return None
    wanted = "\n".join((str(python), RUNTIME["spark"], (ROOT / "uv.lock").read_text("utf-8")))
    folder = ROOT / ".tools" / f"runtime-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        folder.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as partial:
            made, locked = Path(partial) / "made", Path(partial) / "requirements.txt"
            export = (
                "--frozen",
                "--no-default-groups",
                "--no-emit-project",
                "--no-hashes",
                "--output-file",
                str(locked),
            )
            run(uv, "export", *export)
            run(uv, "venv", "--relocatable", "--python", str(python), str(made))
            run(uv, "pip", "install", "--python", str(made / "bin/python"), "-r", str(locked), RUNTIME["spark"])
            try:
                made.rename(folder)
            except OSError:
                assert folder.is_dir()  # another process was quicker
    return folder / "bin" / "python"


def run(uv: str, *arguments: str) -> None:
    """One command of uv, quietly."""
    done = subprocess.run([uv, "--quiet", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
