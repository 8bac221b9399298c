"""Parts of the bundle that a variable switches: the Databricks CLI runs these functions over what the YAML says."""

from __future__ import annotations

from dataclasses import replace

from databricks.bundles.core import Bundle, Resources, Variable, job_mutator, variables
from databricks.bundles.jobs import ClusterSpec, Job, JobCluster, Library, Task
from databricks.bundles.quality_monitors import QualityMonitor


@variables
class Given:
    """Those of databricks.yml that are asked for here."""

    compute: Variable[str]
    cluster: Variable[ClusterSpec]
    cluster_libraries: Variable[list[Library]]
    data_quality_monitor: Variable[str]
    predictions_monitor: Variable[QualityMonitor]


@job_mutator
def on_clusters(bundle: Bundle, job: Job) -> Job:
    """The jobs are written for serverless compute; with `compute=cluster` each run has a cluster of its own."""
    if _one_of(bundle, "compute", Given.compute, "serverless", "cluster") == "serverless":
        # An empty text would be sent as a name: none is meant.
        return replace(job, budget_policy_id=bundle.resolve_variable(job.budget_policy_id) or None)
    cluster = bundle.resolve_variable(Given.cluster)
    cluster = replace(cluster, policy_id=bundle.resolve_variable(cluster.policy_id) or None)
    tasks = [bundle.resolve_variable(task) for task in bundle.resolve_variable(job.tasks)]
    return replace(
        job,
        environments=[],
        budget_policy_id=None,
        job_clusters=[JobCluster(job_cluster_key="main", new_cluster=cluster)],
        tasks=[_on_cluster(task) for task in tasks],
    )


def _on_cluster(task: Task) -> Task:
    return replace(task, environment_key=None, job_cluster_key="main", libraries=Given.cluster_libraries)


def monitors(bundle: Bundle) -> Resources:
    """The monitor of the predictions, which cannot be made before their table."""
    resources = Resources()
    if _one_of(bundle, "data_quality_monitor", Given.data_quality_monitor, "no", "yes") == "yes":
        resources.add_quality_monitor("predictions", bundle.resolve_variable(Given.predictions_monitor))
    return resources


def _one_of(bundle: Bundle, name: str, variable: Variable[str], *known: str) -> str:
    value = bundle.resolve_variable(variable)
    if value not in known:
        raise ValueError(f"The variable {name} is {value!r}, and must be {' or '.join(known)}.")
    return value
