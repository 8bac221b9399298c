"""`gatehouse schema`: what may stand in a configuration file."""

from __future__ import annotations

import json

import click

from gatehouse.errors import UsageError


@click.command("schema", help="Print the JSON schema of a file in conf/, or of all of them.")
@click.argument("file", required=False, metavar="[FILE]")
def command(file: str | None) -> None:
    """FILE is a stem: environments, training, options, monitoring."""
    from gatehouse.settings import FILES

    if file is not None and file.removesuffix(".yml") not in FILES:
        raise UsageError(f"There is no configuration file {file!r}.", remedy=f"Choose from: {', '.join(FILES)}.")
    wanted = [file.removesuffix(".yml")] if file else list(FILES)
    schemas = {stem: FILES[stem].model_json_schema() for stem in wanted}
    click.echo(json.dumps(schemas[wanted[0]] if file else schemas, indent=2))
