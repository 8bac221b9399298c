"""`gatehouse alert`: calls somebody when something is wrong in an environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options
from gatehouse.errors import ConfigurationError, PlatformError

if TYPE_CHECKING:
    from gatehouse.pipelines.alerting import Send

_SECONDS = 15


@click.command(
    "alert",
    help="Call somebody where it is needed: inputs that moved beyond drift_alert of conf/monitoring.yml, a champion "
    "that predicts worse than when it was let through by more than its accuracy_alert, a violated expectation that "
    "stops a pipeline, a pipeline that has not completed, a champion that nobody let through. One open issue for each "
    "cause, brought up to date, closed when the cause is gone; outside a CI it is only told.",
    short_help="Call somebody when something is wrong in an environment.",
)
@options.environment("prod")
@options.as_of
@click.option(
    "--webhook-url-env",
    metavar="NAME",
    help="Post to a webhook instead, whose address this environment variable holds: JSON with key, state, title, text.",
)
@options.as_json
@click.pass_obj
def command(
    found: dict[str, Path | None], env: str, as_of: str | None, webhook_url_env: str | None, as_json: bool
) -> None:
    """Ends with 0 whatever is found: finding it is what it is for."""
    from gatehouse.cli.display import TerminalProgress, echo_json
    from gatehouse.cli.telling import provider_of, tell
    from gatehouse.cli.world import open_context, place
    from gatehouse.pipelines.alerting import Issues, Webhook, alert
    from gatehouse.reports.gfm import escaped

    where = place(found)
    environment = where.settings.environment(env)
    provider = provider_of(where.settings.root)
    issues: Issues | None = None if provider.name == "none" else provider
    if webhook_url_env is not None:
        memory = f"state/{'.'.join(environment.place)}.alerts.json"
        issues = Webhook(_sender(webhook_url_env), where.platform(env).store, memory)
    run = provider.run()
    with open_context(where, env, as_of=as_of, progress=TerminalProgress()) as context:
        told = alert(context, issues, run=run.url or run.id)
    lines = [f"{env}: {cause.title}. {' '.join(cause.facts[:3])}" for cause in told.causes]
    lines += [f"{env}: {key} is settled." for key in told.settled]
    lines = lines or [f"{env}: nothing that somebody has to look at."]
    summary = "".join(f"- {escaped(line, at_most=600)}\n" for line in lines)
    tell(where.settings.root, f"### Alerts\n\n{summary}", {"alerts": str(len(told.causes))})
    if as_json:
        echo_json({"causes": told.causes, "addresses": told.addresses, "settled": told.settled})
        return
    for line in lines:
        click.echo(line)


def _sender(variable: str) -> Send:
    """Posts to the address in a variable of the environment; it may be a secret, so no message shows it."""
    address = os.environ.get(variable, "")
    if not address.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise ConfigurationError(
            f"The environment variable {variable} holds no https:// address."
            if address
            else f"The environment variable {variable} is not set.",
            why="Alerts are posted to the address that it holds.",
            remedy=f"Set {variable} to the address of the webhook, in CI from a secret.",
        )

    def send(message: Mapping[str, str]) -> None:
        import requests

        try:
            answer = requests.post(address, json=dict(message), timeout=_SECONDS, allow_redirects=False)
        except requests.RequestException as error:
            raise PlatformError(
                f"The webhook of {variable} does not answer: {type(error).__name__}.",
                why="Nobody was called.",
                remedy="Look whether the address is right and the service is up, then run the same command again.",
            ) from None
        if not answer.ok:
            raise PlatformError(
                f"The webhook of {variable} answered {answer.status_code}.",
                why="Nobody was called.",
                remedy="Look whether the address is right, then run the same command again.",
            )

    return send
