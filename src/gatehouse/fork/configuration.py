"""What else says where a project lives: the catalogs in conf/environments.yml, the staging branch in CI files."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gatehouse.errors import UsageError

MAIN = "main"
"""The staging branch of the template."""

_ENVIRONMENT = re.compile(r"  ([A-Za-z]\w*):\s*(#.*)?")
_BRANCH_LISTS = re.compile(
    r"^(\s*(?:- )?(?:branches|include|default_branch|staging_branch|ref|default):\s*)(.*)$", re.MULTILINE
)


def catalogs(text: str) -> dict[str, str]:
    """The catalog of each environment of conf/environments.yml."""
    found, environment = {}, ""
    for line in text.splitlines():
        environment = _environment(line, environment)
        if environment and (value := re.fullmatch(r"    catalog: (\w+)\s*(#.*)?", line)):
            found[environment] = value[1]
    return found


def with_catalogs(text: str, wanted: Mapping[str, str]) -> str:
    """conf/environments.yml with other catalogs, comments and the rest as they were."""
    known = catalogs(text)
    for environment, catalog in wanted.items():
        if environment not in known:
            raise UsageError(
                f"There is no environment {environment!r} to give a catalog to.",
                remedy=f"Choose from: {', '.join(known)}.",
            )
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", catalog):
            raise UsageError(
                f"{catalog!r} cannot be a catalog.",
                why="It becomes part of every table's name.",
                remedy="Use letters, digits and underscores: --environments prod=ml_prod",
            )
    lines, environment = [], ""
    for line in text.splitlines(keepends=True):
        environment = _environment(line.rstrip("\n"), environment)
        if environment in wanted:
            line = re.sub(r"^(    catalog: )\w+", rf"\g<1>{wanted[environment]}", line)  # noqa: PLW2901
        lines.append(line)
    return "".join(lines)


def with_bundle(text: str, wanted: Mapping[str, str], *, distribution: str, branch: str) -> str:
    """databricks.yml of another distribution, with other catalogs, and another branch that production comes from."""
    text = with_defaults(text, package=distribution)
    text = re.sub(rf"^(      branch: ){MAIN}\b", rf"\g<1>{branch}", text, flags=re.MULTILINE)
    lines, target = [], ""
    for line in text.splitlines(keepends=True):
        target = _environment(line.rstrip("\n"), target)
        if target in wanted:
            line = re.sub(r"^(      catalog: )\w+", rf"\g<1>{wanted[target]}", line)  # noqa: PLW2901
        lines.append(line)
    return "".join(lines)


def with_defaults(text: str, **wanted: str) -> str:
    """databricks.yml whose variables have other defaults."""
    for name, value in wanted.items():
        text = re.sub(
            rf"^(  {name}:\n    description: .*\n    default: ).*$", rf"\g<1>{value}", text, flags=re.MULTILINE
        )
    return text


def second_bundle(text: str, name: str, *, drift_alert: str) -> str:
    """databricks.yml of a second use case, in a folder of its own beside its conf/: same targets, same jobs."""
    text = re.sub(r"^(bundle:\n  name: )\w+", rf"\g<1>{name}", text, flags=re.MULTILINE)
    text = re.sub(r"^(sync:\n  paths: )\[.*\].*$", r"\g<1>[conf] # the rest is in the wheel", text, flags=re.MULTILINE)
    return with_defaults(text, schema=name, drift_alert=drift_alert)


def drift_alert(text: str) -> str:
    """The setting of conf/monitoring.yml; what the machinery takes where it is not set."""
    found = re.search(r"^drift_alert: ([\d.]+)", text, re.MULTILINE)
    return found[1] if found else "0.25"


def _environment(line: str, current: str) -> str:
    """Which environment a line belongs to, after the one before belonged to `current`."""
    begins = _ENVIRONMENT.fullmatch(line)
    if begins:
        return begins[1]
    return current if not line.strip() or line.startswith("   ") or line.lstrip().startswith("#") else ""


def checked_branch(branch: str) -> str:
    """A branch's name that is safe wherever a workflow writes it."""
    if (
        not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]*", branch)
        or ".." in branch
        or branch.endswith(("/", ".", ".lock"))
    ):
        raise UsageError(
            f"{branch!r} cannot be the staging branch.",
            why="Workflows name it in their triggers.",
            remedy="Use letters, digits, dots, dashes and slashes: --staging-branch develop",
        )
    return branch


def with_staging_branch(text: str, branch: str) -> str:
    """A workflow, pipeline or CI script whose triggers, filters and full refs name another branch than `main`."""
    text = re.sub(rf"refs/heads/{MAIN}(?![\w./-])", f"refs/heads/{branch}", text)
    return _in_lists(_BRANCH_LISTS.sub(lambda found: found[1] + _word(found[2], branch), text), branch)


def _in_lists(text: str, branch: str) -> str:
    """Lists with one branch a line, under `branches:` or `include:`."""
    lines, inside = [], ""
    for line in text.splitlines(keepends=True):
        opens = re.match(r"(\s*)(?:branches|include):\s*(?:#.*)?$", line.rstrip("\n"))
        indent = line[: len(line) - len(line.lstrip())]
        if opens:
            inside = opens[1] or "-"
        elif inside and line.strip() and not (line.lstrip().startswith("- ") and indent >= inside.replace("-", "")):
            inside = ""
        lines.append(_word(line, branch) if inside and not opens else line)
    return "".join(lines)


def _word(value: str, branch: str) -> str:
    value, mark, comment = value.partition(" #")
    return re.sub(rf"(?<![\w./-]){MAIN}(?![\w./-])", branch, value) + mark + comment
