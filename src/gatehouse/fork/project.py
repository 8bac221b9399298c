"""Decides what the repository looks like under another name. Pure: files in, files out; writing.py acts on it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from gatehouse.errors import StateError, UsageError
from gatehouse.fork import configuration, packaging, pages
from gatehouse.fork.files import File, Files
from gatehouse.fork.names import EXAMPLE, MACHINERY, Name, parse_name
from gatehouse.fork.parts import (
    EXAMPLE_DEPENDENCIES,
    KEEPS_THE_NAMES,
    MAKING_DEPENDENCIES,
    PROOF_DEPENDENCIES,
    PROVIDERS,
    SPEAK_OF_BRANCHES,
    USUAL_PROVIDERS,
    among,
    of_the_example,
    unwanted,
)
from gatehouse.fork.starter import starter
from gatehouse.fork.wording import renamed_path, renamed_text

_ENVIRONMENTS = "conf/environments.yml"
BUNDLE = "databricks.yml"
"""Declares what runs in a workspace; refers to resources/."""
_NEEDED = ("pyproject.toml", "uv.lock", "README.md", "CHANGELOG.md", "MLproject", "docs/dependencies.md", _ENVIRONMENTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What a project wants. `catalogs` are by environment; those not named stay."""

    name: str
    providers: tuple[str, ...] = USUAL_PROVIDERS
    catalogs: Mapping[str, str] = field(default_factory=dict)
    staging_branch: str = configuration.MAIN
    remove_example: bool = False
    keep_proof: bool = False


def refuse_what_is_no_template(files: Files) -> None:
    """A repository that was renamed already, or that never was the template."""
    if f"src/{MACHINERY.package}/__init__.py" not in files or any(path not in files for path in _NEEDED):
        raise StateError(
            "This is not a repository made from Gatehouse: "
            f"{', '.join(p for p in ('src/gatehouse/__init__.py', *_NEEDED) if p not in files)} not found.",
            why="Nothing was changed.",
            remedy="Run it in a clone of the template.",
        )
    if f"src/{EXAMPLE.package}/__init__.py" not in files:
        found = re.search(r"^project: (\w+)", files[_ENVIRONMENTS].text or "", re.MULTILINE)
        raise StateError(
            f"This repository has been renamed already{f', to {found[1]}' if found else ''}.",
            why="Only the template's own name is rare enough to be replaced safely in every file.",
            remedy="A second use case beside it: gatehouse rename --add NAME. Another name for this one: your editor.",
        )


def renamed(files: Files, choices: Choices) -> dict[str, File]:
    """The whole repository as it shall be."""
    refuse_what_is_no_template(files)
    name = parse_name(choices.name, taken=taken_names(files))
    providers = _known(choices.providers)
    branch = configuration.checked_branch(choices.staging_branch)
    catalogs = {**configuration.catalogs(files[_ENVIRONMENTS].text or ""), **choices.catalogs}
    conf = configuration.with_catalogs(files[_ENVIRONMENTS].text or "", choices.catalogs)

    kept = dict(files) | {_ENVIRONMENTS: files[_ENVIRONMENTS].written(conf)}
    if BUNDLE in files:
        bundle = configuration.with_bundle(
            files[BUNDLE].text or "", choices.catalogs, distribution=name.distribution, branch=branch
        )
        kept[BUNDLE] = files[BUNDLE].written(bundle)
    for path in unwanted(files, providers=providers, keep_proof=choices.keep_proof):
        del kept[path]
    unneeded = MAKING_DEPENDENCIES + (() if choices.keep_proof else PROOF_DEPENDENCIES)
    if choices.remove_example:
        kept = _without_example(kept, files, name, catalogs)
        unneeded += EXAMPLE_DEPENDENCIES
    kept = _without_dependencies(kept, unneeded)
    after = {new: file for path, content in kept.items() for new, file in [_one(path, content, name)]}
    after |= _own_files(after, files, name)
    after = {path: _with_branch(path, file, branch) for path, file in after.items()}
    return _without_traces(files, after, name, choices.remove_example)


def taken_names(files: Files) -> frozenset[str]:
    """Packages that are here, or that uv.lock may install."""
    own = {m[1] for path in files if (m := re.match(r"(?:src|examples)/(\w+)/", path))}
    return packaging.locked_names(files["uv.lock"].text or "") | own


