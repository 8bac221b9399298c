"""`gatehouse deployment-job`: the steps of whoever judges new versions by the registry's word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from gatehouse.cli import options
from gatehouse.errors import ConfigurationError, EvaluationError, UsageError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place
    from gatehouse.lakehouse.registry import Version
    from gatehouse.pipelines.context import Context
    from gatehouse.pipelines.judging import Passed

_Step = TypeVar("_Step", bound=Callable[..., None])


@click.group(
    "deployment-job",
    help="The tasks of the deployment job that a registered model starts on each new version (driver: registry); "
    "on a laptop gatehouse listen runs them. Each can be repeated.",
    short_help="The tasks of the job that judges new versions.",
)
def command() -> None:
    """Three verbs below."""


def _parameters(step: _Step) -> _Step:
    """What the job hands to each task: exactly `model_name` and `model_version`."""
    model = click.option("--model", metavar="NAME", required=True, help="The job's model_name: catalog.schema.name.")
    version = click.option("--version", "number", metavar="VERSION", required=True, help="The job's model_version.")
    return model(version(options.environment("prod")(options.as_json(click.pass_obj(step)))))  # type: ignore[return-value]


@command.command(
    "evaluation",
    help="Put a new version through compliance and challenge, and write the decision record. HOLD is a result, and "
    "then the next task says that there is nothing to approve. Ends at once for a refit, which shares a record.",
)
@_parameters
def evaluation(found: dict[str, Path | None], model: str, number: str, env: str, as_json: bool) -> None:
    """As of the moment at which the version was trained."""
    from gatehouse.cli.display import stdout_console
    from gatehouse.cli.telling import decision_summary, tell
    from gatehouse.cli.words import show_record
    from gatehouse.cli.world import clean_process, place
    from gatehouse.gates.verdict import Outcome
    from gatehouse.pipelines.judging import as_trained, evaluate

    where = place(found)
    with clean_process(where) as process, _opened(where, env, model, number) as (context, version):
        passed = evaluate(as_trained(context, version), version, process)
        summary = decision_summary(context, passed.judged.record.promoted.version) if passed.judged else ""
    if passed.judged is None:
        _say(passed, as_json=as_json)
        return
    record = passed.judged.record
    tell(where.settings.root, summary)
    if as_json:
        _say(passed, as_json=True)
    else:
        show_record(stdout_console(), record, passed.judged.digest)
    if record.verdict is Outcome.ERROR:
        raise EvaluationError(
            f"Version {number} could not be judged. {record.judged.sentence()}",
            why="What could not be measured is neither good nor bad.",
            remedy=f"gatehouse why {number} --env {env}",
        )


@command.command(
    "approval",
    help="Succeeds if a person's approval counts: the version's tag `approval` says approved, and `approval_record` "
    "names the record's first twelve digits and the person. gatehouse approve sets both.",
)
@_parameters
def approval(found: dict[str, Path | None], model: str, number: str, env: str, as_json: bool) -> None:
    """Refused until then: on Databricks that is how an approval task waits."""
    from gatehouse.cli.judges import judge_of
    from gatehouse.cli.world import place
    from gatehouse.pipelines.judging import confirm_approval

    where = place(found)
    with _opened(where, env, model, number) as (context, version):
        passed = confirm_approval(context, version, judge_of(where, env).rights)
    _say(passed, as_json=as_json)


@command.command(
    "deployment",
    help="Make the approved version the champion, in the name of who approved it: every check once more, the alias, "
    "a smoke test, and everything put back if it does not work.",
)
@_parameters
def deployment(found: dict[str, Path | None], model: str, number: str, env: str, as_json: bool) -> None:
    """The same as `gatehouse promote`."""
    from gatehouse.cli.judges import judge_of
    from gatehouse.cli.telling import decision_summary, tell
    from gatehouse.cli.world import place
    from gatehouse.pipelines.judging import put_live

    where = place(found)
    with _opened(where, env, model, number) as (context, version):
        passed = put_live(context, version, judge_of(where, env).rights)
        summary = decision_summary(context, passed.settled.version) if passed.settled else ""
    tell(where.settings.root, summary)
    _say(passed, as_json=as_json)


@command.command(
    "link",
    help="Have the registered model start the bundle's deployment job on each new version (Databricks, driver: "
    "registry). The same again changes nothing.",
)
@options.environment("prod")
@click.pass_obj
def link(found: dict[str, Path | None], env: str) -> None:
    """The job is found by its tags."""
    from gatehouse.cli.world import load_project, place
    from gatehouse.databricks.client import open_workspace
    from gatehouse.databricks.runs import find_job
    from gatehouse.lakehouse.deployment_link import link_job

    where = place(found)
    model = _on_databricks(where, env)
    if where.settings.environment(env).driver != "registry":
        raise _ci_judges(env)
    job = find_job(open_workspace(), project=load_project(where.settings).name, env=env, key="deployment")
    link_job(model, str(job.job_id))
    click.echo(f"{model} starts job {job.job_id} on each new version.")


@command.command("unlink", help="Have the registered model start no deployment job any more (driver: ci).")
@options.environment("prod")
@click.pass_obj
def unlink(found: dict[str, Path | None], env: str) -> None:
    """Runs that are under way are not stopped."""
    from gatehouse.cli.world import place
    from gatehouse.lakehouse.deployment_link import link_job, linked_job

    model = _on_databricks(place(found), env)
    if linked_job(model) is not None:
        link_job(model, None)
    click.echo(f"{model} starts no deployment job.")


def _on_databricks(where: Place, env: str) -> str:
    """The name of the environment's model, which lives in Unity Catalog."""
    from gatehouse.cli.world import load_project

    environment = where.settings.environment(env)
    if environment.platform != "databricks":
        raise ConfigurationError(
            f"{env} lives on {environment.platform}, where no model starts a job.",
            why="Only Unity Catalog links a deployment job to a model.",
            remedy=f"gatehouse listen --env {env}    does its work on a laptop",
        )
    return f"{environment.catalog}.{environment.db_schema}.{load_project(where.settings).name}"


def _ci_judges(env: str) -> ConfigurationError:
    return ConfigurationError(
        f"In {env} the CI judges new versions (driver: ci).",
        why="With two judges, one would promote what the other is still asking people about.",
        remedy=f"Write driver: registry for {env} into conf/environments.yml; gatehouse preflight says what else.",
    )


@contextmanager
def _opened(where: Place, env: str, model: str, number: str) -> Iterator[tuple[Context, Version]]:
    """The environment and the version that the job was started for.

    Raises:
        ConfigurationError: in this environment the CI judges.
        UsageError: the model is another environment's.
    """
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.world import open_context

    if where.settings.environment(env).driver != "registry":
        raise _ci_judges(env)
    with open_context(where, env, as_of=None, progress=TerminalProgress()) as context:
        if model != context.model:
            raise UsageError(
                f"{model} is not the model of {env}, which is {context.model}.",
                why="Every environment judges its own versions, by its own data and policy.",
                remedy=f"--model {context.model}, or --env of the environment that owns {model}.",
            )
        yield context, context.registry.get(context.model, number)


def _say(passed: Passed, *, as_json: bool) -> None:
    from gatehouse.cli.display import echo_json

    if not as_json:
        click.echo(passed.said)
        return
    told: dict[str, object] = {"said": passed.said}
    if passed.judged is not None:
        record = passed.judged.record
        told |= {"version": record.promoted.version, "verdict": record.verdict, "record": passed.judged.digest}
    echo_json(told)
