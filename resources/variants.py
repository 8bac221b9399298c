"""Parts of the bundle that a variable switches: the Databricks CLI runs these functions over what the YAML says."""

from __future__ import annotations

from dataclasses import replace

from databricks.bundles.core import Bundle, Resources, VariableOr, job_mutator
from databricks.bundles.jobs import ClusterSpec, Job, JobCluster, Library
from databricks.bundles.quality_monitors import QualityMonitor


@job_mutator
def on_clusters(bundle: Bundle, job: Job) -> Job:
    """The jobs are written for serverless compute; with `compute=cluster` each run has a cluster of its own."""
    if _one_of(bundle, "compute", "serverless", "cluster") == "serverless":
        # An empty text would be sent as a name, and none is meant.
        return replace(job, budget_policy_id=bundle.resolve_variable(job.budget_policy_id) or None)
    cluster = ClusterSpec.from_dict(bundle.variables["cluster"])
    cluster = replace(cluster, policy_id=bundle.resolve_variable(cluster.policy_id) or None)
    libraries: list[VariableOr[Library]] = [
        Library.from_dict(library) for library in bundle.variables["cluster_libraries"]
    ]
    tasks = [bundle.resolve_variable(task) for task in bundle.resolve_variable(job.tasks)]
    return replace(
        job,
        environments=[],
        budget_policy_id=None,
        job_clusters=[JobCluster(job_cluster_key="main", new_cluster=cluster)],
        tasks=[replace(t, environment_key=None, job_cluster_key="main", libraries=libraries) for t in tasks],
    )


def monitors(bundle: Bundle) -> Resources:
    """The monitor of the predictions, which cannot be made before their table."""
    resources = Resources()  # type: ignore[no-untyped-call]
    if _one_of(bundle, "data_quality_monitor", "no", "yes") == "yes":
        monitor = QualityMonitor.from_dict(bundle.variables["predictions_monitor"])
        paused = bundle.variables["schedules"] != "UNPAUSED"  # a monitor's schedule is there, or it is not
        resources.add_quality_monitor("predictions", replace(monitor, schedule=None) if paused else monitor)
    return resources


def _one_of(bundle: Bundle, name: str, *known: str) -> str:
    value = str(bundle.variables[name])
    if value not in known:
        raise ValueError(f"The variable {name} is {value!r}, and must be {' or '.join(known)}.")
    return value
