"""Loads, queries and serves stored models, each in a clean process of its own, which `pipelines.clean_process` starts.

Reads JSON requests on standard input, one a line, writes the answer to the file that a request names, and says on
standard output that it has. What a model does is reported, never raised. The server is MLflow's own, on loopback.

The imports take seconds and know no model. On Linux they are done once: each request is answered by a fork of the
process that did nothing else. Elsewhere a fork cannot be relied on, and a process ends with its first answer.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any

ORDINARY = "ordinary"
LOOPBACK = "127.0.0.1"
_ANSWERS_WITHIN = 30.0
_MOST_WORDS = 240


def main(flavours: Sequence[str]) -> None:
    """Import what takes seconds, that of MLflow's flavours included, then answer the requests on standard input."""
    for heavy in ("pandas", "uvicorn", "mlflow.pyfunc.scoring_server"):
        import_module(heavy)
    for flavour in flavours:
        with suppress(ImportError):  # a model of it will say so
            import_module(f"mlflow.{flavour}")
            import_module(flavour)
    channel = os.dup(sys.stdout.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # a model may print what it likes
    forks = sys.platform == "linux"
    for line in sys.stdin:
        code = _forked(line) if forks else _answer(line)
        os.write(channel, f"{code}\n".encode())
        if not forks:
            return


def _forked(line: str) -> int:
    child = os.fork()
    if child == 0:
        try:
            os._exit(_answer(line))
        finally:
            os._exit(1)  # reached by an exception, which has been printed: nothing of the parent's may run here
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _answer(line: str) -> int:
    try:
        request = json.loads(line)
        Path(request["answer"]).write_text(json.dumps(probe(request)), encoding="utf-8")
    except BaseException as error:  # noqa: BLE001 - also what a model raises to end the process
        sys.stderr.write(f"{_told(error)}\n")
        return 1
    return 0


def probe(request: dict[str, Any]) -> dict[str, Any]:
    """What the model does.

    Args:
        request: `model`, its folder; `cases`, by name a `columns` list and `data` rows (null for missing);
            `requests` and `rate` per second of the load test; `startup_seconds`.

    Returns:
        `loaded`, `load_error`, `load_seconds`; `cases`, by name `error`, `predictions`, `served_status` and
        `served_predictions`; `startup_seconds`; `latencies` in milliseconds and `failures` of the load test;
        `memory_megabytes`, the peak of this process.
    """
    import mlflow.pyfunc
    import pandas as pd

    answer: dict[str, Any] = {"loaded": False, "load_error": None, "cases": {}, "latencies": [], "failures": 0}
    begin = time.perf_counter()
    try:
        model = mlflow.pyfunc.load_model(request["model"], suppress_warnings=True)
    except Exception as error:  # noqa: BLE001 - whatever a foreign model raises is the finding
        return {**answer, "load_error": _told(error)}
    answer |= {"loaded": True, "load_seconds": time.perf_counter() - begin}
    for name, case in request["cases"].items():
        frame = pd.DataFrame(case["data"], columns=case["columns"])
        frame = frame.astype(dict.fromkeys(case["numeric"], "float64"))
        answer["cases"][name] = _predict(model, frame)
    with_server = _serve(model, request, answer)
    return {**answer, **with_server, "memory_megabytes": _peak_memory()}


def _predict(model: Any, frame: Any) -> dict[str, Any]:
    import numpy as np

    try:
        predictions = np.asarray(model.predict(frame), dtype=float)
    except Exception as error:  # noqa: BLE001
        return {"error": _told(error), "predictions": None}
    return {"error": None, "predictions": _listed(predictions), "finite": bool(np.isfinite(predictions).all())}


def _serve(model: Any, request: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    import uvicorn
    from mlflow.pyfunc import scoring_server

    begin = time.perf_counter()
    server = uvicorn.Server(uvicorn.Config(scoring_server.init(model), host=LOOPBACK, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive() or time.perf_counter() - begin > request["startup_seconds"]:
            return {"startup_seconds": None}
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    startup = time.perf_counter() - begin
    connection = HTTPConnection(LOOPBACK, port, timeout=_ANSWERS_WITHIN)
    for name, case in request["cases"].items():
        status, body = _ask(connection, case)
        answer["cases"][name] |= {"served_status": status, "served_predictions": _parsed(body)}
    latencies, failures = _load_test(connection, request)
    server.should_exit = True
    thread.join(timeout=5)
    return {"startup_seconds": startup, "latencies": latencies, "failures": failures}


def _load_test(connection: HTTPConnection, request: dict[str, Any]) -> tuple[list[float], int]:
    """Single rows, sent on a fixed schedule: a late answer makes the next one late too, as it would a caller."""
    case = request["cases"][ORDINARY]
    latencies, failures = [], 0
    begin = time.perf_counter()
    for number in range(request["requests"]):
        due = begin + number / request["rate"]
        time.sleep(max(0.0, due - time.perf_counter()))
        row = case["data"][number % len(case["data"])]
        status, _ = _ask(connection, {**case, "data": [row]})
        latencies.append((time.perf_counter() - due) * 1000)
        failures += status != 200
    return latencies, failures


def _ask(connection: HTTPConnection, case: dict[str, Any]) -> tuple[int, bytes]:
    body = json.dumps({"dataframe_split": {"columns": case["columns"], "data": case["data"]}})
    try:
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, HTTPException):
        connection.close()
        return 0, b""


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)["predictions"]
    except (ValueError, KeyError, TypeError):
        return None


def _listed(predictions: Any) -> Any:
    """Lists with null in the place of what JSON cannot say."""
    import numpy as np

    listed: Any = np.where(np.isfinite(predictions), predictions, None)
    return listed.tolist()


def _told(error: BaseException) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."


def _peak_memory() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
