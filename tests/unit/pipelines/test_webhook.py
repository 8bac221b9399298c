"""A webhook forgets; what was said to it is kept, so that it hears of each change once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from gatehouse.errors import PlatformError, StorageError
from gatehouse.lakehouse.store import FolderStore
from gatehouse.pipelines.alerting import Webhook


def test_it_hears_when_a_cause_begins_changes_and_ends_and_nothing_in_between(tmp_path: Path) -> None:
    heard: list[Mapping[str, str]] = []

    def hook() -> Webhook:
        return Webhook(heard.append, FolderStore(tmp_path), "state/alerts.json")

    assert hook().settle_issue("prod-drift", "gone") is None
    for _ in range(2):
        assert hook().raise_issue("prod-drift", "prod: moved", "As of May:\n- wind 0.3") == "webhook"
    hook().raise_issue("prod-drift", "prod: moved", "As of June:\n- wind 0.3")
    hook().raise_issue("prod-drift", "prod: moved", "As of June:\n- wind 0.4")
    hook().raise_issue("prod-champion", "prod: champion", "As of June:\n- by hand")
    for _ in range(2):
        hook().settle_issue("prod-drift", "Gone as of July.")

    assert [(m["key"], m["state"], m["text"]) for m in heard] == [
        ("prod-drift", "open", "As of May:\n- wind 0.3"),
        ("prod-drift", "open", "As of June:\n- wind 0.4"),
        ("prod-champion", "open", "As of June:\n- by hand"),
        ("prod-drift", "settled", "Gone as of July."),
    ]


def test_what_was_not_delivered_is_not_taken_for_said(tmp_path: Path) -> None:
    heard: list[Mapping[str, str]] = []

    def down(_: Mapping[str, str]) -> None:
        raise PlatformError("no answer")

    with pytest.raises(PlatformError):
        Webhook(down, FolderStore(tmp_path), "alerts.json").raise_issue("prod-drift", "moved", "x")
    Webhook(heard.append, FolderStore(tmp_path), "alerts.json").raise_issue("prod-drift", "moved", "x")

    assert len(heard) == 1
    (tmp_path / "alerts.json").write_text("[1]")
    with pytest.raises(StorageError, match="is damaged"):
        Webhook(heard.append, FolderStore(tmp_path), "alerts.json").raise_issue("prod-drift", "moved", "x")
