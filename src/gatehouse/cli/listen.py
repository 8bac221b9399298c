"""`gatehouse listen`: judges new versions on a laptop, as a deployment job does in a workspace."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from gatehouse.cli import options
from gatehouse.errors import ConfigurationError, EvaluationError

if TYPE_CHECKING:
    from gatehouse.cli.world import Place
    from gatehouse.lakehouse.registry import ModelRegistry, Version
    from gatehouse.listening.keys import Keys
    from gatehouse.listening.queue import Queue
    from gatehouse.listening.work import Standing, Worker
    from gatehouse.settings import Environment

_LOOK_SECONDS = 2.0
"""How soon an approval is noticed; a delivery is at once."""
_CATCH_UP_ROUNDS = 150
"""How often versions are looked for of which no delivery came: every five minutes."""


@click.command(
    "listen",
    help="Judge each new version as soon as MLflow's server reports it, wait for gatehouse approve, and promote "
    "(driver: registry, on a laptop). Starts a server, registers its webhook, checks every delivery's signature, and "
    "keeps what is to be done in .lakehouse/listen. Ctrl-C ends it; what was accepted is done by the next.",
    short_help="Judge new versions as MLflow's webhooks report them.",
)
@options.environment("prod")
@click.option("--once", is_flag=True, help="Do what is to be done, and end: needs no server and hears no webhook.")
@click.option("--remove", is_flag=True, help="Take the webhook away, and end.")
@click.option("--server", metavar="URL", help="MLflow's server, if one runs already. [default: one is started]")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the receiver. [default: a free one]")
@click.pass_obj
def command(found: dict[str, Path | None], env: str, once: bool, remove: bool, server: str | None, port: int) -> None:
    """One process for each environment: it holds the lock of the queue."""
    from gatehouse.cli.judges import listening_folder
    from gatehouse.cli.world import load_project, make_folder, place
    from gatehouse.lakehouse.mlflow_database import prepare
    from gatehouse.lakehouse.registry_mlflow import MlflowRegistry
    from gatehouse.lakehouse.webhooks import remove_webhook, webhook_settings
    from gatehouse.listening.keys import keys_in
    from gatehouse.listening.queue import Queue, State

    where = place(found)
    environment = where.settings.environment(env)
    _refuse_other_judges(env, environment, remove=remove)
    make_folder(where.root)
    queue = Queue(listening_folder(where.root, environment))
    model = f"{environment.catalog}.{environment.db_schema}.{load_project(where.settings).name}"
    with queue.alone(), _ended_by_sigterm():
        keys = keys_in(queue.folder)
        if remove:  # it is MLflow's own code that lists webhooks here, and reads their secrets
            os.environ.update(webhook_settings(keys.encryption))
        address = prepare(where.root)
        if remove:
            number = remove_webhook(address, (environment.catalog, environment.db_schema))
            click.echo(f"The webhook of {env} is removed." if number else f"{env} has no webhook.")
            return
        registry = MlflowRegistry(address, address, root=where.root, writable=())
        desk = _Desk(where=where, env=env, model=model, queue=queue, registry=registry)
        if not once:
            desk.listen(keys, given=server, port=port)
        before = {entry.id for entry in queue.entries(State.FAILED)}
        desk.catch_up()
        desk.worker.round()
        stuck = [f"version {e.version} {e.note}" for e in queue.entries(State.FAILED) if e.id not in before]
    if stuck:
        raise EvaluationError(
            f"{'; '.join(stuck)}.",
            why="What could not be measured is neither good nor bad.",
            remedy=f"Mend what it said, then: gatehouse release --version N --env {env}",
        )


def _refuse_other_judges(env: str, environment: Environment, *, remove: bool) -> None:
    if environment.platform != "local":
        raise ConfigurationError(
            f"{env} lives on {environment.platform}, where the deployment job judges.",
            why="Webhooks are the laptop's way; Unity Catalog starts the job by itself.",
            remedy=f"gatehouse deployment-job link --env {env}",
        )
    if environment.driver != "registry" and not remove:
        raise ConfigurationError(
            f"In {env} the CI judges new versions (driver: ci).",
            why="With two judges, one would promote what the other is still asking people about.",
            remedy=f"Write driver: registry for {env} into conf/environments.yml.",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Desk:
    """One environment's queue, and what is needed to work it off."""

    where: Place
    env: str
    model: str
    queue: Queue
    registry: ModelRegistry

    @property
    def worker(self) -> Worker:
        """Steps run in processes of their own, by the configuration and the code as they are then."""
        from gatehouse.listening.work import Worker

        return Worker(queue=self.queue, step=self._step, standing=self._standing, log=_log)

    def catch_up(self) -> None:
        """Queue what no delivery came for."""
        self.worker.catch_up({v.version: _standing(v) for v in self.registry.versions(self.model)})

    def listen(self, keys: Keys, *, given: str | None, port: int) -> NoReturn:
        """Until it is interrupted."""
        from gatehouse.lakehouse.tracking import ui_command
        from gatehouse.lakehouse.webhooks import register_webhook, webhook_settings
        from gatehouse.listening.receiver import receiving
        from gatehouse.listening.server import serving

        wake, root = threading.Event(), self.where.root
        environment = self.where.settings.environment(self.env)
        with (
            receiving(
                self.queue,
                model=self.model,
                secret=keys.secret,
                port=port,
                clock=lambda: datetime.now(UTC),
                log=_log,
                arrived=wake.set,
            ) as url,
            serving(
                self.queue.folder,
                lambda free: ui_command(root, port=free),
                webhook_settings(keys.encryption),
                given=given,
            ) as server,
        ):
            place = (environment.catalog, environment.db_schema)
            register_webhook(server, place, url=url, secret=keys.secret)
            _log(f"listening: {server} reports new versions of {self.model} to {url}")
            for number in count():
                if number % _CATCH_UP_ROUNDS == 0:
                    self.catch_up()
                self.worker.round()
                wake.wait(_LOOK_SECONDS)
                wake.clear()
        raise AssertionError  # a count has no end

    def _standing(self, version: str) -> Standing:
        return _standing(self.registry.get(self.model, version))

    def _step(self, name: str, version: str) -> int:
        conf, root = str(self.where.settings.conf), str(self.where.root)
        line = [sys.executable, "-m", "gatehouse", "--conf", conf, "--lakehouse", root, "deployment-job", name]
        line += ["--model", self.model, "--version", version, "--env", self.env]
        return subprocess.run(line, check=False, stdin=subprocess.DEVNULL).returncode  # noqa: S603 - our own arguments


def _standing(version: Version) -> Standing:
    from gatehouse.listening.work import Standing
    from gatehouse.pipelines.decisions import JUDGED_TAG, RECORD_TAG, VERDICT_TAG

    return Standing.of(version.version, version.tags, record=RECORD_TAG, verdict=VERDICT_TAG, judged=JUDGED_TAG)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """A supervisor's way to end it is the same as Ctrl-C: the server goes with us."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _log(text: str) -> None:
    click.echo(f"{datetime.now(UTC):%H:%M:%S} {text}", err=True)
