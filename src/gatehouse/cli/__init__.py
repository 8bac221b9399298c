"""The command `gatehouse`: one file per verb, imported when it is called. The only place that exits."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import click

from gatehouse import __version__
from gatehouse.errors import GatehouseError, Interrupted

_SECTIONS = {
    "To begin with": {
        "demo": "Show the whole loop on real data: three environments, a trained model, predictions, monitoring.",
        "explore": "Write a notebook on dev that calls the package, or summarise a table.",
        "status": "Where an environment stands: tables, versions, aliases, and how its champion does.",
        "features": "What features exist: description, owner, units, freshness.",
        "lineage": "From raw data to predictions and back: what a table, feature or version comes from and feeds.",
        "ui": "Open MLflow's own pages on this lakehouse.",
    },
    "Pipelines": {
        "land": "Put raw files where a source's rows land.",
        "run": "Run one pipeline: ingest, features, training, inference or monitoring.",
        "clock": "Where a replaying environment stands in time, and its next step.",
        "schema": "Print the JSON schema of a configuration file.",
        "reset": "Throw an environment's tables and models away.",
    },
    "From a candidate to a champion": {
        "release": "Train, examine, compare with the champion, and ask for approval.",
        "why": "Why a version was, or was not, promoted.",
        "card": "The model card of a version, and what is blank in it.",
        "approve": "Approve a judged version.",
        "reject": "Reject a judged version.",
        "promote": "Make an approved version the champion.",
        "rollback": "Go back to the last approved version that works, or to the code that was live before.",
        "endpoint": "Give a judged version a share of an endpoint's requests.",
        "copy": "Take an approved version over from another environment: deploy the model, not the code.",
        "plan": "How many days of labels a margin needs.",
        "gate": "One gate by itself, and the gate's own test.",
        "replay": "Compute the verdict of a decision record once more, offline.",
        "audit": "Who decided and did what, and whether the log still says it.",
    },
    "In CI": {
        "setup": "Make what a project needs around it: principals, catalogs, grants, the CI's environments.",
        "preflight": "What stands between this checkout and a release that works.",
        "smoke": "What a real workspace does otherwise than the tests' emulated one.",
        "rehearse": "Run every pipeline and every gate in a schema that is thrown away.",
        "sweep": "Drop what rehearsals left behind.",
        "tested": "Whether this commit was green in staging.",
        "cut-release": "Make a release branch from this commit.",
        "listen": "Judge new versions as MLflow's webhooks report them (driver: registry).",
        "deployment-job": "The tasks of the job that judges new versions (driver: registry).",
        "deploy": "Make this checkout's code the live code of an environment.",
        "live": "Which code is live, and put it into this checkout.",
        "publish": "Write the files that go with a release: record, decision, card, digests.",
        "alert": "Call somebody when something is wrong in an environment.",
        "comment": "Write one comment on a pull request.",
        "state": "Pass the embedded lakehouse on from run to run of a CI.",
    },
    "This repository": {
        "rename": "Turn this repository into another project, or put a second use case into it.",
    },
}
VERBS = {verb: does for section in _SECTIONS.values() for verb, does in section.items()}
"""Every verb with its line in --help, so that --help imports none of them."""


class _Verbs(click.Group):
    """Loads a verb's module when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"gatehouse.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in VERBS:
            from difflib import get_close_matches

            for near in get_close_matches(args[0], VERBS, n=1):
                ctx.fail(f"No such command {args[0]!r}. Did you mean {near!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, verbs in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(verbs.items()))


@click.command(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=__doc__ and "From a pull request to a model in production, and the gates on that road.",
    epilog="Start with `gatehouse demo`. Every command explains itself: gatehouse COMMAND --help.",
)
@click.version_option(__version__, prog_name="gatehouse")
@click.option(
    "--conf",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="GATEHOUSE_CONF",
    help="Configuration folder. [default: conf/ here or above]",
)
@click.option(
    "--lakehouse",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="GATEHOUSE_LAKEHOUSE",
    help="Folder of the embedded lakehouse. [default: .lakehouse/ beside conf/]",
)
@click.pass_context
def group(ctx: click.Context, conf: Path | None, lakehouse: Path | None) -> None:
    """Keep what every verb needs to find its world."""
    ctx.obj = {"conf": conf, "lakehouse": lakehouse}


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; ends the process with the exit code of the error class."""
    from gatehouse.cli.telling import inert_log

    with inert_log():
        code, _ = execute(sys.argv[1:] if arguments is None else arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    if code == Interrupted.exit_code:
        # A worker thread of the engine may still hold a query; a normal exit would wait for it or abort.
        os._exit(code)
    sys.exit(code)


def execute(arguments: list[str]) -> tuple[int, GatehouseError | None]:
    """Run the command line and tell what went wrong; returns the exit code, and the error if it is one of ours."""
    try:
        group.main(args=arguments, prog_name="gatehouse", standalone_mode=False)
    except GatehouseError as error:
        from gatehouse.cli.telling import complain

        click.echo(f"{click.style('Error:', fg='red', bold=True)} {error}", err=True)
        complain(error)
        return error.exit_code, error
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "\nStopped. What was complete stays, the rest was never visible; the same command continues.",
            err=True,
        )
        return Interrupted.exit_code, None
    except click.exceptions.Exit as done:
        return done.exit_code, None
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption) and error.option_name in ("--conf", "--lakehouse"):
            hint = f"{error.message} It stands before the command: gatehouse {error.option_name} DIR COMMAND."
            error = click.NoSuchOption(error.option_name, hint, ctx=error.ctx)
        error.show()
        return error.exit_code, None
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - the reader has gone: nothing is left to tell
    return 0, None
