"""The deployment job that a model of Unity Catalog starts by itself on each new version."""

from __future__ import annotations

from typing import Any

from gatehouse.lakehouse.mlflow_errors import says_no_model, told
from gatehouse.lakehouse.mlflow_globals import import_mlflow


def linked_job(model: str) -> str | None:
    """The id of the job that is linked to the model; None: none is, or there is no such model yet."""
    from mlflow.exceptions import MlflowException

    with told(f"asking which deployment job {model} has"):
        try:
            found = _client().get_registered_model(model)
        except MlflowException as error:
            if says_no_model(error, model):
                return None
            raise
    return str(found.deployment_job_id) if found.deployment_job_id else None


def link_job(model: str, job_id: str | None) -> None:
    """Have the model, made if it is not there, start this job on each new version; None: no job any more."""
    from mlflow.exceptions import MlflowException

    doing = f"linking job {job_id} to {model}" if job_id else f"unlinking the deployment job of {model}"
    with told(doing):
        client = _client()
        if job_id:
            try:
                client.create_registered_model(model)
            except MlflowException as error:
                if error.error_code not in ("RESOURCE_ALREADY_EXISTS", "ALREADY_EXISTS"):
                    raise
        client.update_registered_model(model, deployment_job_id=job_id or "")


def _client() -> Any:
    return import_mlflow().MlflowClient(tracking_uri="databricks", registry_uri="databricks-uc")
