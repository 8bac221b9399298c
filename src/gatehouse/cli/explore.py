"""`gatehouse explore`: a first look, at a table in the terminal or at everything in a notebook."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gatehouse.cli import options
from gatehouse.errors import Refused


@click.command(
    "explore",
    help="Summarise TABLE (columns, units, missing values, extremes), or, without TABLE, write a notebook that opens "
    "an environment and calls the package.",
)
@click.argument("table", required=False)
@options.environment("dev")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Notebook to write. [default: explore.ipynb]"
)
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], table: str | None, env: str, out: Path | None, as_json: bool) -> None:
    """Reads only; an existing notebook is not overwritten."""
    if table is None:
        _write_notebook(found, env, out or Path("explore.ipynb"))
        return
    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.display import table as grid
    from gatehouse.cli.world import look
    from gatehouse.pipelines.summary import summarise

    with look(found, env) as context:
        summary = summarise(context, table)
    if as_json:
        echo_json(summary)
        return
    console = stdout_console()
    console.print(f"[bold]{summary.name}[/bold], version {summary.version}, {summary.rows:,} rows")
    console.print(f"{summary.description}\n", markup=False)
    console.print(
        grid(
            "",
            ("column", "type", "unit", "missing", "lowest", "mean", "highest"),
            [(c.name, c.type, c.unit, f"{c.missing:.1%}", c.lowest, c.mean, c.highest) for c in summary.columns],
        )
    )


def _write_notebook(found: dict[str, Path | None], env: str, out: Path) -> None:
    from gatehouse.cli.world import load_project, place
    from gatehouse.project import Project

    where = place(found)
    where.settings.environment(env)
    project: Project = load_project(where.settings)
    if out.exists():
        raise Refused(
            f"{out} exists.", why="It may hold somebody's work.", remedy="Name another file with --out, or delete it."
        )
    out.write_text(json.dumps(notebook(env, project), indent=1) + "\n", encoding="utf-8")
    click.echo(f"{out} written. Open it with: uv run --with jupyterlab jupyter lab {out}")


def notebook(env: str, project: Any) -> dict[str, Any]:
    """A notebook (nbformat 4) whose cells run from top to bottom once the environment has data."""
    events = project.event_table
    cells = [
        _text(f"# {project.name}\n\n{project.description}\n\n`{env}` reads what it may, and writes its own."),
        _code(f'from gatehouse.notebook import open_environment\n\nenv = open_environment("{env}")'),
        _text(f"## Events\n\n{events.description}"),
        _code(f'events = env.tables.read(env.source("{events.name}"))\nevents.limit(5).toPandas()'),
        _text("## Events with their features, as a model sees them"),
        _code(
            "from datetime import timedelta\n\nfrom gatehouse.pipelines.dataset import build, pin\n\n"
            "frame = build(env, pin(env), after=env.as_of - timedelta(days=28), until=env.as_of)\n"
            "frame.select(*env.project.features, env.project.label.name).limit(1000).toPandas().describe().T"
        ),
        _text("## How the label goes with time"),
        _code(
            "from pyspark.sql import functions as F\n\n"
            'frame.groupBy("unit").agg(F.avg(env.project.label.name)).orderBy("unit").toPandas()'
        ),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "id": _id(source), "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(source: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "id": _id(source),
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": source.splitlines(keepends=True),
    }


def _id(source: str) -> str:
    from hashlib import sha256

    return sha256(source.encode()).hexdigest()[:8]
