"""`gatehouse rehearse`: the whole road in a schema that is thrown away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import GatehouseError, Interrupted

if TYPE_CHECKING:
    from gatehouse.cli.world import Place
    from gatehouse.pipelines.ephemeral import Ephemeral
    from gatehouse.pipelines.rehearsal import Steps
    from gatehouse.progress import Progress
    from gatehouse.reports.rehearsal import Rehearsal


@click.command(
    "rehearse",
    help="Run every pipeline and every gate, two releases and the way back, in a schema of its own, on the share of "
    "the data that the environment takes. The schema is dropped when all went well or was interrupted; after a failure "
    "it is kept, to be read, until `gatehouse sweep` finds it past its time. A version that is held is no failure.",
    short_help="Run every pipeline and every gate in a schema that is thrown away.",
)
@options.environment("staging")
@click.option("--schema", metavar="NAME", help="Schema to rehearse in, such as pr_12. [default: a new name]")
@click.option(
    "--as-of",
    envvar="GATEHOUSE_AS_OF",
    metavar="DATE",
    help="Nothing later than this moment is read. [default: the environment's clock; where that is now, and another "
    "environment replays the past, the start of its replay]",
)
@click.option(
    "--keep-failed-hours",
    type=click.IntRange(0, 24 * 90),
    help="How long the schema of a failed rehearsal is kept; 0 drops it at once. [default: `keep_failed_hours` of ENV]",
)
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None],
    env: str,
    schema: str | None,
    as_of: str | None,
    keep_failed_hours: int | None,
    as_json: bool,
) -> None:
    """Rehearsals in different schemas do not meet; in one schema there is one at a time."""
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.elsewhere import in_jobs
    from gatehouse.cli.world import load_project, make_folder, place
    from gatehouse.code_version import code_version
    from gatehouse.pipelines.ephemeral import Wanted, rehearsal_schema
    from gatehouse.pipelines.rehearsal import Steps
    from gatehouse.reports.rehearsal import Rehearsal, kept_sentence, rehearsal_markdown

    where = place(found)
    kept = where.settings.environment(env).keep_failed_hours if keep_failed_hours is None else keep_failed_hours
    if in_jobs(where, env):
        given = [f"--env={env}", f"--schema={schema or _new_name()}", f"--keep-failed-hours={kept}"]
        _rehearsed_there(where, env, [*given, f"--as-of={as_of or ''}"], as_json=as_json)
        return
    moment = _moment(where, env, as_of)
    project = load_project(where.settings)
    commit = code_version(where.settings.environments.project.partition(":")[0], where.settings.root).commit
    wanted = Wanted(
        env=env,
        schema=schema or _new_name(),
        project=project.name,
        commit=commit,
        keep_failed=timedelta(hours=kept),
    )
    catalog = where.settings.environment(env).catalog
    make_folder(where.root)
    steps, progress = Steps(), TerminalProgress()
    claimed: Ephemeral | None = None

    def found_so_far(problem: str | None) -> Rehearsal:
        return Rehearsal(
            environment=env,
            catalog=catalog,
            schema=wanted.schema,
            as_of=moment,
            code=commit,
            steps=steps.all(),
            problem=problem,
            kept_until=claimed.kept_until if claimed else None,
        )

    try:
        with (
            _terminable(),
            rehearsal_schema(
                where.platform(env, rehearsals=True),
                where.settings,
                wanted,
                clock=lambda: datetime.now(UTC),
                progress=progress,
            ) as claimed,
        ):
            _rehearse(where, claimed, env, moment, steps, progress)
    except (KeyboardInterrupt, Interrupted):
        _tell(where, rehearsal_markdown(found_so_far("It was interrupted.")))
        raise
    except Exception as error:
        if claimed is None:  # refused before anything began
            raise
        said = error.what if isinstance(error, GatehouseError) else f"{type(error).__name__}: {error}"
        failed = found_so_far(said)
        _tell(where, rehearsal_markdown(failed))
        click.echo(kept_sentence(failed), err=True)
        raise
    passed = found_so_far(None)
    _tell(where, rehearsal_markdown(passed))
    if as_json:
        echo_json({"schema": wanted.schema, "as_of": moment, "steps": passed.steps, "seconds": passed.seconds})
    else:
        _show(passed)


def _rehearsed_there(where: Place, env: str, given: list[str], *, as_json: bool) -> None:
    """With the code of this checkout, which no job has yet."""
    from gatehouse.ci.job import SUMMARY
    from gatehouse.cli.display import echo_json
    from gatehouse.cli.elsewhere import run_this_code
    from gatehouse.cli.telling import tell

    said = run_this_code(where, env, ["rehearse", *given])
    summary = said.pop(SUMMARY, "")
    tell(where.settings.root, summary, said)
    if as_json:
        echo_json({"environment": env, **said})
    else:
        click.echo(summary)


def _rehearse(where: Place, claimed: Ephemeral, env: str, moment: datetime, steps: Steps, progress: Progress) -> None:
    from gatehouse.cli.world import Place, open_world
    from gatehouse.pipelines.rehearsal import play

    with open_world(Place(settings=claimed.settings, root=where.root), env) as world:
        play(lambda at: world.context(env, at, progress), moment, steps)


def _tell(where: Place, markdown: str) -> None:
    """The CI, and whoever comments on a pull request: a file beside the other reports."""
    from gatehouse.cli.telling import tell

    page = where.root / "report" / "rehearsal.md"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(markdown, encoding="utf-8")
    tell(where.settings.root, markdown)


def _show(rehearsal: Rehearsal) -> None:
    from gatehouse.cli.display import stdout_console, table

    console = stdout_console()
    rows = [(s.name, f"{s.seconds:.1f} s", s.outcome, s.note) for s in rehearsal.steps]
    console.print(table("", ("step", "", "outcome", ""), rows))
    console.print(
        f"\nRehearsed in {rehearsal.catalog}.{rehearsal.schema}, as of {rehearsal.as_of:%Y-%m-%d}, in "
        f"{rehearsal.seconds:.0f} s. The schema was dropped."
    )


def _moment(where: Place, env: str, as_of: str | None) -> datetime:
    """A date that the data have: where other environments live in the past, their past."""
    environment = where.settings.environment(env)
    if as_of is None and environment.clock == "now":
        others = where.settings.environments.environments.values()
        starts = [other.replay.start for other in others if other.replay is not None]
        as_of = max(starts).isoformat() if starts else None
    return where.clock(env).read(as_of)


def _new_name() -> str:
    import uuid

    return f"rehearsal_{datetime.now(UTC):%Y%m%d_%H%M%S}_{uuid.uuid4().hex[:6]}"


@contextmanager
def _terminable() -> Iterator[None]:
    """A CI that cancels a run sends SIGTERM: it is taken as Ctrl-C, so that the schema goes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
