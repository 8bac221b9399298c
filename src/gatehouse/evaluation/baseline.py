"""The rule of thumb that a first model must beat: what happened to others of the same kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gatehouse.errors import DataError

if TYPE_CHECKING:
    from gatehouse.project import Predictor

_ROW = "_row_of_means"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class GroupMeans:
    """Fitted means. `groups` has one row per group, in the order of `means`, whose last row is the overall mean."""

    columns: tuple[str, ...]
    groups: pd.DataFrame
    means: NDArray[np.float64]  # shape (groups + 1, max(classes, 1))
    classes: int

    def predict(self, features: pd.DataFrame) -> NDArray[np.float64]:
        """The mean of each row's group, shape (n,), or (n, classes); the overall mean for groups never seen."""
        if not self.columns:
            return self._shaped(np.repeat(self.means, len(features), axis=0))
        numbered = self.groups.assign(**{_ROW: np.arange(len(self.groups))})
        found = features[list(self.columns)].merge(numbered, on=list(self.columns), how="left")[_ROW]
        return self._shaped(self.means[found.fillna(len(self.groups)).to_numpy(dtype=np.intp)])

    def _shaped(self, means: NDArray[np.float64]) -> NDArray[np.float64]:
        return means if self.classes else means[:, 0]


def fit_group_mean(
    frame: pd.DataFrame,
    label: pd.Series[Any],
    *,
    columns: Sequence[str],
    prior_rows: float,
    classes: int,
) -> Predictor:
    """Mean label of each group, pulled to the overall mean as if `prior_rows` rows of it had been seen in each.

    Args:
        frame: One row per event, with the columns; a null is a group of its own.
        label: One number per row, none null; class positions 0..classes-1 if `classes` > 0.
        columns: What makes a group; none: everything is one group.
        prior_rows: Pseudo-rows at the overall mean, >= 0.
        classes: 0 for the mean of the label, else the frequency of each class.

    Raises:
        DataError: no rows, or a label that is null or no class.
    """
    targets = _targets(label, classes)
    overall = targets.mean(axis=0)
    keys = frame[list(columns)].reset_index(drop=True)
    if not columns:
        return GroupMeans(columns=(), groups=pd.DataFrame(), means=overall[np.newaxis], classes=classes)
    number = keys.groupby(list(columns), dropna=False, sort=True).ngroup().to_numpy()
    first = np.unique(number, return_index=True)[1]
    rows = np.bincount(number)[:, np.newaxis]
    sums = np.column_stack([np.bincount(number, weights=t) for t in targets.T])
    means = (sums + prior_rows * overall) / (rows + prior_rows)
    return GroupMeans(
        columns=tuple(columns),
        groups=keys.iloc[first].reset_index(drop=True),
        means=np.vstack([means, overall]),
        classes=classes,
    )


def _targets(label: pd.Series[Any], classes: int) -> NDArray[np.float64]:
    """What is averaged: the label as one column, or one indicator per class."""
    values = label.to_numpy(dtype=np.float64, na_value=np.nan)
    if not len(values) or np.isnan(values).any():
        raise DataError(
            f"{int(np.isnan(values).sum())} of {len(values)} labels are missing.",
            why="A rule of thumb is the mean of labels: it needs one in every row, and at least one row.",
            remedy="Fit it on labelled rows only; train on a longer window if there are none.",
        )
    if not classes:
        return values[:, np.newaxis]
    positions = np.arange(classes, dtype=np.float64)
    if not np.isin(values, positions).all():
        raise DataError(
            f"Labels between {values.min():g} and {values.max():g} do not fit {classes} classes.",
            why="Multiclass labels are positions in the project's `classes`.",
            remedy=f"Make the label expression give whole numbers from 0 to {classes - 1}.",
        )
    indicators: NDArray[np.float64] = (values[:, np.newaxis] == positions).astype(np.float64)
    return indicators
