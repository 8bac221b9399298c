"""`gatehouse ui`: MLflow's own pages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click


@click.command("ui", help="Open MLflow's own pages on this lakehouse: runs, metrics, models, versions, aliases.")
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65535))
@click.pass_obj
def command(found: dict[str, Path | None], port: int) -> None:
    """Runs until it is stopped with Ctrl-C."""
    from gatehouse.cli.world import place
    from gatehouse.errors import PlatformError
    from gatehouse.lakehouse.tracking import ui_command

    serve = ui_command(place(found).root, port=port)
    click.echo(f"http://127.0.0.1:{port}  (ready in about 15 seconds, Ctrl-C stops it)")
    done = subprocess.run(serve, check=False, stderr=sys.stderr)  # noqa: S603 - our own argument list
    if done.returncode > 0:
        raise PlatformError(
            f"MLflow's server ended with code {done.returncode}.",
            remedy=f"If port {port} is taken, choose another with --port.",
        )
