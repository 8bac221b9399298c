"""`gatehouse publish`: the files that go with a release."""

from __future__ import annotations

from pathlib import Path

import click

from gatehouse.cli import options


@click.command(
    "publish",
    help="Write what goes with the release of VERSION: the decision record, why it was decided so (Markdown, HTML), "
    "the model card, and SHA256SUMS of them (sha256sum --check SHA256SUMS).",
    short_help="Write the files that go with a release: record, decision, card, digests.",
)
@click.argument("version")
@options.environment("prod")
@click.option(
    "--to", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder for them."
)
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], version: str, env: str, folder: Path, as_json: bool) -> None:
    """Reads the lakehouse only."""
    from gatehouse.cli.display import echo_json
    from gatehouse.cli.telling import provider_of
    from gatehouse.cli.world import look, place
    from gatehouse.pipelines.publication import publish_release

    with look(found, env) as context:
        written = publish_release(context, context.registry.get(context.model, version), folder)
    provider_of(place(found).settings.root).output("folder", str(folder))
    if as_json:
        echo_json({"files": [path.name for path in written], "folder": folder})
        return
    for path in written:
        click.echo(str(path))
