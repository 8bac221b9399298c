"""Hostile text in logs, outputs and properties: it is shown, and never obeyed."""

from __future__ import annotations

import re

import pytest

from gatehouse.ci.commands import (
    azure_command,
    azure_inert,
    dotenv,
    github_command,
    github_inert,
    github_value,
)
from gatehouse.errors import UsageError

HOSTILE = "done\r\n::set-env name=PATH::/tmp\n##vso[task.setvariable variable=x]y\n50% of a,b:c;d]"


def test_a_message_to_github_is_one_line_whatever_it_holds() -> None:
    assert github_command("error", HOSTILE, {"file": "a:b,c%\n.py", "line": 3, "title": None}) == (
        "::error file=a%3Ab%2Cc%25%0A.py,line=3::done%0D%0A::set-env name=PATH::/tmp%0A"
        "##vso[task.setvariable variable=x]y%0A50%25 of a,b:c;d]"
    )


def test_a_message_to_azure_is_one_line_whatever_it_holds() -> None:
    assert azure_command("task.logissue", HOSTILE, {"type": "error", "sourcepath": "a;b]c\n.py"}) == (
        "##vso[task.logissue type=error;sourcepath=a%3Bb%5Dc%0A.py;]done%0D%0A::set-env name=PATH::/tmp%0A"
        "##vso[task.setvariable variable=x]y%0A50%AZP25 of a,b:c;d]"
    )


def test_an_output_of_several_lines_cannot_set_another_output() -> None:
    value = "7\nEOF\nverdict<<EOF\npromote\nEOF"

    first, second = github_value("version", value), github_value("version", value)

    delimiter = re.match(r"version<<(\S+)\n", first)
    assert delimiter is not None
    assert first == f"version<<{delimiter[1]}\n{value}\n{delimiter[1]}\n"
    assert delimiter[1] not in value
    assert first != second, "whoever knows the delimiter of one output must not know that of the next"


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a<<EOF", "a\nb", "9lives", "vérsion", "a;b", "a]"])
def test_a_name_that_would_end_itself_is_no_name(name: str) -> None:
    with pytest.raises(UsageError, match="is no name for an output"):
        github_value(name, "7")
    with pytest.raises(UsageError, match="is no name for an output"):
        dotenv(name, "7")


@pytest.mark.parametrize("value", ["a\nb=c", "a\rb=c", "a\x00"])
def test_a_file_of_variables_takes_no_second_line(value: str) -> None:
    with pytest.raises(UsageError, match="has more than one line"):
        dotenv("version", value)


def test_a_file_of_variables_takes_one_line() -> None:
    assert dotenv("version", "a=b c") == "version=a=b c\n"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("::error::x", ": :error::x"),
        ("  ::add-mask::x", "  : :add-mask::x"),
        ("a ##[set-env name=x;]y", "a # #[set-env name=x;]y"),
        ("see a::b and :single", "see a::b and :single"),
        ("### Heading", "### Heading"),
    ],
)
def test_a_line_in_githubs_log_is_no_command(line: str, shown: str) -> None:
    assert github_inert(line) == shown


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("a ##vso[task.complete result=Succeeded;]", "a # #vso[task.complete result=Succeeded;]"),
        ("##VSO[x]", "# #VSO[x]"),
        ("###vso[x]", "## #vso[x]"),
        ("##[error]x", "# #[error]x"),
        ("## Heading [a]", "## Heading [a]"),
    ],
)
def test_a_line_in_azures_log_is_no_command(line: str, shown: str) -> None:
    assert azure_inert(line) == shown
