"""The Databricks bundle without a workspace: parsed strictly, validated by the real CLI, true to conf/ and code."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import jsonschema
import pytest
import yaml
from databricks.bundles.alerts import Alert
from databricks.bundles.dashboards import Dashboard
from databricks.bundles.experiments import MlflowExperiment
from databricks.bundles.jobs import Job
from databricks.bundles.quality_monitors import QualityMonitor
from databricks.bundles.registered_models import RegisteredModel
from databricks.bundles.schemas import Schema
from databricks.bundles.volumes import Volume
from tests.template.harness import databricks_cli as databricks_cli_module
from tests.template.harness.bundle import (
    PRINCIPAL,
    ROOT,
    TARGETS,
    bundle_files,
    copy_bundle,
    declared,
    resolved,
    somewhere,
    validate,
)
from tests.template.harness.databricks_cli import run_cli

from flight_delays import PROJECT
from gatehouse.cli import group
from gatehouse.cli.run import PIPELINES
from gatehouse.pipelines.tables import SYSTEM_TABLES, predictions_table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

KINDS: dict[str, Any] = {
    "alerts": Alert,
    "dashboards": Dashboard,
    "experiments": MlflowExperiment,
    "jobs": Job,
    "quality_monitors": QualityMonitor,
    "registered_models": RegisteredModel,
    "schemas": Schema,
    "volumes": Volume,
}
DISTRIBUTION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["name"]
JOBS = {"features", "training", "release", "deployment", "inference", "monitoring", "retraining", "mirror"}
EVERYTHING = {"compute": "cluster", "data_quality_monitor": "yes", "schedules": "UNPAUSED", "budget_policy": "b1"}


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    with somewhere() as address:
        yield address


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_bundle(ROOT, tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def configuration(host: str, copied: Path) -> Callable[..., dict[str, Any]]:
    """What the CLI makes of a target with some variables; asked once for each."""

    @cache
    def of(target: str, *variables: tuple[str, str]) -> dict[str, Any]:
        return resolved(copied, target, host, dict(variables))

    return of


@pytest.mark.parametrize(("target", "variables"), list(product(TARGETS, ({}, EVERYTHING))))
def test_the_cli_takes_every_target_without_a_warning(
    target: str, variables: dict[str, str], host: str, copied: Path
) -> None:
    assert validate(copied, target, host, variables) == ""


def test_every_resource_is_known_field_by_field() -> None:
    found = [(kind, key, KINDS[kind].from_dict(content)) for kind, key, content in declared(ROOT) if len(content) > 1]
    assert {kind for kind, _, _ in found} == KINDS.keys() - {"quality_monitors"}
    monitor = bundle_files(ROOT)["databricks.yml"]["variables"]["predictions_monitor"]["default"]
    assert QualityMonitor.from_dict(monitor).table_name == "${var.catalog}.${var.schema}.predictions"


def test_the_clis_own_schema_takes_every_file(host: str) -> None:
    assert list(schema_errors(ROOT, host)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("resources/features.job.yml", "timeout_seconds:", "time_out_seconds:"),
        ("resources/alerts.yml", "comparison_operator: GREATER_THAN", "comparison: GREATER_THAN"),
        ("resources/dashboard.yml", "embed_credentials:", "embedd_credentials:"),
        ("databricks.yml", "comment: The versions", "komment: The versions"),
    ],
)
def test_an_unknown_field_is_found_by_all_three(file: str, old: str, new: str, host: str, tmp_path: Path) -> None:
    folder = changed(tmp_path, file, old, new)
    assert list(schema_errors(folder, host)) != []
    assert validate(folder, "prod", host, {}) != ""
    with pytest.raises((TypeError, ValueError)):
        [KINDS[kind].from_dict(content) for kind, _, content in declared(folder) if len(content) > 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("resources/features.job.yml", "${var.schedules}", "${var.schedule}", "${var.schedule}"),
        ("databricks.yml", "${resources.schemas.project.name}", "${resources.schemas.projekt.name}", "projekt"),
        ("resources/dashboard.yml", "overview.lvdash.json", "gone.lvdash.json", "gone.lvdash.json"),
        ("resources/features.job.yml", "environment_key: default", "environment_key: other", "other"),
        ("resources/features.job.yml", "{task_key: ingest}", "{task_key: digest}", "digest"),
    ],
)
def test_a_reference_to_nothing_is_found(
    file: str, old: str, new: str, complaint: str, host: str, tmp_path: Path
) -> None:
    folder = changed(tmp_path, file, old, new)
    objections = validate(folder, "prod", host, {})
    assert complaint in (objections or "\n".join(dangling(resolved(folder, "prod", host, {}))))


def test_no_task_refers_to_nothing(configuration: Callable[..., dict[str, Any]]) -> None:
    for target in TARGETS:
        assert list(dangling(configuration(target))) == []
    assert list(dangling(configuration("prod", *EVERYTHING.items()))) == []


def test_another_compute_is_refused_by_name(host: str, copied: Path) -> None:
    assert "The variable compute is 'gpu', and must be serverless or cluster." in validate(
        copied, "dev", host, {"compute": "gpu"}
    )


def test_serverless_tasks_run_the_wheel_with_the_locked_dependencies(
    configuration: Callable[..., dict[str, Any]],
) -> None:
    for job in jobs(configuration("prod")).values():
        (environment,) = job["environments"]
        files = f"/Workspace/Users/{PRINCIPAL}/.bundle/flight_delays/prod/files"
        assert environment["spec"]["dependencies"] == ["./dist/*.whl", f"-r {files}/dist/requirements.txt"]
        assert not job.get("job_clusters")
        assert {task["environment_key"] for task in job["tasks"]} == {environment["environment_key"]}


def test_one_variable_puts_every_job_on_a_cluster_of_its_own(configuration: Callable[..., dict[str, Any]]) -> None:
    gpu = {"runtime": "18.x-gpu-ml-scala2.13", "node_type": "g5.xlarge", "cluster_policy": "p1", "compute": "cluster"}
    for job in jobs(configuration("prod", *gpu.items())).values():
        (cluster,) = job["job_clusters"]
        wanted = {"spark_version": gpu["runtime"], "node_type_id": gpu["node_type"], "policy_id": gpu["cluster_policy"]}
        assert wanted.items() <= cluster["new_cluster"].items()
        assert not job.get("environments")
        for task in job["tasks"]:
            assert task["job_cluster_key"] == cluster["job_cluster_key"]
            assert "environment_key" not in task
            assert [sorted(library) for library in task["libraries"]] == [["whl"], ["requirements"]]


def test_a_setting_that_is_not_given_is_not_sent_empty(configuration: Callable[..., dict[str, Any]]) -> None:
    assert [j for j in jobs(configuration("prod")).values() if "budget_policy_id" in j] == []
    cluster = configuration("prod", ("compute", "cluster"))
    assert [c for j in jobs(cluster).values() for c in j["job_clusters"] if "policy_id" in c["new_cluster"]] == []
    budget = configuration("prod", ("budget_policy", "b1"))
    assert {j.get("budget_policy_id") for j in jobs(budget).values()} == {"b1"}


@pytest.mark.parametrize("target", TARGETS)
def test_jobs_are_found_by_their_tags_and_told_apart_by_name(
    target: str, configuration: Callable[..., dict[str, Any]]
) -> None:
    found = jobs(configuration(target))
    assert set(found) == JOBS
    for key, job in found.items():
        wanted = {"gatehouse_project": "flight_delays", "gatehouse_env": target, "gatehouse_job": key}
        assert wanted.items() <= job["tags"].items()
        assert job["name"].endswith(f"flight_delays {target} {key}")
        assert job["name"].startswith("[dev ") == (target == "dev")
        assert job["timeout_seconds"] > 0
        assert (job["max_concurrent_runs"], job["queue"], job["email_notifications"]["on_failure"]) == (
            1,
            {"enabled": True},
            [],
        )


def test_the_deployment_job_is_what_a_registered_model_may_be_linked_to(
    configuration: Callable[..., dict[str, Any]],
) -> None:
    job = jobs(configuration("prod"))["deployment"]
    assert [p["name"] for p in job["parameters"]] == ["model_name", "model_version"]
    order = {task["task_key"]: [d["task_key"] for d in task.get("depends_on", [])] for task in job["tasks"]}
    assert order == {"evaluation": [], "approval": ["evaluation"], "deployment": ["approval"]}
    assert {task["max_retries"] for task in job["tasks"]} == {0}
    assert {"level": "CAN_MANAGE_RUN", "group_name": "flight_delays-approvers"} in job["permissions"]


@pytest.mark.parametrize(
    ("target", "variable", "status"),
    [("staging", "PAUSED", "PAUSED"), ("prod", "PAUSED", "PAUSED"), ("prod", "UNPAUSED", "UNPAUSED"),
     ("dev", "PAUSED", "PAUSED")],
)  # fmt: skip
def test_nothing_starts_by_itself_unless_a_variable_says_so(
    target: str, variable: str, status: str, configuration: Callable[..., dict[str, Any]]
) -> None:
    found = configuration(target, ("schedules", variable), ("mirror", variable), ("data_quality_monitor", "yes"))
    scheduled = [job["schedule"] for job in jobs(found).values() if "schedule" in job]
    scheduled += [alert["schedule"] for alert in found["resources"]["alerts"].values()]
    assert len(scheduled) == 7
    assert {schedule["pause_status"] for schedule in scheduled} == {status}
    monitor = found["resources"]["quality_monitors"]["predictions"]
    assert ("schedule" in monitor) == (status == "UNPAUSED")


def test_a_mirror_that_nobody_reads_is_not_scheduled_with_the_rest(
    configuration: Callable[..., dict[str, Any]],
) -> None:
    found = jobs(configuration("prod", ("schedules", "UNPAUSED")))
    assert {key for key, job in found.items() if job.get("schedule", {}).get("pause_status") == "PAUSED"} == {"mirror"}


def test_what_holds_data_is_not_destroyed_and_developers_have_none_of_it(
    configuration: Callable[..., dict[str, Any]],
) -> None:
    lasting = {"schemas", "volumes", "registered_models", "experiments"}
    assert lasting & configuration("dev")["resources"].keys() == set()
    for target, rehearsed in (("staging", ["rehearsals"]), ("prod", [])):
        found = configuration(target)["resources"]
        kept = [resource["lifecycle"] for kind in lasting for resource in found[kind].values()]
        assert kept == [{"prevent_destroy": True}] * (5 + len(rehearsed))
        assert [r for kind in lasting for r in found[kind].values() if "grants" in r] == []  # they are the set-up's
        assert sorted(volume["name"] for volume in found["volumes"].values()) == ["gatehouse", "landing", *rehearsed]
        assert found["experiments"]["runs"]["name"] == f"/Shared/{target}.flight_delays.flight_delays"


@pytest.mark.parametrize("target", ["staging", "prod"])
def test_one_service_principal_deploys_and_runs(target: str, configuration: Callable[..., dict[str, Any]]) -> None:
    found = configuration(target)
    assert found["run_as"] == {"service_principal_name": PRINCIPAL}
    assert found["workspace"]["root_path"] == f"/Workspace/Users/{PRINCIPAL}/.bundle/flight_delays/{target}"
    assert {"level": "CAN_VIEW", "group_name": "flight_delays-developers"} in found["permissions"]
    assert found["bundle"]["engine"] == "direct"


@pytest.mark.parametrize("target", ["staging", "prod"])
def test_developers_and_approvers_read_everything_that_has_permissions(
    target: str, configuration: Callable[..., dict[str, Any]]
) -> None:
    found = configuration(target)["resources"]
    readers = {
        f"{kind}.{key}": {p["group_name"]: p["level"] for p in resource["permissions"] if "group_name" in p}
        for kind in ("alerts", "dashboards", "experiments", "jobs")
        for key, resource in found[kind].items()
    }
    developers, approvers = "flight_delays-developers", "flight_delays-approvers"
    assert readers.pop("jobs.deployment") == {developers: "CAN_VIEW", approvers: "CAN_MANAGE_RUN"}
    for name, levels in readers.items():
        level = "CAN_VIEW" if name.startswith("jobs.") else "CAN_READ"
        assert levels == {developers: level, approvers: level}, name


def test_production_is_deployed_from_main(configuration: Callable[..., dict[str, Any]]) -> None:
    assert configuration("prod")["bundle"]["git"]["branch"] == "main"


@pytest.mark.parametrize("target", TARGETS)
def test_the_bundle_says_of_places_and_limits_what_conf_says(
    target: str, configuration: Callable[..., dict[str, Any]]
) -> None:
    conf = {
        name: yaml.safe_load((ROOT / f"conf/{name}.yml").read_text("utf-8")) for name in ("environments", "monitoring")
    }
    environment = conf["environments"]["environments"][target]
    found = configuration(target)
    assert found["bundle"]["name"] == PROJECT.name
    said = {name: found["variables"][name]["value"] for name in ("catalog", "schema", "drift_alert", "package")}
    assert said == {
        "catalog": environment["catalog"],
        "schema": environment["schema"],
        "drift_alert": conf["monitoring"]["drift_alert"],
        "package": DISTRIBUTION,
    }


@pytest.mark.parametrize("given", ["", "2013-04-01"])
def test_every_task_is_a_command_that_exists(given: str, configuration: Callable[..., dict[str, Any]]) -> None:
    seen = set()
    for target in TARGETS:
        for key, job in jobs(configuration(target)).items():
            names = {parameter["name"] for parameter in job["parameters"]}
            for task in job["tasks"]:
                wheel = task["python_wheel_task"]
                assert (wheel["package_name"], wheel["entry_point"]) == (DISTRIBUTION, "gatehouse-task")
                words = parse([with_parameters(word, names, given) for word in wheel["parameters"]], target)
                seen.add((key, task["task_key"], words))
    assert {words for key, _, words in seen if key == "release"} == {"run ingest", "run features", "release"}


def test_a_task_with_a_parameter_that_is_not_there_is_found() -> None:
    with pytest.raises(click.UsageError, match="as-off"):
        parse(["--conf", "conf", "run", "features", "--env=prod", "--as-off=2013-04-01"], "prod")
    with pytest.raises(KeyError, match="as_off"):
        with_parameters("--as-of={{job.parameters.as_off}}", {"as_of"}, "x")


def test_dashboard_and_alerts_ask_for_what_the_tables_have(
    spark: SparkSession, configuration: Callable[..., dict[str, Any]]
) -> None:
    for table in (*SYSTEM_TABLES, predictions_table(PROJECT)):
        columns = ", ".join(f"`{column.name}` {column.type}" for column in table.columns)
        spark.createDataFrame([], columns).createOrReplaceTempView(table.name)
    board = json.loads((ROOT / "resources/overview.lvdash.json").read_text("utf-8"))
    shown = {dataset["name"]: spark.sql("".join(dataset["queryLines"])).columns for dataset in board["datasets"]}
    for item in board["pages"][0]["layout"]:
        (asked,) = item["widget"]["queries"]
        fields = {field["name"] for field in asked["query"]["fields"]}
        assert fields <= set(shown[asked["query"]["datasetName"]])
        named = re.findall(r'"fieldName": "(\w+)"', json.dumps(item["widget"]["spec"]))
        assert set(named) == fields
    for alert in configuration("prod")["resources"]["alerts"].values():
        rows = spark.sql(alert["query_text"].replace("prod.flight_delays.", "")).collect()
        assert [row.asDict() for row in rows] == [{alert["evaluation"]["source"]["name"]: 0}]


def test_the_monitor_names_columns_of_the_predictions() -> None:
    log = bundle_files(ROOT)["databricks.yml"]["variables"]["predictions_monitor"]["default"]["inference_log"]
    columns = {log["model_id_col"], log["prediction_col"], log["timestamp_col"]}
    assert columns <= set(predictions_table(PROJECT).names)


def test_the_notebook_holds_calls_and_no_results() -> None:
    notebook = json.loads((ROOT / "notebooks/explore.ipynb").read_text("utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code[0].startswith("from gatehouse.notebook import open_environment")
    assert [cell for cell in notebook["cells"] if cell.get("outputs")] == []
    for source in code:
        assert "def " not in compile(source, "explore.ipynb", "exec").co_filename + source


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_without_the_cli_a_test_is_skipped_and_under_ci_it_fails(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(databricks_cli_module, "ROOT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("GATEHOUSE_DATABRICKS_CLI", str(tmp_path / "gone"))
    databricks_cli_module.databricks_cli.cache_clear()
    with pytest.raises(outcome, match="make databricks-cli"):
        databricks_cli_module.databricks_cli()


def schema_errors(root: Path, host: str) -> Iterator[str]:
    schema = json.loads(run_cli("bundle", "schema", at=root, host=host).stdout)
    validator = jsonschema.Draft202012Validator(schema)
    for path, content in bundle_files(root).items():
        whole = {"bundle": {"name": "x"}, **content}  # what is included needs no name of its own
        yield from (f"{path}: {error.json_path}: {error.message}" for error in validator.iter_errors(whole))


def dangling(found: dict[str, Any]) -> Iterator[str]:
    """Resources, and keys of a job's environments, clusters and tasks, that are referred to and not there."""
    for kind, key in re.findall(r"\$\{resources\.(\w+)\.(\w+)", json.dumps(found)):
        if key not in found["resources"].get(kind, {}):
            yield f"{kind} {key}"
    for key, job in jobs(found).items():
        have = {
            "environment_key": {e["environment_key"] for e in job.get("environments") or []},
            "job_cluster_key": {c["job_cluster_key"] for c in job.get("job_clusters") or []},
        }
        tasks = {task["task_key"] for task in job["tasks"]}
        for task in job["tasks"]:
            yield from (f"{key}: {n} {task[n]}" for n, known in have.items() if n in task and task[n] not in known)
            yield from (f"{key}: {d['task_key']}" for d in task.get("depends_on", []) if d["task_key"] not in tasks)


