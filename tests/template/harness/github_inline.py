"""A reusable workflow as jobs of the workflow that calls it. Pure.

The jobs keep their conditions and results; a job in the caller's name comes behind them, with their result and outputs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.template.harness import NotUnderstood

BELOW = "__"
"""Between the name of the job that calls and that of the job it calls."""
_EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)
_JOINED = re.compile(r"join\(needs\.\*\.result, ' '\)")
_TYPES: dict[str, Any] = {"boolean": bool, "number": (int, float), "string": str}


def call_inputs(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """What stands for `inputs.x` in an expression; NotUnderstood for what GitHub refuses."""
    unknown = set(given) - set(declared)
    if unknown:
        raise NotUnderstood(f"a called workflow does not declare {sorted(unknown)}")
    found = {}
    for name, about in declared.items():
        if about.get("required") and name not in given:
            raise NotUnderstood(f"a called workflow requires {name}")
        value = given.get(name, about.get("default", {"boolean": False, "number": 0}.get(about["type"], "")))
        if isinstance(value, str) and "${{" in value:
            if not _EXPRESSION.fullmatch(value.strip()):
                raise NotUnderstood(f"the input {name}: {value!r}")
            found[name] = f"({value.strip()[3:-2].strip()})"
        elif not isinstance(value, _TYPES[about["type"]]):
            raise NotUnderstood(f"the input {name} is no {about['type']}: {value!r}")
        else:
            found[name] = str(value).lower() if isinstance(value, bool) else _quoted(value)
    return found


def called_job(job: dict[str, Any], name: str, caller: str, inputs: Mapping[str, str]) -> dict[str, Any]:
    """A job with its inputs put in, and under its new neighbours' names; without a caller only its own name is."""

    def expression(text: str) -> str:
        if caller:
            text = re.sub(r"\binputs\.([\w-]+)", lambda found: inputs[found[1]], text)
            text = re.sub(r"\bneeds\.([\w-]+)", rf"needs.{caller}{BELOW}\1", text)
        return re.sub(r"\bgithub\.job\b", f"'{name}'", text)

    def replaced(value: Any, key: str = "") -> Any:
        if isinstance(value, str):
            whole = key == "if" and "${{" not in value
            return expression(value) if whole else _EXPRESSION.sub(lambda found: expression(found[0]), value)
        if isinstance(value, dict):
            return {inner: replaced(one, inner) for inner, one in value.items()}
        return [replaced(one) for one in value] if isinstance(value, list) else value

    found: dict[str, Any] = replaced(job)
    return found


def joined(conditions: list[Any]) -> str:
    """All of them hold."""
    plain = [str(text).strip() for text in conditions]
    return " && ".join(f"({text[3:-2].strip() if text.startswith('${{') else text})" for text in plain)


def in_order(value: Any, needs: list[str]) -> Any:
    """`join(needs.*.result, ' ')` in the order of `needs`, as on GitHub; in act any order may come."""
    if isinstance(value, str):
        fields = " ".join(f"{{{number}}}" for number in range(len(needs)))
        results = ", ".join(f"needs.{need}.result" for need in needs)
        return _JOINED.sub(f"format('{fields}', {results})" if needs else "''", value)
    if isinstance(value, dict):
        return {key: in_order(one, needs) for key, one in value.items()}
    return [in_order(one, needs) for one in value] if isinstance(value, list) else value


def answering_job(jobs: list[str], outputs: Mapping[str, Any], caller: str) -> dict[str, Any]:
    """Skipped if all of them were, a failure if one of them was."""
    results = "join(needs.*.result, ' ')"
    renamed = rf"needs.{caller}{BELOW}\1"
    return {
        "name": caller,
        "needs": jobs,
        "if": f"always() && (contains({results}, 'success') || contains({results}, 'failure'))",
        "runs-on": "ubuntu-24.04",
        "outputs": {name: re.sub(r"\bjobs\.([\w-]+)", renamed, about["value"]) for name, about in outputs.items()},
        "steps": [
            {
                "name": "What was called",
                "shell": "bash",
                "env": {"RESULTS": f"${{{{ {results} }}}}"},
                "run": '[[ "$RESULTS" != *failure* && "$RESULTS" != *cancelled* ]]',
            }
        ],
    }


def behind_calls(condition: Any, needs: list[str]) -> str:
    """A condition that asks only what a job needs itself: one skipped inside a called workflow holds nobody back.

    Without it `success()` looks at all jobs before, also at those that were put in for a called workflow.
    """
    text = "" if condition is None else str(condition).strip()
    text = text[3:-2].strip() if text.startswith("${{") else text
    if re.search(r"\b(?:always|success|failure|cancelled)\(\)", text):
        return text
    good = " && ".join(f"needs.{need}.result == 'success'" for need in needs)
    return f"!cancelled() && {good}" + (f" && ({text})" if text else "")


def _quoted(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
