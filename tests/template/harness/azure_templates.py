"""Expands a pipeline of Azure: templates, parameters and `${{ }}`, until plain stages, jobs and steps are left.

Source: MicrosoftDocs/azure-devops-docs, docs/pipelines/process/{templates,template-parameters,template-expressions}.md.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.template.harness import NotUnderstood
from tests.template.harness.azure_expressions import Evaluator, text_of, truth
from tests.template.harness.yaml_files import parse

_WHOLE = re.compile(r"\$\{\{(?P<inner>(?:(?!\}\}).)*)\}\}", re.DOTALL)
_VARIABLE = re.compile(r"\bvariables(?:\.|\[')([\w.]+)")
_PREDEFINED = re.compile(r"(?:Agent|Build|Environment|Pipeline|System)\.", re.IGNORECASE)
_LISTS = ("steps", "jobs", "stages", "variables")
_TYPES = {
    "string": str, "number": (int, float), "boolean": bool, "object": object, "step": Mapping, "stepList": list,
    "job": Mapping, "jobList": list, "stage": Mapping, "stageList": list, "deployment": Mapping, "deploymentList": list,
}  # fmt: skip


@dataclass(kw_only=True)
class Expansion:
    """The files of one repository, and what is known when a run is queued."""

    root: Path
    variables: Mapping[str, Any]
    """Predefined ones, as `Build.SourceBranch`. Those of a pipeline, a group or a run are not there yet."""
    committed: Mapping[str, str] = field(default_factory=dict)
    """Variables to which the files give another value than they do here."""

    def __post_init__(self) -> None:
        early = sorted(name for name in self.variables if not _PREDEFINED.match(name))
        if early:
            raise ValueError(f"{early} are not known when templates are expanded")

    def pipeline(self, path: str, parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The whole of the file, expanded; what Azure would not accept is NotUnderstood or a ValueError."""
        document = self._read(path)
        declared = document.pop("parameters", [])
        scope = {"parameters": bound(declared, parameters or {}, path), "variables": dict(self.variables)}
        if "extends" in document:
            raise NotUnderstood("extends")
        if "variables" in document:
            document["variables"] = self._variables(document["variables"], scope, path)
        rest = {name: value for name, value in document.items() if name != "variables"}
        expanded: dict[str, Any] = self._expanded(rest, scope, path)
        return expanded | ({"variables": document["variables"]} if "variables" in document else {})

    def _variables(self, found: Any, scope: dict[str, Any], path: str) -> list[dict[str, Any]]:
        """In their order, each known to the expressions of those behind it."""
        entries = found
        if isinstance(found, Mapping):
            if any("${{" in str(name) for name in found):
                raise NotUnderstood("variables as a mapping with expressions in its names: write them as a list")
            entries = [{"name": name, "value": value} for name, value in found.items()]
        listed: list[dict[str, Any]] = []
        for entry in entries:
            for made in self._expanded([entry], scope, path, kind="variables"):
                if set(made) not in ({"name", "value"}, {"group"}, {"name", "value", "readonly"}):
                    raise NotUnderstood(f"the variable {made}")
                if "name" in made:
                    made["value"] = self.committed.get(made["name"], made["value"])
                    scope["variables"] = scope["variables"] | {made["name"]: made["value"]}
                listed.append(made)
        return listed

    def _read(self, path: str) -> dict[str, Any]:
        document = parse((self.root / path).read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise NotUnderstood(f"{path} is no mapping")
        return document

    def _template(self, item: Mapping[str, Any], scope: dict[str, Any], path: str, kind: str) -> list[Any]:
        unknown = set(item) - {"template", "parameters"}
        if unknown:
            raise NotUnderstood(f"{sorted(unknown)} beside a template in {path}")
        name = str(self._expanded(item["template"], scope, path)).removesuffix("@self")
        if "@" in name:
            raise NotUnderstood(f"the template {name} of another repository")
        place = posixpath.normpath(posixpath.join("/", posixpath.dirname(path), name)).lstrip("/")
        document = self._read(place)
        unknown = set(document) - {"parameters", kind}
        if unknown or kind not in document:
            raise NotUnderstood(f"{place} is used among {kind} and holds {sorted(document)}")
        given = self._expanded(item.get("parameters") or {}, scope, path)
        inner = {**scope, "parameters": bound(document.get("parameters", []), given, place)}
        if kind == "variables":
            return self._variables(document[kind], inner, place)
        expanded: list[Any] = self._expanded(document[kind], inner, place, kind=kind)
        return expanded

    def _expanded(self, value: Any, scope: dict[str, Any], path: str, *, kind: str = "") -> Any:
        if isinstance(value, str):
            return self._text(value, scope)
        if isinstance(value, list):
            return self._list(value, scope, path, kind)
        if isinstance(value, dict):
            return self._mapping(value, scope, path)
        return value

    def _text(self, text: str, scope: dict[str, Any]) -> Any:
        whole = _WHOLE.fullmatch(text.strip())
        if whole:
            return self._evaluate(whole["inner"], scope)
        made = _WHOLE.sub(lambda found: text_of(self._evaluate(found["inner"], scope)), text)
        if "${{" in made:
            raise NotUnderstood(f"an expression that does not end in {text!r}")
        return made

    def _evaluate(self, inner: str, scope: dict[str, Any]) -> Any:
        known = {name.lower() for name in scope["variables"]}
        for name in _VARIABLE.findall(inner):
            if name.lower() not in known and not _PREDEFINED.match(name):
                raise NotUnderstood(f"the variable {name} in ${{{{{inner}}}}}: no file sets it, and others come later")
        return Evaluator(contexts=scope).evaluate(inner.strip())

    def _list(self, items: list[Any], scope: dict[str, Any], path: str, kind: str) -> list[Any]:
        made: list[Any] = []
        chain: bool | None = None  # whether a branch of the if that stands before was taken
        for item in items:
            key = next(iter(item)) if isinstance(item, dict) and len(item) == 1 else ""
            directive = _directive(key)
            if directive is None:
                chain = None
                made += self._item(item, scope, path, kind)
                continue
            word, rest = directive
            if word == "each":
                made += [
                    entry
                    for inner in self._each(rest, scope)
                    for entry in self._list(_as_list(item[key]), inner, path, kind)
                ]
                chain = None
                continue
            taken, chain = self._branch(word, rest, chain, scope)
            if taken:
                made += self._list(_as_list(item[key]), scope, path, kind)
        return made

    def _item(self, item: Any, scope: dict[str, Any], path: str, kind: str) -> list[Any]:
        if isinstance(item, dict) and "template" in item:
            if kind not in _LISTS:
                raise NotUnderstood(f"a template where no steps, jobs, stages or variables stand, in {path}")
            return self._template(item, scope, path, kind)
        expanded = self._expanded(item, scope, path)
        # An expression that is a list, alone in an entry, becomes its entries.
        return expanded if isinstance(item, str) and isinstance(expanded, list) else [expanded]

    def _mapping(self, mapping: dict[str, Any], scope: dict[str, Any], path: str) -> dict[str, Any]:
        made: dict[str, Any] = {}
        chain: bool | None = None
        scope = dict(scope)
        if "variables" in mapping:  # of a stage or job: what stands beside them knows them
            made["variables"] = self._variables(mapping["variables"], scope, path)
        for key, value in mapping.items():
            if key == "variables":
                continue
            directive = _directive(key)
            if directive is None:
                chain = None
                name = text_of(self._text(key, scope)) if isinstance(key, str) else key
                made[name] = self._expanded(value, scope, path, kind=name if name in _LISTS else "")
                continue
            word, rest = directive
            if word == "insert":
                made |= self._expanded(value, scope, path)
            elif word == "each":
                for inner in self._each(rest, scope):
                    made |= self._mapping(value, inner, path)
            else:
                taken, chain = self._branch(word, rest, chain, scope)
                if taken:
                    made |= self._mapping(value, scope, path)
        return made

    def _branch(self, word: str, rest: str, chain: bool | None, scope: dict[str, Any]) -> tuple[bool, bool]:
        """Whether this branch is taken, and whether one of its chain was."""
        if word != "if" and chain is None:
            raise NotUnderstood(f"{word} without an if before it")
        earlier = bool(chain) and word != "if"
        holds = True if word == "else" else truth(self._evaluate(rest, scope))
        taken = holds and not earlier
        return taken, taken or earlier

    def _each(self, rest: str, scope: dict[str, Any]) -> list[dict[str, Any]]:
        found = re.fullmatch(r"(\w+)\s+in\s+(.+)", rest, re.DOTALL)
        if not found:
            raise NotUnderstood(f"each {rest}")
        many = self._evaluate(found[2], scope)
        if isinstance(many, Mapping):
            many = [{"key": key, "value": value} for key, value in many.items()]
        return [{**scope, found[1]: one} for one in many]


def bound(declared: list[dict[str, Any]], given: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Parameters with what was given, or their defaults; ValueError for what Azure refuses."""
    if not isinstance(declared, list):
        raise NotUnderstood(f"parameters of {where} without types")
    unknown = set(given) - {about["name"] for about in declared}
    if unknown:
        raise ValueError(f"{where}: Unexpected parameter {sorted(unknown)}")
    found: dict[str, Any] = {}
    for about in declared:
        beyond = set(about) - {"name", "type", "default", "values", "displayName"}
        kind = about.get("type", "string")
        if beyond or kind not in _TYPES:
            raise NotUnderstood(f"the parameter {about} of {where}")
        name = about["name"]
        if name not in given and "default" not in about:
            raise ValueError(f"{where}: A value for the '{name}' parameter must be provided.")
        value = given.get(name, about.get("default"))
        if kind == "string":
            value = text_of(value)
        if kind == "boolean" and isinstance(value, str) and value.lower() in ("true", "false"):
            value = value.lower() == "true"
        if not isinstance(value, _TYPES[kind]):  # type: ignore[arg-type]
            raise ValueError(f"{where}: the '{name}' parameter is not a valid {kind}: {value!r}")
        if "values" in about and value not in about["values"]:
            raise ValueError(f"{where}: the '{name}' parameter may not be {value!r}")
        found[name] = value
    return found


def _directive(key: Any) -> tuple[str, str] | None:
    whole = _WHOLE.fullmatch(key.strip()) if isinstance(key, str) else None
    word, _, rest = (whole["inner"].strip() if whole else "").partition(" ")
    return (word, rest.strip()) if word in ("if", "elseif", "else", "each", "insert") else None


def _as_list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise NotUnderstood(f"a list was expected, not {value!r}")
    return value
