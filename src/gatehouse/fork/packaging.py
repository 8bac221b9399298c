"""pyproject.toml and uv.lock under another name and with fewer dependencies; both stay as formatted as they were."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Collection, Iterator
from typing import Any

from gatehouse.errors import StateError
from gatehouse.fork.names import MACHINERY, Name

Edit = Callable[[str, Name], str]
_ENTRY = "[[package]]\n"


def renamed_pyproject(text: str, name: Name) -> str:
    """The distribution and its description. Commands, packages and settings stay."""
    text = _once(rf'^name = "{MACHINERY.distribution}"$', f'name = "{name.distribution}"', text)
    return _once(
        r'^description = ".*"$', f'description = "{name.title}: a machine-learning project and its road."', text
    )


def without_dependencies(text: str, names: Collection[str]) -> str:
    """pyproject.toml, where each requirement stands on a line of its own."""
    for name in names:
        text = re.sub(rf'^  "{name}[^"\w-][^"]*",\n', "", text, flags=re.MULTILINE)
    return text


def with_package(text: str, name: Name) -> str:
    """pyproject.toml of a repository that has one more package in its wheel."""
    return _once(r"^(packages = \[.*)\]$", rf'\g<1>, "src/{name.package}"]', text)


def allowing_unused_arguments(text: str, name: Name) -> str:
    """pyproject.toml that allows a use case what it allows those in examples/: a protocol's arguments, unused."""
    return _once(r'^("examples/\*\*" = .*)$', rf'\g<1>\n"src/{name.package}/**" = ["ARG002"]', text)


def renamed_lock(text: str, name: Name) -> str:
    """uv.lock of the renamed distribution, whose name is also in the markers of its groups and extras."""
    head, *entries = text.split(_ENTRY)
    entries = [
        entry.replace(f'name = "{MACHINERY.distribution}"\n', f'name = "{name.distribution}"\n', 1)
        if _is_root(entry)
        else entry
        for entry in entries
    ]
    old, new = (f"{len(n.distribution)}-{n.distribution}-" for n in (MACHINERY, name))
    ordered = sorted((entry.rstrip("\n") for entry in entries), key=_sort_key)
    joined = "\n\n".join([head.rstrip("\n"), *(_ENTRY + entry for entry in ordered)]) + "\n"
    joined = joined.replace(
        f'{{ package = "{MACHINERY.distribution}"', f'{{ package = "{name.distribution}"'
    )  # conflicts
    return re.sub(rf"\b(extra|group)-{re.escape(old)}", rf"\g<1>-{new}", joined)


def lock_without_dependencies(text: str, names: Collection[str]) -> str:
    """uv.lock without these requirements of the project, and without what nobody else needs then."""
    head, *entries = text.split(_ENTRY)
    lines = "|".join(map(re.escape, names))
    entries = [
        re.sub(rf'^    {{ name = "(?:{lines})".*\n', "", entry, flags=re.MULTILINE) if _is_root(entry) else entry
        for entry in entries
    ]
    needed = _reachable(entries)
    return _ENTRY.join([head, *(entry for entry in entries if _parsed(entry)["name"] in needed)]).rstrip("\n") + "\n"


def locked_names(text: str) -> frozenset[str]:
    """Packages that are or could be installed here, spelled as a module would be."""
    return frozenset(package["name"].replace("-", "_") for package in tomllib.loads(text)["package"])


def _is_root(entry: str) -> bool:
    return bool(_parsed(entry)["source"] == {"editable": "."})


def _parsed(entry: str) -> dict[str, Any]:
    (package,) = tomllib.loads(_ENTRY + entry)["package"]
    return dict(package)


def _sort_key(entry: str) -> tuple[str, str]:
    package = _parsed(entry)
    return package["name"], package["version"]


def _reachable(entries: list[str]) -> set[str]:
    """Names of all packages that the project needs, through others too."""
    packages = [_parsed(entry) for entry in entries]
    needs: dict[str, set[str]] = {}
    for package in packages:
        needs.setdefault(package["name"], set()).update(_requirements(package))
    found, waiting = set[str](), [p["name"] for p in packages if p["source"] == {"editable": "."}]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(needs.get(name, ()))
    return found


def _requirements(package: dict[str, Any]) -> Iterator[str]:
    groups = [*package.get("optional-dependencies", {}).values(), *package.get("dev-dependencies", {}).values()]
    for requirements in [package.get("dependencies", []), *groups]:
        yield from (requirement["name"] for requirement in requirements)


def _once(pattern: str, replacement: str, text: str) -> str:
    changed, number = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    if number != 1:
        raise StateError(
            f"pyproject.toml has {number} lines like {pattern}, where one is expected.",
            why="Nothing was changed, because the result would not install.",
            remedy="Bring the line back to the form that the template has, then run the command again.",
        )
    return changed
