"""Decides what the repository looks like with one more use case in it. Pure, as project.py is."""

from __future__ import annotations

from gatehouse.errors import StateError
from gatehouse.fork import configuration, packaging
from gatehouse.fork.files import File, Files
from gatehouse.fork.names import MACHINERY, Name, parse_name
from gatehouse.fork.project import BUNDLE, taken_names
from gatehouse.fork.starter import starter
from gatehouse.fork.workflows import for_second

_ENVIRONMENTS = "conf/environments.yml"


def conf_folder(name: Name) -> str:
    """Where the configuration of a second use case lies; its embedded lakehouse comes to lie beside it."""
    return f"projects/{name.package}/conf"


def bundle(files: Files, name: Name, own: Files) -> dict[str, File]:
    """Its bundle: databricks.yml beside its conf/, and the jobs of the first through a link; `own` is its conf/."""
    if BUNDLE not in files:
        return {}
    conf = conf_folder(name)
    folder = conf.rpartition("/")[0]
    monitoring = own.get(f"{conf}/monitoring.yml")
    text = configuration.second_bundle(
        files[BUNDLE].text or "",
        name.package,
        drift_alert=configuration.drift_alert((monitoring.text if monitoring else None) or ""),
    )
    return {
        f"{folder}/{BUNDLE}": files[BUNDLE].written(text),
        f"{folder}/resources": File(b"../../resources", link=True),
    }


def with_second(files: Files, text: str) -> dict[str, File]:
    """The whole repository, a use case called `text` included."""
    if f"src/{MACHINERY.package}/__init__.py" not in files or _ENVIRONMENTS not in files:
        raise StateError(
            "This is not a repository made from Gatehouse.",
            why="A second use case needs the machinery and the configuration of the first.",
            remedy="Run it in the project's own repository.",
        )
    name = parse_name(text, taken=taken_names(files))
    pyproject = packaging.with_package(files["pyproject.toml"].text or "", name)
    own = starter(files, name, conf=conf_folder(name), catalogs=configuration.catalogs(files[_ENVIRONMENTS].text or ""))
    return {
        **files,
        **own,
        **bundle(files, name, own),
        **for_second(files, name, conf_folder(name)),
        "pyproject.toml": files["pyproject.toml"].written(packaging.allowing_unused_arguments(pyproject, name)),
    }
