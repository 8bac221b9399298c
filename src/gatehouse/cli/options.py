"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Function = TypeVar("_Function", bound=Callable[..., Any])


def environment(default: str | None = None) -> Callable[[_Function], _Function]:
    """--env, or GATEHOUSE_ENV."""
    given: dict[str, Any] = {} if default is None else {"default": default}  # click takes a None for a value given
    return click.option(
        "--env",
        "-e",
        "env",
        envvar="GATEHOUSE_ENV",
        required=default is None,
        show_default=default is not None,
        help="Environment of conf/environments.yml (or GATEHOUSE_ENV).",
        **given,
    )


def as_of(function: _Function) -> _Function:
    """--as-of, or GATEHOUSE_AS_OF."""
    return click.option(
        "--as-of",
        envvar="GATEHOUSE_AS_OF",
        metavar="DATE",
        help="Nothing later than this moment is read: 2013-04-01, or 2013-04-01T06:00 (UTC). "
        "[default: the environment's clock]",
    )(function)


def as_json(function: _Function) -> _Function:
    """--json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")(function)
