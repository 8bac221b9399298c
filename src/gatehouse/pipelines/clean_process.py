"""A process of its own in which a stored model is examined: nothing of this one is in it, no secret and no session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Self

_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}


class CleanProcess:
    """`gates.probe`, started early: it imports what it needs, which takes seconds, and waits for its one request.

    Python is isolated (no current folder on its path, no PYTHON* variables), writes no bytecode (it would lie among the
    model's files), and of the environment it sees only what programs need to run.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gatehouse-probe-", ignore_cleanup_errors=True)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-m", "gatehouse.gates.probe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self._folder.name,
            env={**{k: os.environ[k] for k in _KEPT if k in os.environ}, **_SETTINGS},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def ask(self, request: dict[str, Any], *, limit: float) -> tuple[dict[str, Any] | None, str | None]:
        """Its answer within `limit` seconds, or the reason why there is none. It ends afterwards."""
        answer = Path(self._folder.name) / "answer.json"
        text = json.dumps({**request, "answer": str(answer)}, allow_nan=False)
        try:
            _, complaints = self._process.communicate(text, timeout=limit)
            if answer.is_file():
                return json.loads(answer.read_text(encoding="utf-8")), None
            last = (complaints.strip().splitlines() or ["no word"])[-1]
            return None, f"it ended with code {self._process.returncode}: {last[:300]}"
        except subprocess.TimeoutExpired:
            return None, f"it took longer than {limit:.0f} s"
        finally:
            self.close()

    def close(self) -> None:
        """End it, whatever it is doing."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        self._folder.cleanup()
