"""Monitoring and retraining of the live code as Airflow DAGs (3.1 or later), with the commands that the workflows run.

Put the folder of the checkout into GATEHOUSE_HOME; its `.venv/` is made by `make install`. Code gets into production by
the CI's release workflow: these DAGs only run what is live there.
"""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, task

HOME = os.environ.get("GATEHOUSE_HOME", ".")
ENVIRONMENT = {"PATH": f"{HOME}/.venv/bin:{os.environ.get('PATH', '')}"}
SETTINGS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "default_args": {"retries": 0},  # a gate that could not measure is looked at, not asked again
}


def run(name: str, command: str, **variables: str) -> BashOperator:
    """One command in the checkout; what comes from people reaches it through variables only."""
    return BashOperator(task_id=name, bash_command=command, cwd=HOME, env={**ENVIRONMENT, **variables}, append_env=True)


with DAG("gatehouse_monitor", schedule="17 5 * * *", **SETTINGS):
    (
        run("live", "gatehouse live --env prod --checkout")
        >> run("install", "make install")
        >> run("clock", "gatehouse clock --env prod --advance")
        >> run("daily", "gatehouse run daily --env prod")
        >> run("alert", "gatehouse alert --env prod --webhook-url-env GATEHOUSE_WEBHOOK")
    )


with DAG("gatehouse_retrain", schedule="41 4 * * 1", **SETTINGS):

    @task(task_id="release")
    def release() -> dict[str, str]:
        """Version, verdict and record of the candidate, whether it is live already, and who judges."""
        command = ["gatehouse", "release", "--env", "prod", "--proposer", "schedule", "--json"]
        done = subprocess.run(  # noqa: S603
            command, cwd=HOME, env={**os.environ, **ENVIRONMENT}, stdout=subprocess.PIPE, text=True, check=True
        )
        return {name: str(value) for name, value in json.loads(done.stdout).items()}

    @task.branch(task_id="asked")
    def asked(found: dict[str, str]) -> str | None:
        """The task that is next. A version that is held ends here, as a success."""
        if found["live"] == "true" or found["driver"] == "registry":  # it is the champion, or the registry asks
            return "decision"
        return "approval" if found["verdict"] == "promote" else None

    judged = release()
    version = "{{ ti.xcom_pull(task_ids='release')['version'] }}"
    approval = ApprovalOperator(
        task_id="approval",
        subject=f"Promote version {version}?",
        body="Record {{ ti.xcom_pull(task_ids='release')['record'] }}. `gatehouse why` shows the decision.",
        response_timeout=timedelta(hours=72),  # unanswered is not approved, so no default answers for a person
    )
    who = "{{ ti.xcom_pull(task_ids='approval')['responded_by_user']['name'] }}"
    publish = 'gatehouse publish "$VERSION" --env prod --to dist/decision'
    decided = asked(judged)
    decided >> run("decision", publish, VERSION=version)
    (
        run("live", "gatehouse live --env prod --checkout")
        >> run("install", "make install")
        >> run("clock", "gatehouse clock --env prod --advance")
        >> judged
        >> decided
        >> approval
        >> run(
            "approve",
            'gatehouse approve "$VERSION" --env prod --as "$WHO" --reason "approved in Airflow"',
            VERSION=version,
            WHO=who,
        )
        >> run("promote", 'gatehouse promote "$VERSION" --env prod --as "$WHO"', VERSION=version, WHO=who)
        >> run("publish", publish, VERSION=version)
    )
