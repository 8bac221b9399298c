"""Expressions of Azure Pipelines: `${{ }}` when templates are expanded, `$[ ]` and conditions when jobs start.

Source: MicrosoftDocs/azure-devops-docs, docs/pipelines/process/expressions.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.template.harness import NotUnderstood

_TOKENS = re.compile(
    r"\s*(?:(?P<number>-?[0-9]+(?:\.[0-9]+)*)|'(?P<text>(?:[^']|'')*)'|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)|(?P<sign>[().,\[\]*]))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """How what a job or stage depends on ended: the results, by name."""

    results: Mapping[str, str] = field(default_factory=dict)
    canceled: bool = False


_GOOD = ("Succeeded", "SucceededWithIssues")


@dataclass(kw_only=True)
class Evaluator:
    """Evaluates with these named contexts (`parameters`, `variables`, `dependencies`, ...)."""

    contexts: Mapping[str, Any]
    status: Status | None = None
    """Where conditions may ask it."""

    def evaluate(self, text: str) -> Any:
        """The value: None, bool, int, float, str, a list or a mapping."""
        self._tokens = _tokens(text)
        self._position = 0
        value = self._value()
        if self._position != len(self._tokens):
            raise NotUnderstood(f"the expression {text!r}: more behind its end")
        return value

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("end", "")

    def _next(self, *expected: str) -> tuple[str, str]:
        kind, word = self._peek()
        if expected and word not in expected:
            raise NotUnderstood(f"{word or 'the end'!r} in an expression, where {expected} was expected")
        self._position += 1
        return kind, word

    def _value(self) -> Any:
        kind, word = self._next()
        if kind == "number":
            return float(word) if "." in word else int(word)
        if kind == "text":
            return word.replace("''", "'")
        if kind != "word":
            raise NotUnderstood(f"{word or 'the end'!r} in an expression")
        if word.lower() in ("true", "false"):
            return word.lower() == "true"
        if word.lower() == "null":
            return None
        if self._peek()[1] == "(":
            return self._called(word)
        if word not in self.contexts:
            raise NotUnderstood(f"the context {word!r}: here are {sorted(self.contexts)}")
        return self._followed(self.contexts[word], word)

    def _followed(self, value: Any, root: str) -> Any:
        while self._peek()[1] in (".", "["):
            _, sign = self._next()
            if sign == ".":
                kind, key = self._next()
                if kind != "word":
                    raise NotUnderstood(f".{key} in an expression")
            else:
                key = self._value()
                self._next("]")
            value = _member(value, key, root)
        return value

    def _called(self, name: str) -> Any:
        self._next("(")
        arguments: list[Any] = []
        while self._peek()[1] != ")":
            if arguments:
                self._next(",")
            arguments.append(self._value())
        self._next(")")
        lowered = name.lower()
        if lowered in _STATUS:
            if self.status is None:
                raise NotUnderstood(f"{name}() outside a condition")
            return _STATUS[lowered](self.status, arguments)
        if lowered not in _FUNCTIONS:
            raise NotUnderstood(f"the function {name}()")
        result = _FUNCTIONS[lowered](*arguments)
        return self._followed(result, name)


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position, stripped = [], 0, text.rstrip()
    while position < len(stripped):
        match = _TOKENS.match(stripped, position)
        if match is None:
            raise NotUnderstood(f"the expression {text!r} from {stripped[position:]!r} on")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        position = match.end()
    return found


class Named(dict[str, Any]):
    """A context in which a name that is missing is a mistake, and not null: stages and jobs somebody depends on."""


def _member(value: Any, key: Any, root: str) -> Any:
    if isinstance(value, Named) and key not in value:
        raise NotUnderstood(f"{root}: {key!r} is not among {sorted(value)}: is it in dependsOn?")
    if isinstance(value, Mapping):
        folded = {str(name).lower(): inner for name, inner in value.items()} if root != "parameters" else value
        return folded.get(str(key).lower() if root != "parameters" else key)
    if isinstance(value, list) and isinstance(key, int):
        return value[key] if key < len(value) else None
    return None


def text_of(value: Any) -> str:
    """As a string in a text: `True`, `7`, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "True" if value else "False"
    if isinstance(value, list | Mapping):
        raise NotUnderstood(f"{value!r} inside a text")
    return str(value)


