"""What comes from what, from raw data to monitoring. Pure: built from declarations and tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    """Nodes by name, and for each the names of what it is made of."""

    nodes: Mapping[str, Node]
    made_of: Mapping[str, tuple[str, ...]]

    def upstream(self, name: str) -> tuple[str, ...]:
        """Direct origins."""
        return self.made_of.get(name, ())

    def downstream(self, name: str) -> tuple[str, ...]:
        """What is made of it directly."""
        return tuple(n for n, origins in self.made_of.items() if name in origins)


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
    brought: dict[str, str] = {}
    for declaration in project.feature_tables:
        add("features", declaration.table.name, declaration.inputs, declaration.table.description)
        brought |= dict.fromkeys(declaration.features, declaration.table.name)
    for feature in project.features:
        add("feature", feature, [brought.get(feature, project.events.table)])
    label = project.label.name
    add("label", label, [project.events.table], project.label.description)
    scoring = []
    for name, note, has_scored in versions:
        add("version", name, [*project.features, label], note)
        scoring += [name] if has_scored else []
    add("predictions", PREDICTIONS, [*scoring, project.events.table])
    add("metrics", METRICS, [PREDICTIONS, label])
    return Graph(nodes, made_of)


def find(graph: Graph, name: str) -> Node:
    """The node of that name, of a version by its number (`3`, `v3`), of a three-part name by its last part."""
    last = name.rpartition(".")[2]
    for candidate in (name, f"version {name.removeprefix('v')}", last):
        if candidate in graph.nodes:
            return graph.nodes[candidate]
    raise UsageError(
        f"Nothing is called {name!r}.",
        why="Lineage starts from something that exists.",
        remedy=f"Choose from: {', '.join(graph.nodes)}.",
    )
