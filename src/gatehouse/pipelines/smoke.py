"""Does a version work, here and now? What runs right after an alias has moved, and before a rollback."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from gatehouse.errors import GatehouseError, RegistryUnavailable
from gatehouse.pipelines.compliance import ordinary_rows
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.inference import features_of
from gatehouse.pipelines.scoring import shaped

if TYPE_CHECKING:
    import pandas as pd


def smoke_test(context: Context) -> Callable[[str], str | None]:
    """A test of versions on the newest events: loads it from the registry and predicts. What is wrong, or None."""
    rows: list[pd.DataFrame] = []

    def test(version: str) -> str | None:
        try:
            if not rows:
                rows.append(ordinary_rows(context))
            if rows[0].empty:
                return f"there is no event before {context.as_of:%Y-%m-%d} to try it on, within the days of a hold-out"
            known = context.registry.get(context.model, version)
            folder = context.registry.download(context.model, version)
            features = features_of(context, folder, known)
            model = context.registry.load(context.model, version)
            found = shaped(model.predict(rows[0][features]), context.project.task, len(rows[0]))
        except RegistryUnavailable:
            raise
        except GatehouseError as error:
            return error.what
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the finding
            return f"{type(error).__name__}: {error}"[:300]
        broken = sum(not math.isfinite(number) for number in found.ravel())
        return f"{broken} of {found.size} predictions are not finite" if broken else None

    return test
