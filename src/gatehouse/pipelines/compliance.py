"""The evidence of compliance: what stands in the version's files and tags, and what it does in a clean process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatehouse.errors import StateError
from gatehouse.gates.compliance import ComplianceEvidence
from gatehouse.gates.probe import ORDINARY
from gatehouse.lakehouse.lineage import Lineage
from gatehouse.pipelines.clean_process import CleanProcess
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.dataset import EVENT_TIME, build, outcomes, pin
from gatehouse.pipelines.moments import utc
from gatehouse.pipelines.training import IMPORTANCES
from gatehouse.reports.card import blanks

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.models import Model

    from gatehouse.gates.policy import ComplianceRule
    from gatehouse.lakehouse.registry import Version

_PICKLES = {".pkl", ".pickle", ".joblib", ".cloudpickle", ".dill", ".pt", ".pth"}
_CODE = {".py", ".pyc", ".ipynb", ".so", ".dylib", ".dll", ".pyd", ".whl", ".jar"}
_ORDINARY_ROWS = 50
_GRACE_SECONDS = 60.0
_EXTREME = 1e12


def examine(
    context: Context, version: Version, process: CleanProcess, *, meanwhile: Callable[[], object] = lambda: None
) -> ComplianceEvidence:
    """Let the clean process load, query and serve the version, and read its files, tags, card and run.

    `meanwhile` is done while that process is at work. It must not load the version, of which nothing is known yet.
    """
    rule = context.policy.compliance
    folder = context.registry.download(context.model, version.version)
    ordinary = ordinary_rows(context)
    # A column that production does not bring is a finding of its own; the other rules are still to be answered.
    for column in _inputs(_stored(folder)) or ():
        if column not in ordinary:
            ordinary[column] = float("nan")
    request = {
        "model": str(folder),
        "cases": {name: {**case, "numeric": list(ordinary.columns)} for name, case in _cases(ordinary).items()},
        **load_test(rule),
    }
    limit = 2 * rule.startup_seconds + rule.requests / rule.request_rate + _GRACE_SECONDS
    with process.asking(request, limit=limit) as asked:
        meanwhile()
        answer, error = asked()
    return _evidence(context, version, answer, error)


def load_test(rule: ComplianceRule) -> dict[str, float]:
    """How hard the clean process tries a version: requests, their number a second, and seconds until it must answer."""
    return {"requests": rule.requests, "rate": rule.request_rate, "startup_seconds": rule.startup_seconds}


def _evidence(
    context: Context, version: Version, answer: dict[str, Any] | None, error: str | None
) -> ComplianceEvidence:
    folder = context.registry.download(context.model, version.version)
    stored = _stored(folder)
    files = [p for p in folder.rglob("*") if p.is_file()]
    signature = stored.signature if stored else None
    project = context.project
    return ComplianceEvidence(
        inputs=_inputs(stored),
        outputs=len(signature.outputs) if signature is not None and signature.outputs is not None else 0,
        forbidden=project.forbidden,
        late=project.event_table.late,
        known=project.features,
        flavours=tuple(sorted(stored.flavors)) if stored else (),
        code_files=tuple(sorted(str(p.relative_to(folder)) for p in files if p.suffix in _CODE)),
        pickles=tuple(sorted(str(p.relative_to(folder)) for p in files if _is_pickle(p))),
        requirements=_requirements(folder),
        missing_lineage=_missing_lineage(version),
        card_blanks=blanks(version.description),
        explained=_explained(context, version),
        megabytes=sum(p.stat().st_size for p in files) / 1e6,
        probe=answer,
        probe_error=error,
    )


def _stored(folder: Path) -> Model | None:
    """MLflow's description of the files; None if it cannot be read, which the rules and the clean process find."""
    from mlflow.models import Model

    try:
        return Model.load(str(folder))
    except Exception:  # noqa: BLE001 - whatever MLflow raises on a damaged file
        return None


def _inputs(stored: Model | None) -> dict[str, str] | None:
    """Columns of the model's signature by type; None without a signature that names them."""
    signature = stored.signature if stored else None
    if signature is None or signature.inputs is None or not signature.inputs.has_input_names():
        return None
    return {str(column.name): str(column.type) for column in signature.inputs}


def ordinary_rows(context: Context) -> pd.DataFrame:
    """The newest events with all features of the project, in the order of their keys."""
    from pyspark.sql import functions as F

    from gatehouse.pipelines.windows import windows

    stretch, pinned = windows(context.as_of, context.settings.training), pin(context)
    after = stretch.train_end
    times = outcomes(context, pinned, after=after, until=context.as_of).select(EVENT_TIME)
    last = times.orderBy(F.col(EVENT_TIME).desc()).limit(_ORDINARY_ROWS).toPandas()[EVENT_TIME]
    if (oldest := utc(last.min())) is not None:  # features are joined to these alone, not to weeks of rows
        after = oldest - timedelta(microseconds=1)
    frame = build(context, pinned, after=after, until=context.as_of)
    keys = [EVENT_TIME, *context.project.event_table.primary_key]
    newest = frame.orderBy(*(F.col(k).desc() for k in keys)).limit(_ORDINARY_ROWS)
    return newest.select(*context.project.features).toPandas()


def _cases(ordinary: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Ordinary rows and those that come anyway."""
    columns = list(ordinary.columns)
    rows = [[None if isnan(v) else float(v) for v in row] for row in ordinary.itertuples(index=False)]
    width = len(columns)
    data: dict[str, list[list[float | None]]] = {
        ORDINARY: rows,
        "single": rows[:1],
        "empty": [],
        "null": [[None] * width] * 2,
        "unseen": [[-1.0] * width, [0.0] * width],
        "extreme": [[_EXTREME] * width, [-_EXTREME] * width],
    }
    return {name: {"columns": columns, "data": content} for name, content in data.items()}


def _is_pickle(path: Path) -> bool:
    """By its name, or by its first bytes: a pickle of protocol 2 and later begins with 0x80 and its number."""
    if path.suffix in _PICKLES:
        return True
    with path.open("rb") as file:
        start = file.read(2)
    return len(start) == 2 and start[0] == 0x80 and 2 <= start[1] <= 5


def _requirements(folder: Path) -> tuple[str, ...]:
    path = folder / "requirements.txt"
    if not path.is_file():
        return ()
    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return tuple(line for line in lines if line)


def _missing_lineage(version: Version) -> str | None:
    try:
        Lineage.from_tags(version.tags, version.version)
    except StateError as error:
        return error.what
    return None


def _explained(context: Context, version: Version) -> bool:
    if version.run_id is None:
        return False
    stored = context.tracking.read_dict(version.run_id, IMPORTANCES) or {}
    return bool(stored.get("mean_absolute_contribution"))
