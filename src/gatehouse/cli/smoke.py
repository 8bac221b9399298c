"""`gatehouse smoke`: does a real workspace do what the emulated one of the tests promises?"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import PlatformError, StateError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place
    from gatehouse.databricks.smoke import Seen

_TARGET = "dev"


@click.command(
    "smoke",
    help="Try a Databricks workspace, Free Edition included: deploy this commit's bundle into a throw-away schema, run "
    "its jobs, register a version, read it back, and take everything away again. Ends with a table of what differs "
    "from what the tests' emulated workspace promises.",
    short_help="What a real workspace does otherwise than the tests' emulated one.",
)
@click.option("--catalog", default="workspace", show_default=True, metavar="NAME", help="Catalog that may be used.")
@click.option(
    "--as-of", metavar="DATE", help="Nothing later is read. [default: where a replay of conf/ begins, or now]"
)
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], catalog: str, as_of: str | None, as_json: bool) -> None:
    """Ends in red where a promise was not kept, or not reached."""
    from gatehouse.cli.display import echo_json, stdout_console, table
    from gatehouse.cli.telling import tell
    from gatehouse.cli.world import place

    where = place(found)
    schema = f"smoke_{uuid.uuid4().hex[:8]}"
    seen = _tried(where, catalog, schema, _first_moment(where) if as_of is None else as_of)
    tell(where.settings.root, _markdown(seen))
    if as_json:
        echo_json({"schema": f"{catalog}.{schema}", "promises": seen})
    else:
        rows = [(s.about, s.outcome.value, s.promise, s.said) for s in seen]
        stdout_console().print(table("", ("", "", "promise", "what differs"), rows))
    if bad := [s for s in seen if s.said]:
        raise PlatformError(
            f"{len(bad)} of {len(seen)} promises were not kept or not reached: {', '.join(s.about for s in bad)}.",
            why="The tests prove what they prove on a workspace that keeps them.",
            remedy="Mend what it says, or tell the emulator (tests/template/harness/workspace) how the real one is.",
        )


def _tried(where: Place, catalog: str, schema: str, as_of: str) -> Sequence[Seen]:
    """With this commit, in a checkout of its own whose environment `dev` is the throw-away schema."""
    from gatehouse.cli.display import TerminalProgress
    from gatehouse.cli.world import Place, load_project
    from gatehouse.code_version import checked_out_aside, code_version
    from gatehouse.databricks.build import build
    from gatehouse.databricks.client import open_workspace
    from gatehouse.databricks.smoke import Trial, try_workspace
    from gatehouse.settings import load

    root = where.settings.root
    commit = code_version(where.settings.environments.project.partition(":")[0], root).commit
    with checked_out_aside(root, commit) as aside:
        conf = aside / where.settings.conf.relative_to(root)
        _move(conf / "environments.yml", catalog, schema)
        _commit(aside)
        moved = Place(settings=load(conf), root=where.root)
        environment, home = moved.settings.environment(_TARGET), moved.platform(_TARGET)
        os.environ |= {"BUNDLE_VAR_catalog": catalog, "BUNDLE_VAR_schema": schema}
        project = load_project(moved.settings).name
        trial = Trial(
            workspace=open_workspace(),
            home=home,
            registry=home.registry(writable=[]),
            root=aside,
            project=project,
            target=_TARGET,
            place=environment.place,
            volume=environment.keeps,
            as_of=as_of,
            build=build,
            forget=lambda: home.tracking(environment.place, project).discard(),
            progress=TerminalProgress(),
        )
        return try_workspace(trial)


def _move(file: Path, catalog: str, schema: str) -> None:
    """`dev` into the schema, on its own sources: nobody else's are there."""
    import yaml

    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content["environments"][_TARGET].items() if key in ("data_fraction",)}
    own = {**kept, "catalog": catalog, "schema": schema, "platform": "databricks"}
    content["environments"][_TARGET] = own
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def _commit(aside: Path) -> None:
    """On no branch: from a commit the same wheel is built each time, and a second plan has nothing to change."""
    import subprocess

    who = ("-c", "user.name=gatehouse smoke", "-c", "user.email=smoke@localhost", "-c", "commit.gpgsign=false")
    command = ["git", *who, "commit", "--quiet", "--no-verify", "--all", "-m", "A throw-away schema"]
    done = subprocess.run(command, cwd=aside, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    if done.returncode != 0:
        raise StateError(
            f"git could not commit in {aside}: {done.stderr.strip()}",
            why="The bundle is built from a commit.",
            remedy="Run it in a checkout that this user may write.",
        )


def _first_moment(where: Place) -> str:
    others = where.settings.environments.environments.values()
    return max((e.replay.start.isoformat() for e in others if e.replay is not None), default="")


def _markdown(seen: Sequence[Seen]) -> str:
    from gatehouse.reports.gfm import escaped, table

    rows = [[s.about, s.outcome.value, escaped(s.promise), escaped(s.said)] for s in seen]
    return "### A real workspace\n\n" + "\n".join(table(["", "", "promise", "what differs"], rows)) + "\n"
