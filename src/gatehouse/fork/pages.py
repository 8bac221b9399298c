"""What a project's pages say: without what is left behind, and with a first page and a changelog of their own."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection

from gatehouse.fork.files import Files
from gatehouse.fork.names import Name

_LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^()\s]+)\)")
_BLOCK = re.compile(r"^(```\w*\n)(.*?)(^```$)", re.MULTILINE | re.DOTALL)


def without_passages(text: str, about: str) -> str:
    """Without what stands between `<!-- about -->` and `<!-- /about -->`, lines that become empty included."""
    passage = rf"<!-- {about} -->.*?<!-- /{about} -->"
    text = re.sub(rf"^{passage}\n+", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(rf"[ \n]?{passage}", "", text, flags=re.DOTALL)


def without_traces(page: str, text: str, gone: Callable[[str], bool]) -> str:
    """Links to files that are gone become plain text; lines of a block that begin with such a path are left out."""

    def link(found: re.Match[str]) -> str:
        target = found[3].partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            return found[0]
        leads_to = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        return ("" if found[1] else found[2]) if gone(leads_to) else found[0]

    def block(found: re.Match[str]) -> str:
        kept = [line for line in found[2].splitlines(keepends=True) if not gone(_first_path(line))]
        return found[1] + "".join(kept) + found[3]

    return _LINK.sub(link, _BLOCK.sub(block, text))


def without_rows(text: str, names: Collection[str]) -> str:
    """A page without the rows of its tables that begin with one of these names, as code."""
    return re.sub(rf"^\| `(?:{'|'.join(map(re.escape, names))})` \|.*\n", "", text, flags=re.MULTILINE)


def _first_path(line: str) -> str:
    """`bench` of the line `bench/     what was measured`; empty if the line begins with something else."""
    found = re.match(r"([\w.-]+(?:/[\w.-]+)*)/\s", line)
    return found[1] if found else ""


def first_page(name: Name, files: Files) -> str:
    """README.md of the project: what it is, how to see it run, which pages there are."""
    pages = "\n".join(
        f"- [{_heading(files[path].text or '')}]({path})"
        for path in sorted(files)
        if re.fullmatch(r"docs/[\w-]+\.md", path)
    )
    return f"""# {name.title}

What it predicts, for whom, and what they do with it: write it here.

```sh
make demo    # needs Python 3.11 to 3.13 and make: no cloud account, no JVM, no Docker
make test
```

Without make (Windows): `pip install uv`, then `uv run gatehouse demo` and `uv run pytest -m "not slow"`.

- `src/{name.package}/` is the use case: its tables, features, label and estimator.
- `conf/` says where it runs, when a model is retrained, and what a model must show to get into production.
- `src/gatehouse/` is the machinery, taken over from the template Gatehouse. `gatehouse --help` lists its commands.

## Pages

{pages}
"""


def first_changelog(name: Name) -> str:
    """CHANGELOG.md of the project: the template's history is not its own."""
    return f"""# Changelog

## [Unreleased]

- {name.title}, made from the template Gatehouse.
"""


def _heading(text: str) -> str:
    return next((line[2:].strip() for line in text.splitlines() if line.startswith("# ")), "Untitled")


def gone_from(before: Collection[str], after: Collection[str]) -> Callable[[str], bool]:
    """Tells of a path, file or folder, whether it was there before and is not any more."""
    had, has = (_with_folders(before), _with_folders(after))
    return lambda path: path in had and path not in has


def _with_folders(paths: Collection[str]) -> set[str]:
    return {"/".join(parts[:n]) for path in paths for parts in [path.split("/")] for n in range(1, len(parts) + 1)}
