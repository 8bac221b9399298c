"""`gatehouse rename`: this repository as another project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.errors import StateError, UsageError

if TYPE_CHECKING:
    from gatehouse.fork.files import Files
    from gatehouse.fork.writing import Changes


@click.command(
    "rename",
    help="Turn this repository into another project: package, distribution, conf/, workflows, pages. The machinery "
    "stays `gatehouse`.\n\n"
    "Left behind: what proves the template itself (tests/template/, bench/) and the files of CI providers that are "
    "not chosen. With --add, a second use case beside the first instead.",
)
@click.argument("name", required=False)
@click.option("--add", metavar="NAME", help="Put a second use case of that name into this repository.")
@click.option("--ci", default="github,azure", show_default=True, help="CI providers whose files stay, with commas.")
@click.option("--environments", metavar="ENV=CATALOG,...", default="", help="Catalogs: prod=ml_prod,dev=ml_dev")
@click.option("--staging-branch", default="main", show_default=True, help="The branch that staging tests and deploys.")
@click.option("--remove-example", is_flag=True, help="Begin with a minimal use case instead of the example.")
@click.option("--keep-proof", is_flag=True, help="Keep tests/template/ and bench/.")
@click.option("--dry-run", is_flag=True, help="List what would change, and change nothing.")
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    add: str | None,
    ci: str,
    environments: str,
    staging_branch: str,
    remove_example: bool,
    keep_proof: bool,
    dry_run: bool,
) -> None:
    """Decide everything in memory, then write file by file."""
    from gatehouse.fork.files import read, top_of_checkout, tracked
    from gatehouse.fork.names import Name
    from gatehouse.fork.project import Choices, renamed
    from gatehouse.fork.second import with_second
    from gatehouse.fork.writing import changes, write

    if (name is None) == (add is None):
        raise UsageError(
            "Name either the project or, with --add, a second use case.",
            remedy="gatehouse rename tram_delays    (or: gatehouse rename --add tram_delays)",
        )
    chosen = [o for o in ("ci", "environments", "staging_branch", "remove_example", "keep_proof") if _given(ctx, o)]
    if add is not None and chosen:
        raise UsageError(
            f"--{chosen[0].replace('_', '-')} is not for --add.",
            why="A second use case has what the repository has.",
            remedy=f"gatehouse rename --add {add}",
        )
    root = top_of_checkout(Path.cwd())
    if not dry_run:
        _refuse_uncommitted(root)
    before = read(root, tracked(root))
    _refuse_installed(before, name or add or "")
    if add is not None:
        after: Files = with_second(before, add)
    else:
        after = renamed(
            before,
            Choices(
                name=name or "",
                providers=tuple(ci.replace(",", " ").split()),
                catalogs=_pairs(environments),
                staging_branch=staging_branch,
                remove_example=remove_example,
                keep_proof=keep_proof,
            ),
        )
    found = changes(before, after, Name(name or add or ""))
    if not dry_run:
        write(root, before, after)
    _tell(found, dry_run=dry_run, add=add)


def _given(ctx: click.Context, option: str) -> bool:
    return ctx.get_parameter_source(option) not in (None, click.core.ParameterSource.DEFAULT)


def _pairs(text: str) -> dict[str, str]:
    """`prod=ml_prod,dev=ml_dev` as a mapping."""
    found = {}
    for pair in text.replace(",", " ").split():
        environment, equals, catalog = pair.partition("=")
        if not equals or environment in found:
            raise UsageError(
                f"--environments has {pair!r}, where each environment stands once as ENV=CATALOG.",
                remedy="gatehouse rename NAME --environments dev=ml_dev,staging=ml_staging,prod=ml_prod",
            )
        found[environment] = catalog
    return found


def _refuse_uncommitted(root: Path) -> None:
    from gatehouse.fork.files import uncommitted

    lines = uncommitted(root)
    if lines:
        raise StateError(
            f"{len(lines)} files differ from the last commit, {lines[0][3:]} for one.",
            why="Many files change at once, and `git diff` shall show that and nothing else.",
            remedy="git stash --include-untracked, or commit; --dry-run works without.",
        )


def _refuse_installed(files: Files, name: str) -> None:
    """uv.lock names distributions; a module may be called otherwise, `yaml` of PyYAML."""
    from importlib.util import find_spec

    from gatehouse.fork.names import parse_name

    own = any(path.startswith(f"src/{name}/") for path in files)
    if name.isidentifier() and not own and find_spec(name) is not None:
        parse_name(name, taken=frozenset({name}))


def _tell(found: Changes, *, dry_run: bool, add: str | None) -> None:
    if dry_run:
        for line in found.lines():
            click.echo(line)
        click.echo(f"Would be: {found}. Nothing was changed.")
        return
    click.echo(f"{found}.")
    click.echo("Next: uv sync && make format lint test, then look at `git status` and commit.")
    if add is None:
        click.echo("Then write README.md and docs/; docs/bring-your-own-table.md leads to a table of yours.")
