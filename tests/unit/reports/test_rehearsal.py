"""The summary of a rehearsal: what a person reads who looks at a CI run."""

from __future__ import annotations

from datetime import UTC, datetime

from gatehouse.reports.rehearsal import Rehearsal, Step, rehearsal_markdown

PASSED = Rehearsal(
    environment="staging",
    catalog="staging",
    schema="pr_7",
    as_of=datetime(2013, 7, 1, tzinfo=UTC),
    code="0123456789abcdef",
    steps=(
        Step(name="ingest", seconds=2.04, outcome="done", note="39,495 rows"),
        Step(name="compliance and challenge", seconds=9.96, outcome="HOLD", note="The gain is 3 | not 5."),
    ),
)
FAILED = Rehearsal(
    environment="staging",
    catalog="staging",
    schema="pr_7",
    as_of=PASSED.as_of,
    code="0123456789abcdef",
    steps=(
        Step(name="ingest", seconds=2.0, outcome="failed", note="[click](http://x.example) @octocat"),
        Step(name="features", seconds=0.0, outcome="not run"),
    ),
    problem="flights lacks `origin`.",
    kept_until=datetime(2026, 11, 22, 12, tzinfo=UTC),
)


def test_a_rehearsal_that_passed_shows_its_steps_and_a_held_version_is_one_of_them() -> None:
    assert rehearsal_markdown(PASSED) == (
        "## Rehearsal in staging passed\n"
        "\n"
        "Schema `staging.pr_7`, as of 2013-07-01, code `0123456789ab`, 12 s.\n"
        "\n"
        "| step | seconds | outcome |  |\n"
        "|---|--:|---|---|\n"
        "| ingest | 2.0 | done | 39,495 rows |\n"
        "| compliance and challenge | 10.0 | HOLD | The gain is 3 \\| not 5. |\n"
    )


def test_one_that_failed_says_why_what_never_ran_and_where_it_can_be_looked_at() -> None:
    text = rehearsal_markdown(FAILED)

    assert text.startswith("## Rehearsal in staging failed\n\n**flights lacks \\`origin\\`.**\n")
    assert "| features | 0.0 | not run |  |" in text
    assert "staging.pr\\_7 is kept until 2026-11-22 12:00 UTC. It can be read and not written" in text
    assert 'tables.read(TableName("staging", "pr_7", "pipeline_runs")).show()' in text
    assert "http://x" not in text
    assert "@octocat" not in text


def test_one_whose_schema_is_gone_says_so() -> None:
    gone = Rehearsal(
        environment="staging",
        catalog="staging",
        schema="pr_7",
        as_of=PASSED.as_of,
        code="unknown",
        steps=(),
        problem="It was interrupted.",
    )

    assert rehearsal_markdown(gone).endswith("\nstaging.pr\\_7 was dropped.\n")
