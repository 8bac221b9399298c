from __future__ import annotations

import inspect
import re

from gatehouse import errors
from gatehouse.errors import Busy, GatehouseError


def tree(root: type[GatehouseError]) -> list[type[GatehouseError]]:
    return [root, *(below for child in root.__subclasses__() for below in tree(child))]


def drawn(error: type[GatehouseError], margin: str = "") -> list[tuple[str, str]]:
    """The classes below `error` as text, each with the exit code that it does not inherit."""
    lines = []
    for child in error.__subclasses__():
        last = child is error.__subclasses__()[-1]
        lines.append((f"{margin}{'`- ' if last else '|- '}{child.__name__}", str(vars(child).get("exit_code", ""))))
        lines += drawn(child, margin + ("   " if last else "|  "))
    return lines


def test_no_two_classes_choose_the_same_exit_code() -> None:
    chosen = [vars(error)["exit_code"] for error in tree(GatehouseError) if "exit_code" in vars(error)]
    assert len(set(chosen)) == len(chosen)
    assert all(0 < code < 256 for code in chosen)


def test_the_tree_at_the_top_of_the_module_is_the_tree_of_the_classes() -> None:
    picture = inspect.cleandoc(errors.__doc__ or "")
    found = re.findall(r"^([|` -]*[A-Z]\w+)(?: +(\d+)\b)?", picture.split("\n\n", 1)[1], re.MULTILINE)
    assert found == [("GatehouseError", "1"), *drawn(GatehouseError)]


def test_an_error_says_what_happened_why_it_matters_and_what_to_do_next() -> None:
    error = Busy("Another run holds prod.flights.", why="Two writers would lose rows.", remedy="Wait for it to end.")
    assert str(error) == (
        "Another run holds prod.flights.\nWhy it matters: Two writers would lose rows.\nNext: Wait for it to end."
    )
    assert str(GatehouseError("Something went wrong.")) == "Something went wrong."
