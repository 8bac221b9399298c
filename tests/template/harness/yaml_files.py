"""YAML as both providers read it, and nothing that they would not."""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from tests.template.harness import NotUnderstood

ROOT = Path(__file__).parents[3]
"""The checkout."""


class Loader(yaml.SafeLoader):
    """YAML 1.2: `on`, `yes` and `no` are words and not booleans, `12:30` is no number, a key stands once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Like SafeLoader's, which lets the second of two equal keys win without a word."""
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise NotUnderstood(f"{node.start_mark}: the keys {sorted(twice)} stand twice")
        return super().construct_mapping(node, deep)


_AS_IN_1_2 = {
    "tag:yaml.org,2002:bool": (re.compile("^(?:true|false)$"), "tf"),
    "tag:yaml.org,2002:int": (re.compile(r"^[-+]?[0-9]+$"), "-+0123456789"),
    "tag:yaml.org,2002:float": (re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?$"), "-+.0123456789"),
}
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _AS_IN_1_2 and "timestamp" not in tag]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for _tag, (_pattern, _first) in _AS_IN_1_2.items():
    Loader.add_implicit_resolver(_tag, _pattern, list(_first))


Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))  # 012 is twelve


def parse(text: str) -> Any:
    """What the text says."""
    return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader


def read(path: Path | str) -> Any:
    """What a file says; a relative path is in the checkout."""
    return parse((ROOT / path).read_text(encoding="utf-8"))


def dump(document: Any) -> str:
    """As a text that keeps the order of keys."""
    return yaml.safe_dump(document, sort_keys=False, width=10_000, allow_unicode=True)
