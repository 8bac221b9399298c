"""How a CI is told something through its log and files, so that no text of people's is a command to it. Pure.

GitHub obeys a line that begins with `::` or has `##[` anywhere in it; Azure DevOps one that has `##vso[` or `##[`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from gatehouse.errors import UsageError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_GITHUB_START = re.compile(r"^(\s*):(?=:)")
_MARKS = re.compile(r"#(?=#(?:vso)?\[)", re.IGNORECASE)


def github_command(command: str, message: str, properties: Mapping[str, str | int | None]) -> str:
    """`::error file=a.py,line=3::message`, with the escapes of GitHub's own toolkit."""
    given = ",".join(f"{key}={_github_property(str(value))}" for key, value in properties.items() if value is not None)
    return f"::{command}{' ' if given else ''}{given}::{_github_data(message)}"


def github_value(name: str, value: str) -> str:
    """A line of the file GITHUB_OUTPUT. The delimiter is random, so that no value can end itself and set another."""
    delimiter = f"gatehouse_{secrets.token_hex(16)}"
    return f"{checked_name(name)}<<{delimiter}\n{value}\n{delimiter}\n"


def github_inert(line: str) -> str:
    """A line that the runner prints and does not obey."""
    return _MARKS.sub("# ", _GITHUB_START.sub(r"\1: ", line))


def azure_command(command: str, message: str, properties: Mapping[str, str | int | None]) -> str:
    """`##vso[task.logissue type=error;linenumber=3;]message`, with the escapes of Azure's own task library."""
    given = "".join(f"{key}={_azure_property(str(value))};" for key, value in properties.items() if value is not None)
    return f"##vso[{command}{' ' if given else ''}{given}]{_azure_data(message)}"


def azure_inert(line: str) -> str:
    """A line that the agent prints and does not obey."""
    return _MARKS.sub("# ", line)


def dotenv(name: str, value: str) -> str:
    """`NAME=value` on one line, as GitLab's dotenv reports and Jenkins' property files read it."""
    if re.search(r"[\r\n\x00]", value):
        raise UsageError(
            f"The output {name} has more than one line.",
            why="In a file of NAME=value lines its second line would be another variable.",
            remedy="Give it a value of one line.",
        )
    return f"{checked_name(name)}={value}\n"


def checked_name(name: str) -> str:
    """A name for an output that no CI reads anything else into."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for an output.",
            why="Letters, digits and _ mean the same in every CI; other characters end the name.",
            remedy="Choose a name such as `version`.",
        )
    return name


def _github_data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


def _azure_data(text: str) -> str:
    return text.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _azure_property(text: str) -> str:
    return _azure_data(text).replace("]", "%5D").replace(";", "%3B")
