"""docs/commands.md, written from the commands themselves: `python -m gatehouse.cli.reference > docs/commands.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from gatehouse import errors
from gatehouse.cli import group

_HEAD = """# Commands

Written from the commands themselves; `gatehouse COMMAND --help` says the same. To write it anew after a change:

```sh
uv run python -m gatehouse.cli.reference > docs/commands.md
```
"""
_TAIL = """## Exit codes

0 is success, and so is a version that was not promoted. Errors say what happened, why it matters and what comes next.

```text
{tree}
```
"""


def reference() -> str:
    """The page: every command with its arguments and options, then the exit codes."""
    tree = (errors.__doc__ or "").partition("\n\n")[2].strip()
    commands = "\n".join(_section(path, command) for path, command in _walk("gatehouse", group))
    return f"{_HEAD}\n{commands}\n{_TAIL.format(tree=tree)}"


def _walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _walk(f"{path} {name}", found)


def _section(path: str, command: click.Command) -> str:
    arguments = [p.make_metavar(click.Context(command)) for p in command.params if isinstance(p, click.Argument)]
    wanted = " ".join([path, *arguments])
    if isinstance(command, click.Group):
        wanted += " COMMAND"
    options = [o for o in command.params if isinstance(o, click.Option)]
    lines = [f"## {wanted}", "", _prose(command.help or "")]
    if options:
        lines += ["", "| option | |", "|---|---|", *map(_row, options)]
    return "\n".join(lines) + "\n"


def _prose(text: str) -> str:
    """Paragraphs; one that Click must not wrap (it begins with a backspace) is a block."""
    paragraphs = text.strip().split("\n\n")
    return "\n\n".join(f"```text\n{p[2:]}\n```" if p.startswith("\b\n") else p for p in paragraphs)


def _row(option: click.Option) -> str:
    value = "" if option.is_flag else f" {option.make_metavar(click.Context(click.Command(None)))}"
    names = ", ".join(f"`{name}{value}`" for name in option.opts)
    notes = [option.help or ""]
    if option.required:
        notes.append("Required.")
    if option.show_default and not option.is_flag:
        notes.append(f"[default: {option.default}]")
    if isinstance(option.envvar, str) and option.envvar not in notes[0]:
        notes.append(f"(or `{option.envvar}`)")
    return f"| {names} | {' '.join(notes).replace('|', chr(92) + '|')} |"


if __name__ == "__main__":
    sys.stdout.write(reference())
