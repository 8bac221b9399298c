"""What somebody has to look at in an environment, told to whom it concerns: once when it begins, once when it ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gatehouse.errors import StorageError
from gatehouse.lakehouse.store import Store
from gatehouse.pipelines.context import Context
from gatehouse.pipelines.reporting import read
from gatehouse.pipelines.standing import warnings_of
from gatehouse.reports.alerts import KEYS, Cause, causes, issue_of, settled


class Issues(Protocol):
    """Where causes are told. A CI's provider is one; so is a webhook that keeps what it has said."""

    def raise_issue(self, key: str, title: str, body: str) -> str:
        """Open, or bring up to date; returns its address."""

    def settle_issue(self, key: str, comment: str) -> str | None:
        """Close with a last word; None: none was open."""


Send = Callable[[Mapping[str, str]], None]
"""Delivers one message of text values, or raises PlatformError."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was found, and where it was told: addresses by cause. `settled` are those that are over."""

    causes: tuple[Cause, ...]
    addresses: Mapping[str, str]
    settled: tuple[str, ...]


def alert(context: Context, issues: Issues | None, *, run: str) -> Told:
    """Tell every cause there is, and settle those that are gone; with no `issues`, only find them."""
    with context.progress.step("look for what somebody has to look at"):
        readings = read(context)
        found = causes(context.project, context.settings.monitoring, readings, warnings_of(context))
    addresses: dict[str, str] = {}
    over: list[str] = []
    if issues is not None:
        for cause in found:
            title, body = issue_of(cause, readings, context.policy.approval.approvers, run=run)
            addresses[cause.key] = issues.raise_issue(_key(context, cause.key), title, body)
        for key in KEYS:
            if key not in {cause.key for cause in found}:
                address = issues.settle_issue(_key(context, key), settled(readings, run=run))
                over += [key] if address is not None else []
    return Told(causes=found, addresses=addresses, settled=tuple(over))


def _key(context: Context, cause: str) -> str:
    return f"{context.name}-{cause}"


class Webhook:
    """Posts what has changed: {"key", "state": "open" or "settled", "title", "text"}.

    `memory` names a text of the store that holds what was said, so that a cause that lasts is told once, and again
    when it changes.
    """

    def __init__(self, send: Send, store: Store, memory: str) -> None:
        self._send = send
        self._store = store
        self._memory = memory

    def raise_issue(self, key: str, title: str, body: str) -> str:
        """Nothing is sent where the same was said before."""
        said = self._said()
        # The first line holds the moment, which alone is no news.
        digest = hashlib.sha256(f"{title}\n{body.partition(chr(10))[2]}".encode()).hexdigest()
        if said.get(key) != digest:
            self._send({"key": key, "state": "open", "title": title, "text": body})
            self._keep({**said, key: digest})
        return "webhook"

    def settle_issue(self, key: str, comment: str) -> str | None:
        """Nothing is sent where nothing was open."""
        said = self._said()
        if key not in said:
            return None
        self._send({"key": key, "state": "settled", "title": f"{key}: settled", "text": comment})
        self._keep({k: v for k, v in said.items() if k != key})
        return "webhook"

    def _said(self) -> dict[str, str]:
        try:
            return dict(json.loads(self._store.read(self._memory) or "{}"))
        except (ValueError, TypeError) as error:
            raise StorageError(
                f"{self._store.place(self._memory)} is damaged: {error}",
                why="It says which alerts are open.",
                remedy="Delete the file; what is open will be told once more.",
            ) from None

    def _keep(self, said: Mapping[str, str]) -> None:
        self._store.write(self._memory, json.dumps(said, sort_keys=True))