def truth(value: Any) -> bool:
    """As a boolean: null, 0 and the empty text are false."""
    if isinstance(value, list | Mapping):
        return True
    return bool(value)


def _equal(left: Any, right: Any) -> bool:
    """The right side becomes what the left one is; texts without regard to case."""
    if isinstance(left, bool):
        if isinstance(right, str):
            return left is (right != "")
        return left is truth(right)
    if isinstance(left, int | float):
        number = _number(right)
        return number is not None and float(left) == number
    if isinstance(left, str):
        return not isinstance(right, list | Mapping) and left.lower() == text_of(right).lower()
    if left is None:
        return right is None or right == ""
    return bool(left == right)


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    try:
        return float(value) if value not in (None, "") else 0.0
    except (TypeError, ValueError):
        return None


def _compare(left: Any, right: Any) -> int:
    if isinstance(left, str):
        mine, other = left.lower(), text_of(right).lower()
        return (mine > other) - (mine < other)
    first, second = _number(left), _number(right)
    if first is None or second is None:
        raise NotUnderstood(f"{left!r} compared with {right!r}")
    return (first > second) - (first < second)


def _format(pattern: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: text_of(values[int(found[1])]), pattern)


def _contains(whole: Any, part: Any) -> bool:
    return text_of(part).lower() in text_of(whole).lower()


def _contains_value(whole: Any, wanted: Any) -> bool:
    values = whole.values() if isinstance(whole, Mapping) else whole
    return any(_equal(value, wanted) for value in values)


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value not in (None, "")), None)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "and": lambda *values: all(truth(value) for value in values),
    "or": lambda *values: any(truth(value) for value in values),
    "not": lambda value: not truth(value),
    "xor": lambda left, right: truth(left) != truth(right),
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "gt": lambda left, right: _compare(left, right) > 0,
    "ge": lambda left, right: _compare(left, right) >= 0,
    "lt": lambda left, right: _compare(left, right) < 0,
    "le": lambda left, right: _compare(left, right) <= 0,
    "in": lambda value, *many: any(_equal(value, one) for one in many),
    "notin": lambda value, *many: not any(_equal(value, one) for one in many),
    "contains": _contains,
    "containsvalue": _contains_value,
    "startswith": lambda whole, start: text_of(whole).lower().startswith(text_of(start).lower()),
    "endswith": lambda whole, end: text_of(whole).lower().endswith(text_of(end).lower()),
    "format": _format,
    "join": lambda separator, many: text_of(separator).join(text_of(one) for one in many),
    "length": len,
    "lower": lambda value: text_of(value).lower(),
    "upper": lambda value: text_of(value).upper(),
    "trim": lambda value: text_of(value).strip(),
    "replace": lambda whole, old, new: text_of(whole).replace(text_of(old), text_of(new)),
    "split": lambda whole, separator: text_of(whole).split(text_of(separator)),
    "coalesce": _coalesce,
    "iif": lambda condition, yes, no: yes if truth(condition) else no,
    "converttojson": lambda value: json.dumps(value, indent=2),
}


def _asked(status: Status, names: list[Any]) -> list[str]:
    if not names:
        return list(status.results.values())
    missing = [name for name in names if name not in status.results]
    if missing:
        raise NotUnderstood(f"a condition about {missing}, which it does not depend on")
    return [status.results[name] for name in names]


_STATUS: dict[str, Callable[[Status, list[Any]], bool]] = {
    "always": lambda status, _: True,
    "canceled": lambda status, _: status.canceled,
    "failed": lambda status, names: not status.canceled and "Failed" in _asked(status, names),
    "succeeded": lambda status, names: not status.canceled and all(result in _GOOD for result in _asked(status, names)),
    "succeededorfailed": lambda status, names: (
        not status.canceled and all(result in (*_GOOD, "Failed") for result in _asked(status, names))
    ),
}
