"""The tables that the machinery itself keeps, beside those a project declares."""

from __future__ import annotations

from gatehouse.project import Column, Project, Table

_OWNER = "gatehouse"


def _at(name: str, description: str, *, nullable: bool = True) -> Column:
    return Column(name=name, type="timestamp", description=description, unit="UTC", nullable=nullable)


_AS_OF = _at("as_of", "The moment the run pretended, or was, to run at.", nullable=False)

RUNS = Table(
    name="pipeline_runs",
    description="One row per completed run of a pipeline on one target: the watermarks of incremental work.",
    owner=_OWNER,
    primary_key=("pipeline", "target", "as_of"),
    known_at="as_of",
    columns=(
        Column(name="pipeline", type="string", description="ingest, features, training, inference or monitoring."),
        Column(name="target", type="string", description="The table or model it wrote."),
        _AS_OF,
        _at("since", "Start of the window that was read; null: everything."),
        Column(name="rows", type="bigint", description="Rows inserted or replaced.", unit="rows"),
        Column(name="updated", type="bigint", description="Rows that were there and changed.", unit="rows"),
        Column(name="quarantined", type="bigint", description="Rows set aside.", unit="rows"),
        _at("changed_from", "Earliest moment whose knowledge changed; null: nothing did."),
        Column(name="version", type="bigint", description="Delta version of the target afterwards."),
        Column(
            name="inputs",
            type="string",
            description="JSON object: Delta version of each table that was read.",
        ),
        Column(name="code", type="string", description="Commit the run was made with."),
        _at("finished_at", "When it finished, by the clock of the machine."),
    ),
)

EXPECTATIONS = Table(
    name="expectation_results",
    description="One row per expectation and ingestion, also when nothing violated it.",
    owner=_OWNER,
    primary_key=("table_name", "expectation", "as_of"),
    known_at="as_of",
    columns=(
        Column(name="table_name", type="string", description="The table the rows were meant for."),
        Column(name="expectation", type="string", description="Name of the expectation."),
        _AS_OF,
        Column(name="action", type="string", description="warn, quarantine or fail."),
        Column(name="rows_checked", type="bigint", description="Rows that were looked at.", unit="rows"),
        Column(name="violations", type="bigint", description="Rows that violated it.", unit="rows"),
    ),
)

SCHEMA_CHANGES = Table(
    name="schema_changes",
    description="One row per column that a source began to deliver without being declared.",
    owner=_OWNER,
    primary_key=("table_name", "column_name"),
    known_at="as_of",
    columns=(
        Column(name="table_name", type="string", description="The table of the source."),
        Column(name="column_name", type="string", description="The column that is new."),
        _AS_OF,
        Column(name="column_type", type="string", description="Its Spark type."),
    ),
)

METRICS = Table(
    name="monitoring_metrics",
    description="One row per figure and monitoring run, in long form.",
    owner=_OWNER,
    primary_key=("as_of", "metric", "subject", "model_version", "unit_value"),
    known_at="as_of",
    columns=(
        _AS_OF,
        _at("window_start", "Start of the window, excluded."),
        _at("window_end", "End of the window, included."),
        Column(
            name="metric",
            type="string",
            description="What was measured: rows, violations, drift, log_loss, ...",
        ),
        Column(
            name="subject",
            type="string",
            description="Of what: a table, a feature, the predictions, the labels.",
        ),
        Column(
            name="model_version",
            type="string",
            description="Version of the model; empty where none is concerned.",
        ),
        Column(
            name="unit_value",
            type="string",
            description="Unit of independence (a day); empty: the whole window.",
        ),
        Column(name="value", type="double", description="The figure; null: could not be measured."),
        Column(name="rows", type="bigint", description="Rows behind it.", unit="rows"),
    ),
)

