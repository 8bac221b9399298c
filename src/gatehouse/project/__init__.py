"""The contract between a use case and the machinery: everything a use case declares, and nothing else.

A use case is one `Project`. Its package imports only this module. The machinery knows tables, times, labels and
predictions; it knows neither flights nor two classes. Time runs as follows: every row of every table has a moment
at which it became known (`Table.known_at`), some columns become known later than their row (`Table.late`), a prediction
for an event is made `Events.lead` before `Events.time`, and may use what was known by then, nothing else.
"""

from gatehouse.errors import ConfigurationError, PlatformError
from gatehouse.evaluation.metrics import (
    ACCURACY,
    AVERAGE_PRECISION,
    BRIER,
    F1,
    LOG_LOSS,
    MAE,
    MULTICLASS_LOG_LOSS,
    RMSE,
    ROC_AUC,
    SQRT,
    Link,
    Metric,
    Ranking,
    Ratio,
    Task,
    WholeSample,
)
from gatehouse.project.data import (
    Action,
    Column,
    Events,
    Expectation,
    Extraction,
    FeatureTable,
    Label,
    Slice,
    Source,
    Table,
    Unit,
    Window,
)
from gatehouse.project.model import (
    Baseline,
    Estimator,
    FittedModel,
    GroupMean,
    Options,
    Predictor,
    Trial,
)
from gatehouse.project.use_case import Project

__all__ = [
    "ACCURACY",
    "AVERAGE_PRECISION",
    "BRIER",
    "F1",
    "LOG_LOSS",
    "MAE",
    "MULTICLASS_LOG_LOSS",
    "RMSE",
    "ROC_AUC",
    "SQRT",
    "Action",
    "Baseline",
    "Column",
    "ConfigurationError",
    "Estimator",
    "Events",
    "Expectation",
    "Extraction",
    "FeatureTable",
    "FittedModel",
    "GroupMean",
    "Label",
    "Link",
    "Metric",
    "Options",
    "PlatformError",
    "Predictor",
    "Project",
    "Ranking",
    "Ratio",
    "Slice",
    "Source",
    "Table",
    "Task",
    "Trial",
    "Unit",
    "WholeSample",
    "Window",
]
