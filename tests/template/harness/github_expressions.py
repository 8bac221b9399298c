"""Expressions of GitHub, evaluated as far as what is known goes: what is not known makes the result `UNKNOWN`.

Source: github/docs, content/actions/reference/workflows-and-actions/expressions.md. Runs evaluate theirs themselves;
this proves what can never happen, whatever the unknown turns out to be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.template.harness import NotUnderstood

_TOKENS = re.compile(
    r"\s*(?:(?P<number>-?[0-9]+(?:\.[0-9]+)?)|'(?P<text>(?:[^']|'')*)'|(?P<word>[A-Za-z_][A-Za-z0-9_-]*)"
    r"|(?P<sign>&&|\|\||==|!=|<=|>=|[!<>().,*\[\]]))"
)
_ROOTS = {"github", "inputs", "vars", "env", "needs", "steps", "job", "matrix", "secrets", "runner", "jobs", "strategy"}


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""May be anything."""


def could_be_true(condition: str | None, known: Mapping[str, Any]) -> bool:
    """Whether an `if:` can hold. `known` has contexts as far as they are known: `{"github": {"ref": ..}}`."""
    if condition is None:
        return True
    text = str(condition).strip()
    if text.startswith("${{") and text.endswith("}}"):
        text = text[3:-2]
    value = evaluate(text, known)
    return value is UNKNOWN or truth(value)


def evaluate(text: str, known: Mapping[str, Any]) -> Any:
    """The value, or UNKNOWN."""
    reader = _Reader(_tokenised(text), known)
    value = reader.either()
    if reader.position != len(reader.tokens):
        raise NotUnderstood(f"the expression {text!r}: more behind its end")
    return value


def truth(value: Any) -> bool:
    """false, 0, '' and null are false."""
    return bool(value) or isinstance(value, list | Mapping)


@dataclass
class _Reader:
    tokens: list[tuple[str, str]]
    known: Mapping[str, Any]
    position: int = 0

    def peek(self) -> str:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else ""

    def take(self, *expected: str) -> tuple[str, str]:
        if self.position >= len(self.tokens) or (expected and self.peek() not in expected):
            raise NotUnderstood(f"{self.peek() or 'the end'!r} in an expression, where {expected} was expected")
        self.position += 1
        return self.tokens[self.position - 1]

    def either(self) -> Any:
        value = self.both()
        while self.peek() == "||":
            self.take()
            other = self.both()
            if value is UNKNOWN:
                value = other if other is not UNKNOWN and truth(other) and other is True else UNKNOWN
            elif not truth(value):
                value = other
        return value

    def both(self) -> Any:
        value = self.compared()
        while self.peek() == "&&":
            self.take()
            other = self.compared()
            if value is UNKNOWN:
                value = False if other is not UNKNOWN and not truth(other) else UNKNOWN
            elif truth(value):
                value = other
        return value

    def compared(self) -> Any:
        value = self.single()
        while self.peek() in ("==", "!=", "<", ">", "<=", ">="):
            sign = self.take()[1]
            other = self.single()
            value = UNKNOWN if UNKNOWN in (value, other) else _compared(sign, value, other)
        return value

    def single(self) -> Any:
        if self.peek() == "!":
            self.take()
            value = self.single()
            return UNKNOWN if value is UNKNOWN else not truth(value)
        if self.peek() == "(":
            self.take()
            value = self.either()
            self.take(")")
            return value
        kind, word = self.take()
        if kind == "number":
            return float(word)
        if kind == "text":
            return word.replace("''", "'")
        if kind != "word":
            raise NotUnderstood(f"{word!r} in an expression")
        if word in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[word]
        return self.called(word) if self.peek() == "(" else self.followed(word)

    def called(self, name: str) -> Any:
        self.take("(")
        arguments: list[Any] = []
        while self.peek() != ")":
            if arguments:
                self.take(",")
            arguments.append(self.either())
        self.take(")")
        lowered = name.lower()
        if lowered == "always":
            return True
        if lowered in ("success", "failure", "cancelled", "hashfiles", "join", "tojson", "fromjson", "format"):
            return UNKNOWN
        if lowered in ("startswith", "endswith", "contains"):
            if UNKNOWN in arguments:
                return UNKNOWN
            whole, part = (_text(argument) for argument in arguments)
            if lowered == "contains":
                return part in whole
            return whole.startswith(part) if lowered == "startswith" else whole.endswith(part)
        raise NotUnderstood(f"the function {name}()")

    def followed(self, root: str) -> Any:
        if root not in _ROOTS:
            raise NotUnderstood(f"the context {root!r}")
        value: Any = self.known.get(root, UNKNOWN)
        while self.peek() in (".", "["):
            if self.take()[1] == ".":
                key: Any = self.take()[1]
            else:
                key = self.either()
                self.take("]")
            value = value.get(key, UNKNOWN) if isinstance(value, Mapping) and key is not UNKNOWN else UNKNOWN
        return value


def _tokenised(text: str) -> list[tuple[str, str]]:
    found, position, stripped = [], 0, text.rstrip()
    while position < len(stripped):
        match = _TOKENS.match(stripped, position)
        if match is None:
            raise NotUnderstood(f"the expression {text!r} from {stripped[position:]!r} on")
        found.append((str(match.lastgroup), match[str(match.lastgroup)]))
        position = match.end()
    return found


def _compared(sign: str, left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        first, second = left.lower(), right.lower()
        return {
            "==": first == second, "!=": first != second, "<": first < second, ">": first > second,
            "<=": first <= second, ">=": first >= second,
        }[sign]  # fmt: skip
    if type(left) is type(right) and sign in ("==", "!="):
        return (left == right) is (sign == "==")
    one, other = _number(left), _number(right)
    return {
        "==": one == other, "!=": one != other, "<": one < other, ">": one > other, "<=": one <= other,
        ">=": one >= other,
    }[sign]  # fmt: skip


def _number(value: Any) -> float:
    if value in (None, "", False):
        return 0.0
    if value is True:
        return 1.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower()
