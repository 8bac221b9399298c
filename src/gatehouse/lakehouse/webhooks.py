"""MLflow's webhooks on the embedded lakehouse: one for each environment that has its new versions judged by them.

Only a running server delivers, and only for versions that are made through it. A loopback address over plain HTTP is
refused by MLflow unless WEBHOOK_SETTINGS say otherwise, in the server's environment.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from gatehouse.errors import StorageError
from gatehouse.lakehouse.mlflow_database import DATABASE
from gatehouse.lakehouse.mlflow_errors import told
from gatehouse.lakehouse.mlflow_globals import import_mlflow
from gatehouse.lakehouse.registry_rules import Schema

_EVENT = "model_version.created"
_CACHE_SECONDS = "5"


def webhook_settings(encryption_key: str) -> dict[str, str]:
    """Environment variables of a server that delivers to this machine. A webhook counts after at most 5 s."""
    return {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": encryption_key,
        "MLFLOW_WEBHOOK_CACHE_TTL": _CACHE_SECONDS,
    }


def webhook_name(place: Schema) -> str:
    """By which an environment's webhook is known."""
    return f"gatehouse-{'.'.join(place)}"


def register_webhook(server: str, place: Schema, *, url: str, secret: str) -> None:
    """Have the server deliver to `url`. Afterwards the environment has one webhook, however often it is done."""
    with told(f"registering the webhook of {'.'.join(place)}"):
        client = _client(server)
        known = _of(client, webhook_name(place))
        if known:
            client.update_webhook(known[0].webhook_id, url=url, secret=secret, events=[_EVENT], status="ACTIVE")
        else:
            client.create_webhook(webhook_name(place), url, [_EVENT], secret=secret, status="ACTIVE")
        for surplus in known[1:]:
            client.delete_webhook(surplus.webhook_id)


def remove_webhook(address: str, place: Schema) -> int:
    """Have it deliver no more; how many there were. `address` is a server's, or that of the database."""
    with told(f"removing the webhook of {'.'.join(place)}"):
        client = _client(address)
        known = _of(client, webhook_name(place))
        for webhook in known:
            client.delete_webhook(webhook.webhook_id)
    return len(known)


def registered_webhook(root: Path, place: Schema) -> str | None:
    """Where the environment's webhook delivers to; None: it has none. Asks the database, for MLflow wants the key."""
    path = root / DATABASE
    if not path.is_file() or path.stat().st_size == 0:
        return None
    asked = "SELECT url FROM webhooks WHERE name = ? AND deleted_timestamp IS NULL AND status = 'ACTIVE'"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=20)) as database:
            row = database.execute(asked, (webhook_name(place),)).fetchone()
    except sqlite3.Error as error:
        raise StorageError(
            f"{path} does not say which webhooks there are: {error}",
            why="Whether somebody else judges new versions cannot be told.",
            remedy="Restore it from a copy, or use the version of MLflow that made it (uv sync).",
        ) from error
    return str(row[0]) if row else None


def _client(address: str) -> Any:
    return import_mlflow().MlflowClient(tracking_uri=address, registry_uri=address)


def _of(client: Any, name: str) -> list[Any]:
    found, token = [], None
    while True:
        page = client.list_webhooks(max_results=100, page_token=token)
        found += [webhook for webhook in page if webhook.name == name]
        token = page.token
        if not token:
            return found
