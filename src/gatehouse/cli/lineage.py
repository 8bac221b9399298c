"""`gatehouse lineage`: where something comes from and what it feeds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gatehouse.cli import options

if TYPE_CHECKING:
    from rich.tree import Tree

    from gatehouse.pipelines.graph import Graph


@click.command(
    "lineage",
    help="Show what NAME comes from and what it feeds, from raw data to predictions.\n\n"
    "NAME is a table, a feature, the label, a version's number, `predictions` or `monitoring_metrics`.",
)
@click.argument("name")
@options.environment("prod")
@options.as_json
@click.pass_obj
def command(found: dict[str, Path | None], name: str, env: str, as_json: bool) -> None:
    """Two trees, upstream and downstream, with versions of tables and tags of model versions."""
    from rich.tree import Tree

    from gatehouse.cli.display import echo_json, stdout_console
    from gatehouse.cli.world import look
    from gatehouse.pipelines.graph import find
    from gatehouse.pipelines.standing import facts_of, graph_of

    with look(found, env) as context:
        graph = graph_of(context)
        node = find(graph, name)
        facts = facts_of(context, graph)
    if as_json:
        echo_json(
            {
                "name": node.name,
                "kind": node.kind,
                "facts": facts.get(node.name, {}),
                "upstream": _nested(graph, node.name, facts, up=True),
                "downstream": _nested(graph, node.name, facts, up=False),
            }
        )
        return
    console = stdout_console()
    for title, up in (("comes from", True), ("feeds", False)):
        tree = Tree(f"{_line(graph, node.name, facts)}\n[bold]{title}[/bold]")
        _grow(tree, graph, node.name, facts, up=up, shown=set())
        console.print(tree)


def _line(graph: Graph, name: str, facts: dict[str, dict[str, object]]) -> str:
    from rich.markup import escape

    known = {k: v for k, v in facts.get(name, {}).items() if not isinstance(v, dict)}
    details = ", ".join([graph.nodes[name].kind, *(f"{k} {v}" for k, v in known.items())])
    return f"[bold]{escape(name)}[/bold] [dim]{escape(details)}[/dim]"


def _grow(
    tree: Tree, graph: Graph, name: str, facts: dict[str, dict[str, object]], *, up: bool, shown: set[str]
) -> None:
    """What was shown with its own branches once is only named after that."""
    for other in graph.upstream(name) if up else graph.downstream(name):
        if other in shown:
            tree.add(f"{other} [dim](above)[/dim]")
            continue
        shown.add(other)
        _grow(tree.add(_line(graph, other, facts)), graph, other, facts, up=up, shown=shown)


def _nested(graph: Graph, name: str, facts: dict[str, dict[str, object]], *, up: bool) -> list[dict[str, object]]:
    return [
        {
            "name": other,
            "kind": graph.nodes[other].kind,
            "facts": facts.get(other, {}),
            "upstream" if up else "downstream": _nested(graph, other, facts, up=up),
        }
        for other in (graph.upstream(name) if up else graph.downstream(name))
    ]
