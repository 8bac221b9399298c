"""A minimal use case of any name, made from the tiny one in examples/: one table, one feature table, one model."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gatehouse.errors import StateError
from gatehouse.fork.configuration import with_catalogs
from gatehouse.fork.files import File, Files
from gatehouse.fork.names import STARTER, Name

_FOLDER = f"examples/{STARTER.package}"
_MODULE = f"{_FOLDER}/{STARTER.package}.py"
_TEST = "tests/unit/examples/test_use_case.py"


def starter(files: Files, name: Name, *, conf: str, catalogs: Mapping[str, str]) -> dict[str, File]:
    """Package, data, configuration in the folder `conf`, and tests."""
    module, test = _taken(files, _MODULE), _taken(files, _TEST)
    package = f"src/{name.package}"
    made = {
        f"{package}/__init__.py": module.written(_INIT.format(name=name)),
        f"{package}/project.py": module.written(_project(module.text or "", name)),
        f"tests/unit/{name.package}/test_use_case.py": test.written(_test(test.text or "", conf)),
    }
    for path, file in files.items():
        if path.startswith(f"{_FOLDER}/conf/"):
            made[f"{conf}/{path.rpartition('/')[2]}"] = file.written(
                _configuration(path, file.text or "", name, catalogs)
            )
        elif path.startswith(f"{_FOLDER}/") and path.endswith(".csv"):
            made[f"{package}/{path.rpartition('/')[2]}"] = file
    return made


_INIT = '''"""{name.title}: the use case. The machinery reads everything about it from PROJECT."""

from {name.package}.project import PROJECT

__all__ = ["PROJECT"]
'''
_DOCSTRING = '''"""{name.title}: a use case to begin with, tomorrow's temperature at three airports from one CSV file.

The page docs/bring-your-own-table.md goes through it line by line. Replace each part by yours.
"""
'''


def _project(text: str, name: Name) -> str:
    text = _once(r'\A""".*?^"""\n', _DOCSTRING.format(name=name), text, _MODULE)
    return _once(rf'^    name="{STARTER.package}",$', f'    name="{name.package}",', text, _MODULE)


def _test(text: str, conf: str) -> str:
    place = " / ".join(f'"{part}"' for part in conf.split("/"))
    return _once(rf'"examples" / "{STARTER.package}" / "conf"', place, text, _TEST)


def _configuration(path: str, text: str, name: Name, catalogs: Mapping[str, str]) -> str:
    if not path.endswith("/environments.yml"):
        return text
    text = _once(rf"^project: {STARTER.package}:PROJECT$", f"project: {name.package}:PROJECT", text, path)
    text = re.sub(rf"^(    schema: ){STARTER.package}$", rf"\g<1>{name.package}", text, flags=re.MULTILINE)
    text = re.sub(r"\A(#.*\n)+", _CONF_HEAD, text)
    return with_catalogs(text, catalogs)


_CONF_HEAD = """\
# Which use case, and where its environments live. `gatehouse schema environments` prints what may stand here.
"""


def _taken(files: Files, path: str) -> File:
    if path not in files:
        raise _changed(path, "is missing")
    return files[path]


def _once(pattern: str, replacement: str, text: str, path: str) -> str:
    changed, number = re.subn(pattern, lambda _: replacement, text, flags=re.MULTILINE | re.DOTALL)
    if number != 1:
        raise _changed(path, f"has {number} places like {pattern}, where one is expected")
    return changed


def _changed(path: str, what: str) -> StateError:
    return StateError(
        f"{path} {what}.",
        why="A new use case is made from examples/. Nothing was changed.",
        remedy=f"git checkout TEMPLATE -- {_FOLDER} {_TEST}, with TEMPLATE the commit that this repository came from.",
    )
