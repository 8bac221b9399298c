"""A process of its own in which a stored model is examined: nothing of this one is in it, no secret and no session."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Self, cast

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_PROGRAM = (
    "import sys; given = sys.argv[1].split(__import__('os').pathsep);"
    " sys.path[:0] = [folder for folder in given if folder and folder not in sys.path];"
    " from gatehouse.gates.probe import main; main(sys.argv[2:])"
)
_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}


class CleanProcess:
    """`gates.probe`, started early: it imports what it needs, which takes seconds, and waits for requests.

    Every request is answered in a process that has seen no other. Python is isolated (no current folder on its path, no
    PYTHON* variables), finds installed libraries where this process finds them, writes no bytecode (it would lie among
    the model's files), and of the environment it sees only what programs need to run. `flavours` are MLflow's, whose
    libraries are imported early as well.
    """

    def __init__(self, flavours: Sequence[str] = ()) -> None:
        self._flavours = tuple(flavours)
        self._folder = tempfile.TemporaryDirectory(prefix="gatehouse-probe-", ignore_cleanup_errors=True)
        self._process = self._started()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def ask(self, request: dict[str, Any], *, limit: float) -> tuple[dict[str, Any] | None, str | None]:
        """Its answer within `limit` seconds, or the reason why there is none."""
        if self._process.poll() is not None:
            self._end()
            self._process = self._started()
        answer = Path(self._folder.name) / "answer.json"
        answer.unlink(missing_ok=True)
        begin = time.monotonic()
        alarm = threading.Timer(limit, self._kill)
        alarm.start()
        try:
            code = self._code_of(json.dumps({**request, "answer": str(answer)}, allow_nan=False))
        finally:
            alarm.cancel()
        if code == 0 and answer.is_file():
            return json.loads(answer.read_text(encoding="utf-8")), None
        if time.monotonic() - begin >= limit:
            return None, f"it took longer than {limit:.0f} s"
        return None, f"it ended with code {code}: {self._last_word()[:300]}"

    @contextmanager
    def asking(
        self, request: dict[str, Any], *, limit: float
    ) -> Iterator[Callable[[], tuple[dict[str, Any] | None, str | None]]]:
        """Ask, and do something else inside until the answer is called for. What is raised inside ends the process."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            answer = pool.submit(self.ask, request, limit=limit)
            try:
                yield answer.result
            except BaseException:
                if not answer.done():  # nobody wants it any more, and the pool would wait
                    with suppress(ProcessLookupError):
                        self._kill()
                raise

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._end()
        self._folder.cleanup()

    def _started(self) -> subprocess.Popen[str]:
        with self._complaints.open("w") as complaints:
            return subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-B", "-c", _PROGRAM, os.pathsep.join(_installed()), *self._flavours],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
                text=True,
                cwd=self._folder.name,
                env={**{k: os.environ[k] for k in _KEPT if k in os.environ}, **_SETTINGS},
                start_new_session=True,  # so that what it forks ends with it
            )

    def _code_of(self, line: str) -> int:
        """Hand a request over and wait: 0 when it was answered, else the exit code of the process that it ended."""
        requests, codes = self._pipes
        try:
            requests.write(line + "\n")
            requests.flush()
            said = codes.readline()
        except BrokenPipeError:
            said = ""
        return int(said) if said else self._process.wait()

    @property
    def _pipes(self) -> tuple[IO[str], IO[str]]:
        """What it reads and what it writes."""
        return cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)

    @property
    def _complaints(self) -> Path:
        return Path(self._folder.name) / "complaints.txt"

    def _last_word(self) -> str:
        lines = self._complaints.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "no word"

    def _kill(self) -> None:
        if os.name == "posix":
            os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def _end(self) -> None:
        if self._process.poll() is None:
            self._kill()
        self._process.wait()
        for pipe in self._pipes:
            with suppress(BrokenPipeError):
                pipe.close()


def _installed() -> list[str]:
    """Folders with libraries: a workspace names some in PYTHONPATH, which an isolated process does not read."""
    return [folder for folder in sys.path if any(Path(folder or os.devnull).glob("*.dist-info"))]
