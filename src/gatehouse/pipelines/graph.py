"""What comes from what, from raw data to monitoring. Pure: built from declarations and tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from gatehouse.errors import UsageError
from gatehouse.project import Project

PREDICTIONS = "predictions"
METRICS = "monitoring_metrics"


@dataclass(frozen=True, slots=True)
class Node:
    """One thing with a name. `kind` is raw, table, features, feature, version, predictions or metrics."""

    kind: str
    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes by name, and for each the names of what it is made of and of what it feeds.

    Both go from table to table; a feature has its table above it and the versions that use it below.
    """

    nodes: Mapping[str, Node]
    made_of: Mapping[str, tuple[str, ...]]
    feeds: Mapping[str, tuple[str, ...]]

    def upstream(self, name: str) -> tuple[str, ...]:
        """Direct origins."""
        return self.made_of.get(name, ())

    def downstream(self, name: str) -> tuple[str, ...]:
        """What is made of it directly."""
        return self.feeds.get(name, ())


def lineage_graph(project: Project, versions: Iterable[tuple[str, str, bool]]) -> Graph:
    """The graph of a project.

    Args:
        project: Declares everything up to the model.
        versions: (name, note, whether it has scored) of each registered version.
    """
    nodes: dict[str, Node] = {}
    made_of: dict[str, tuple[str, ...]] = {}

    def add(kind: str, name: str, origins: Iterable[str] = (), note: str = "") -> None:
        nodes[name] = Node(kind, name, note)
        made_of[name] = tuple(dict.fromkeys(origins))

    for source in project.sources:
        raw = f"raw:{source.table.name}"
        add("raw", raw)
        add("table", source.table.name, [raw], source.table.description)
    tables = [d.table.name for d in project.feature_tables]
    for declaration in project.feature_tables:
        add("features", declaration.table.name, declaration.inputs, declaration.table.description)
    label, events = project.label.name, project.events.table
    add("label", label, [events], project.label.description)
    scoring = []
    for name, note, has_scored in versions:
        add("version", name, [events, *tables, label], note)
        scoring += [name] if has_scored else []
    add("predictions", PREDICTIONS, [*scoring, events])
    add("metrics", METRICS, [PREDICTIONS, label])
    feeds = {n: tuple(other for other, origins in made_of.items() if n in origins) for n in nodes}
    using = tuple(n for n, node in nodes.items() if node.kind == "version")
    brought = {f: d.table.name for d in project.feature_tables for f in d.features}
    for feature in project.features:
        add("feature", feature, [brought.get(feature, events)])
        feeds[feature] = using
    return Graph(nodes, made_of, feeds)


def find(graph: Graph, name: str) -> Node:
    """The node of that name, of a version by its number (`3`, `v3`), of a three-part name by its last part."""
    last = name.rpartition(".")[2]
    for candidate in (name, f"version {name.removeprefix('v')}", last):
        if candidate in graph.nodes:
            return graph.nodes[candidate]
    near = get_close_matches(last, graph.nodes, n=1)
    meant = f"Did you mean {near[0]!r}? There are: " if near else "Choose from: "
    raise UsageError(
        f"Nothing is called {name!r}.",
        why="Lineage starts from something that exists.",
        remedy=f"{meant}{', '.join(graph.nodes)}.",
    )
