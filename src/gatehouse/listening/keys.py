"""The webhook's two secrets: what deliveries are signed with, and what MLflow encrypts that with in its database."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from gatehouse.errors import StorageError

FILE = "keys.json"
_PRIVATE = 0o600


@dataclass(frozen=True, kw_only=True, slots=True)
class Keys:
    """Never printed. `encryption` is a Fernet key, as MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY wants it."""

    secret: str = field(repr=False)
    encryption: str = field(repr=False)


def keys_in(folder: Path) -> Keys:
    """The keys of this folder, made at first use for its owner's eyes only. The caller holds the folder's lock.

    Raises:
        StorageError: the file is damaged, or others may read it.
    """
    path = folder / FILE
    if not path.exists():
        _make(path)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise StorageError(
            f"Others may read {path}.",
            why="Whoever knows the secret can have any version judged, and fill the queue.",
            remedy=f"rm {path}    and start gatehouse listen again: it makes new ones",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Keys(secret=str(content["secret"]), encryption=str(content["encryption"]))
    except (ValueError, KeyError, TypeError):
        raise StorageError(
            f"{path} is damaged.",
            why="Without the secret no delivery can be told from a forged one.",
            remedy=f"rm {path}    and start gatehouse listen again: it makes new ones",
        ) from None


def _make(path: Path) -> None:
    made = {
        "secret": secrets.token_urlsafe(32),
        "encryption": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "w", encoding="utf-8") as file:
        file.write(json.dumps(made))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