def jobs(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(found["resources"]["jobs"])


def changed(folder: Path, file: str, old: str, new: str) -> Path:
    copy_bundle(ROOT, folder)
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


def with_parameters(word: str, names: set[str], given: str) -> str:
    """As a run of the job would hand it over."""
    values = dict.fromkeys(names, given)
    return re.sub(r"\{\{job\.parameters\.(\w+)\}\}", lambda found: values[found[1]], word)


def parse(arguments: list[str], env: str) -> str:
    """The verbs of a command line that the real command line takes, and that is about this environment."""
    rest = [word for word in arguments if not re.fullmatch(r"--[\w-]+=", word)]  # gatehouse-task: not given
    command: click.Command = group
    context, verbs = command.make_context("gatehouse", rest), []
    while isinstance(command, click.Group):
        rest = [*context._protected_args, *context.args]
        name, found, rest = command.resolve_command(context, rest)
        assert name is not None
        assert found is not None
        verbs.append(name)
        missing = [p.opts[0] for p in found.params if p.required and p.opts[0] not in " ".join(rest)]
        if missing == ["--model", "--version"]:  # the registry always gives them
            rest += ["--model=prod.flight_delays.flight_delays", "--version=1"]
        command, context = found, found.make_context(name, rest, parent=context)
    assert context.params["env"] == env
    if verbs == ["run"]:
        assert context.params["pipeline"] in PIPELINES
        verbs.append(context.params["pipeline"])
    return " ".join(verbs)
