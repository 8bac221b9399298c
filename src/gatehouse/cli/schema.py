"""`gatehouse schema`: what may stand in a configuration file."""

from __future__ import annotations

import json

import click

from gatehouse.errors import UsageError


@click.command("schema", help="Print the JSON schema of a file in conf/, or of all of them.")
@click.argument("file", required=False, metavar="[FILE]")
def command(file: str | None) -> None:
    """FILE is a stem, such as environments or promotion."""
    from pydantic import BaseModel

    from gatehouse.gates.policy import Policy
    from gatehouse.settings import FILES
    from gatehouse.setup.answers import SetupFile

    known: dict[str, type[BaseModel]] = {**FILES, "promotion": Policy, "setup": SetupFile}

    if file is not None and file.removesuffix(".yml") not in known:
        raise UsageError(f"There is no configuration file {file!r}.", remedy=f"Choose from: {', '.join(known)}.")
    wanted = [file.removesuffix(".yml")] if file else list(known)
    schemas = {stem: known[stem].model_json_schema() for stem in wanted}
    click.echo(json.dumps(schemas[wanted[0]] if file else schemas, indent=2))
