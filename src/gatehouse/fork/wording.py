"""Replaces one name by another, in whole words only, and leaves imports in the order that ruff wants."""

from __future__ import annotations

import ast
import re

from gatehouse.fork.names import Name

_TITLES_IN = (".yml", ".yaml", ".json", ".toml")


def renamed_path(path: str, old: Name, new: Name) -> str:
    """`src/flight_delays/project.py` to `src/tram_delays/project.py`."""
    return "/".join(_replaced(part, old, new) for part in path.split("/"))


def renamed_text(path: str, text: str, old: Name, new: Name) -> str:
    """The text of a file. A title is replaced in declarations only: in prose the same words may mean the subject."""
    changed = _replaced(_with_room(text, old, new) if path.endswith(".md") else text, old, new)
    if path.endswith(_TITLES_IN):
        changed = re.sub(rf"\b{old.title}\b", new.title, changed)
    if path.endswith(".py") and changed != text:
        changed = with_sorted_imports(changed, new.package)
    return changed


def _with_room(text: str, old: Name, new: Name) -> str:
    """Columns of a block stay where they are: `src/flight_delays/    the use case`."""
    longer = len(new.package) - len(old.package)

    def line(found: re.Match[str]) -> str:
        return found[1] + " " * max(1, len(found[2]) - longer)

    return re.sub(rf"^(\s*\S*{old.package}\S*)(  +)", line, text, flags=re.MULTILINE)


def _replaced(text: str, old: Name, new: Name) -> str:
    text = re.sub(rf"(?<![A-Za-z0-9_]){old.package}(?![A-Za-z0-9_])", new.package, text)
    return re.sub(rf"(?<![A-Za-z0-9_]){old.distribution}(?![A-Za-z0-9_])", new.distribution, text)


def with_sorted_imports(source: str, package: str) -> str:
    """Each block of imports that names `package` by module name, `import x` before `from x import y`, as ruff sorts."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return source  # not for us to judge
    lines = source.splitlines(keepends=True)
    for block in _import_blocks(tree):
        if not any(_module(node).split(".")[0] == package for node in block):
            continue
        pieces = ["".join(lines[node.lineno - 1 : node.end_lineno]) for node in block]
        order = sorted(range(len(block)), key=lambda i: _rank(block[i]))
        first, last = block[0].lineno - 1, block[-1].end_lineno or 0
        lines[first:last] = [piece for i in order for piece in pieces[i].splitlines(keepends=True)]
    return "".join(lines)


Import = ast.Import | ast.ImportFrom


def _import_blocks(tree: ast.Module) -> list[list[Import]]:
    """Imports on lines that follow one another: a blank line or a comment begins another block."""
    imports = sorted(
        (node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)), key=lambda node: node.lineno
    )
    blocks: list[list[Import]] = []
    for node in imports:
        before = blocks[-1][-1] if blocks else None
        if before and node.lineno == (before.end_lineno or 0) + 1 and node.col_offset == before.col_offset:
            blocks[-1].append(node)
        else:
            blocks.append([node])
    return blocks


def _module(node: Import) -> str:
    return node.names[0].name if isinstance(node, ast.Import) else node.module or ""


def _rank(node: Import) -> tuple[bool, str]:
    return isinstance(node, ast.ImportFrom), _module(node)