def _known(providers: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in providers if name not in PROVIDERS]
    if unknown or not providers:
        raise UsageError(
            f"There is no CI provider {unknown[0]!r}." if unknown else "No CI provider is chosen.",
            remedy=f"Choose from {', '.join(PROVIDERS)}: --ci github,azure",
        )
    return providers


def _without_example(kept: dict[str, File], files: Files, name: Name, catalogs: Mapping[str, str]) -> dict[str, File]:
    gone = of_the_example(kept)
    minimal = {path: file for path, file in kept.items() if path not in gone}
    minimal |= starter(files, name, conf="conf", catalogs=catalogs)
    if BUNDLE in minimal and (monitoring := minimal.get("conf/monitoring.yml")):
        alert = configuration.drift_alert(monitoring.text or "")
        text = configuration.with_defaults(minimal[BUNDLE].text or "", drift_alert=alert)
        minimal[BUNDLE] = minimal[BUNDLE].written(text)
    pyproject = minimal["pyproject.toml"]
    minimal["pyproject.toml"] = _edited(pyproject, packaging.allowing_unused_arguments, name)
    return minimal


def _without_dependencies(kept: dict[str, File], names: tuple[str, ...]) -> dict[str, File]:
    edits: dict[str, Callable[[str, Collection[str]], str]] = {
        "pyproject.toml": packaging.without_dependencies,
        "uv.lock": packaging.lock_without_dependencies,
        "docs/dependencies.md": pages.without_rows,
    }
    return kept | {path: kept[path].written(edit(kept[path].text or "", names)) for path, edit in edits.items()}


def _one(path: str, file: File, name: Name) -> tuple[str, File]:
    """One file under the new name; of a link, the place where it leads."""
    if among(path, KEEPS_THE_NAMES):
        return path, file
    if file.link:
        leads_to = renamed_path(file.content.decode("utf-8", "surrogateescape"), EXAMPLE, name)
        return renamed_path(path, EXAMPLE, name), File(leads_to.encode("utf-8", "surrogateescape"), link=True)
    text = file.text
    changed = file if text is None else file.written(renamed_text(path, text, EXAMPLE, name))
    return renamed_path(path, EXAMPLE, name), changed


def _own_files(after: Files, files: Files, name: Name) -> dict[str, File]:
    """What is the project's own, and not the template's under another name."""
    return {
        "pyproject.toml": _edited(after["pyproject.toml"], packaging.renamed_pyproject, name),
        "uv.lock": _edited(after["uv.lock"], packaging.renamed_lock, name),
        "MLproject": after["MLproject"].written(
            re.sub(r"^name: .*$", f"name: {name.distribution}", after["MLproject"].text or "", flags=re.MULTILINE)
        ),
        "README.md": files["README.md"].written(pages.first_page(name, after)),
        "CHANGELOG.md": files["CHANGELOG.md"].written(pages.first_changelog(name)),
    }


def _edited(file: File, edit: packaging.Edit, name: Name) -> File:
    return file.written(edit(file.text or "", name))


def _with_branch(path: str, file: File, branch: str) -> File:
    """CI files, the configuration, and the pages that say which branch does what."""
    places = ("conf/environments.yml", *(place for group in PROVIDERS.values() for place in group))
    if branch == configuration.MAIN or file.text is None:
        return file
    if among(path, SPEAK_OF_BRANCHES):
        return file.written(file.text.replace(f"`{configuration.MAIN}`", f"`{branch}`"))
    return file.written(configuration.with_staging_branch(file.text, branch)) if among(path, places) else file


def _without_traces(files: Files, after: dict[str, File], name: Name, example_removed: bool) -> dict[str, File]:
    """Pages that speak of nothing that was left behind."""
    gone = pages.gone_from({_one(path, file, name)[0] for path, file in files.items()}, after)
    for path, file in after.items():
        if path.endswith(".md") and file.text is not None:
            text = pages.without_passages(file.text, "template")
            text = pages.without_passages(text, "example") if example_removed else text
            after[path] = file.written(pages.without_traces(path, text, gone))
    return after
