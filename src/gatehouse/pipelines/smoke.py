"""Does a version work, here and now? What runs right after an alias has moved, and before a rollback."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from gatehouse.errors import GatehouseError, RegistryUnavailable
from gatehouse.lakehouse.online import Asked
from gatehouse.pipelines.compliance import ordinary_rows
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.inference import features_of
from gatehouse.pipelines.scoring import shaped

if TYPE_CHECKING:
    import pandas as pd

_ASKED = 20
"""Rows that an endpoint is asked about."""


class SmokeTest:
    """Tries versions on the newest events: called with one, it says what is wrong with it, or None."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._rows: pd.DataFrame | None = None

    def __call__(self, version: str) -> str | None:
        """Loads it from the registry and predicts."""
        try:
            asked = self.asked(version)
        except RegistryUnavailable:
            raise
        except GatehouseError as error:
            return error.what
        except Exception as error:  # noqa: BLE001 - whatever a model raises is the finding
            return f"{type(error).__name__}: {error}"[:300]
        if asked is None:
            return (
                f"there is no event before {self._context.as_of:%Y-%m-%d} to try it on, within the days of a hold-out"
            )
        broken = sum(not math.isfinite(number) for number in asked.answers)
        return f"{broken} of {len(asked.answers)} predictions are not finite" if broken else None

    def asked(self, version: str, *, at_most: int | None = None) -> Asked | None:
        """The newest events and the version's answers to them; None if there are none. Raises whatever it raises."""
        import numpy as np

        context = self._context
        if self._rows is None:
            self._rows = ordinary_rows(context)
        if self._rows.empty:
            return None
        known = context.registry.get(context.model, version)
        folder = context.registry.download(context.model, version)
        rows = self._rows[features_of(context, folder, known)].head(at_most or len(self._rows))
        model = context.registry.load(context.model, version)
        answers = np.asarray(model.predict(rows), dtype=float)
        shaped(answers, context.project.task, len(rows))
        return Asked(columns=list(rows.columns), data=rows.to_numpy().tolist(), answers=answers.ravel().tolist())


class ServedTest:
    """The smoke test of an environment with an endpoint: what works is served too, and answers there as it does here.

    So an endpoint that cannot serve a version keeps it from being champion, and goes on with the version it had.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._works = SmokeTest(context)

    def __call__(self, version: str) -> str | None:
        """As SmokeTest."""
        if (wrong := self._works(version)) is not None:
            return wrong
        context = self._context
        online = context.online
        asked = self._works.asked(version, at_most=_ASKED) if online else None
        if online is None or asked is None:
            return None
        try:
            with context.progress.step(f"serve version {version}"):
                context.progress.note(online.serve(version, asked))
        except GatehouseError as error:
            return error.what
        return None