GATE_METRICS = Table(
    name="gate_metrics",
    description="One row per finding or comparison of a gate on a version.",
    owner=_OWNER,
    primary_key=("version", "record", "gate", "rule", "metric", "slice"),
    known_at="as_of",
    columns=(
        Column(name="version", type="string", description="Version that was judged."),
        Column(name="record", type="string", description="SHA-256 of the decision record."),
        _AS_OF,
        Column(name="gate", type="string", description="compliance, challenge or refit."),
        Column(name="rule", type="string", description="Rule of the gate; `comparison` for what was measured."),
        Column(name="metric", type="string", description="Metric of a comparison; empty for a rule."),
        Column(name="slice", type="string", description="Slice of a comparison, `all` for all rows; empty for a rule."),
        Column(name="outcome", type="string", description="PROMOTE, HOLD, INSUFFICIENT_EVIDENCE or ERROR."),
        Column(name="reason", type="string", description="A sentence with the numbers."),
        Column(name="opponent_value", type="double", description="The champion's, baseline's or threshold's."),
        Column(name="candidate_value", type="double", description="The candidate's."),
        Column(name="difference", type="double", description="Positive: the candidate is better."),
        Column(name="low", type="double", description="Lower end of its 90 % interval."),
        Column(name="high", type="double", description="Upper end of its 90 % interval."),
        Column(name="units", type="bigint", description="Units of independence behind it."),
        Column(name="rows", type="bigint", description="Rows behind it.", unit="rows"),
    ),
)

GATE_DECISIONS = Table(
    name="gate_decisions",
    description="One row per decision record.",
    owner=_OWNER,
    primary_key=("version", "record"),
    known_at="as_of",
    columns=(
        Column(name="version", type="string", description="Version that was judged."),
        Column(name="record", type="string", description="SHA-256 of the decision record."),
        _AS_OF,
        _at("decided_at", "When, by the clock of the machine."),
        Column(name="verdict", type="string", description="PROMOTE, HOLD, INSUFFICIENT_EVIDENCE or ERROR."),
        Column(name="reason", type="string", description="The deciding findings in one line."),
        Column(
            name="opponent", type="string", description="champion VERSION, baseline, threshold; empty: none was met."
        ),
        _at("hold_out_start", "Start of the hold-out, excluded; null: there was none."),
        _at("hold_out_end", "End of the hold-out, included."),
        Column(name="policy", type="string", description="SHA-256 of the policy."),
        Column(name="proposer", type="string", description="Who proposed the version."),
    ),
)

SYSTEM_TABLES = (RUNS, EXPECTATIONS, SCHEMA_CHANGES, METRICS, GATE_METRICS, GATE_DECISIONS)


def predictions_table(project: Project) -> Table:
    """The inference log: one row per event and scoring run, with the features as the model saw them."""
    events = project.event_table
    keys = tuple(c for c in events.columns if c.name in events.primary_key)
    taken = {c.name for c in keys}
    features = tuple(
        Column(name=name, type="double", description="Feature as the model saw it.")
        for name in project.features
        if name not in taken
    )
    return Table(
        name="predictions",
        description=f"Predictions of {project.label.name}, one row per event and scoring run, with their features.",
        owner=project.owner,
        primary_key=(*events.primary_key, "run_key"),
        known_at="predicted_at",
        columns=(
            *keys,
            Column(name="run_key", type="string", description="Scoring run: the same run again adds nothing."),
            Column(name="model_version", type="string", description="Registered version that predicted."),
            _at("predicted_at", "As-of of the scoring run."),
            _at("event_time", "When the event is."),
            Column(name="unit", type="string", description=f"Unit of independence: {project.unit.name}."),
            Column(
                name="prediction",
                type="double",
                description="Probability, value, or position of the likeliest class.",
            ),
            Column(
                name="probabilities",
                type="array<double>",
                description="One per class; null unless multiclass.",
            ),
            *features,
        ),
    )


def quarantine_table(table: Table) -> Table:
    """Rows of a source that an expectation set aside, with the expectations they violated."""
    return Table(
        name=f"{table.name}_quarantine",
        description=f"Rows meant for {table.name} that violated an expectation.",
        owner=table.owner,
        primary_key=table.primary_key,
        known_at="quarantined_at",
        columns=(
            *(Column(name=c.name, type=c.type, description=c.description, unit=c.unit) for c in table.columns),
            Column(name="violated", type="string", description="Names of the expectations, separated by commas."),
            _at("quarantined_at", "As-of of the run that set the row aside."),
        ),
    )
