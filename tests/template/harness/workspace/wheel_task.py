"""Runs a Python wheel task: unpacks its wheels into a layer, starts the entry point, reads what it left."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.template.harness.workspace.errors import invalid

_HERE = Path(__file__).parent
_LOGS = 5 * 1024 * 1024  # bytes that runs/get-output gives back


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """Where tasks run: an interpreter with the locked dependencies, and variables that the cluster would have."""

    python: str
    version: str = "client.5.0"  # DATABRICKS_RUNTIME_VERSION of serverless environment 5
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True)
class Outcome:
    """How it ended, and what it said."""

    succeeded: bool
    logs: str = ""
    error: str = ""
    error_trace: str = ""
    values: dict[str, Any] = field(default_factory=dict)


class WheelTask:
    """One attempt. `start` returns at once, `wait` until it has ended, `interrupt` and `kill` end it."""

    def __init__(self, folder: Path, files: Path, runtime: Runtime) -> None:
        """`folder` is the attempt's own; `files` is where workspace files lie, real ones under /Workspace."""
        self._folder, self._files, self._runtime = folder, files, runtime
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self, task: dict[str, Any], wheels: list[str], environment: dict[str, str], values: dict[str, Any]
    ) -> None:
        """`values` are the task values of the tasks before, by task."""
        self._folder.mkdir(parents=True)
        layers = [self._layer(wheel) for wheel in wheels]
        modules = self._folder / "modules"
        modules.mkdir()
        shutil.copy(_HERE / "dbruntime.py", modules)
        values_file = self._folder / "values.json"
        values_file.write_text(json.dumps(values), encoding="utf-8")
        working = self._folder / "work"
        working.mkdir()
        wheel = task["python_wheel_task"]
        parameters = wheel.get("parameters") or [f"--{k}={v}" for k, v in wheel.get("named_parameters", {}).items()]
        with (self._folder / "stdout.txt").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(self._runtime.python, "-X", "faulthandler", str(_HERE / "run_wheel.py")),
                    *(wheel["package_name"], wheel["entry_point"], str(self._folder / "outcome.json")),
                    *(self._here(parameter) for parameter in parameters),
                ],
                cwd=working,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env={
                    "PATH": os.defpath,
                    "HOME": str(working),
                    "TMPDIR": str(working),
                    "PYTHONPATH": os.pathsep.join(map(str, [*layers, modules])),
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "PYTHONUNBUFFERED": "1",
                    "DATABRICKS_RUNTIME_VERSION": self._runtime.version,
                    "GATEHOUSE_EMULATED_TASK_VALUES": str(values_file),
                    **self._runtime.variables,
                    **environment,
                },
            )

    def wait(self, seconds: float | None) -> Outcome:
        """Raises subprocess.TimeoutExpired after that time; it then still runs."""
        assert self._process is not None
        code = self._process.wait(seconds)
        self._signal(signal.SIGKILL)  # what it left behind
        logs = (self._folder / "stdout.txt").read_bytes()[-_LOGS:].decode(errors="replace")
        outcome = Outcome(succeeded=code == 0, logs=logs)
        told = self._folder / "outcome.json"
        if told.exists():
            said = json.loads(told.read_text(encoding="utf-8"))
            outcome.error, outcome.error_trace = said["error"], said["error_trace"]
        elif code:
            outcome.error = f"The Python process exited with exit code {code}."
        outcome.values = json.loads((self._folder / "values.json").read_text(encoding="utf-8")).get("", {})
        return outcome

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return

    def _here(self, parameter: str) -> str:
        return parameter.replace("/Workspace/", f"{self._files}/")

    def _layer(self, wheel: str) -> Path:
        """The wheel as a folder for PYTHONPATH; made once for each content."""
        path = Path(self._here(wheel))
        if not path.is_file():
            raise invalid(f"Library installation failed: {wheel} does not exist.")
        layer = self._files.parent / "layers" / hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        if not layer.exists():
            part = layer.with_name(f"{layer.name}.{os.getpid()}.{id(self)}")
            with zipfile.ZipFile(path) as archive:
                if any(".data/" in name for name in archive.namelist()):
                    raise invalid(f"The emulated workspace installs pure wheels only; {path.name} has a .data folder.")
                archive.extractall(part)
            try:
                part.rename(layer)
            except OSError:
                shutil.rmtree(part)  # another task was sooner
        return layer
