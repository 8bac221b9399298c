from __future__ import annotations

import pytest

from gatehouse.errors import UsageError
from gatehouse.pipelines.graph import Graph, Node, find, lineage_graph
from gatehouse.project import Project


@pytest.fixture
def graph(project: Project) -> Graph:
    """Version 1 has predicted, version 2 not yet."""
    return lineage_graph(project, [("version 2", "", False), ("version 1", "champion", True)])


def test_each_thing_is_made_of_what_stands_before_it(graph: Graph) -> None:
    assert {name: graph.upstream(name) for name in graph.nodes} == {
        "raw:parcels": (),
        "parcels": ("raw:parcels",),
        "depot_speed": ("parcels",),
        "days_taken": ("parcels",),
        "version 2": ("parcels", "depot_speed", "days_taken"),
        "version 1": ("parcels", "depot_speed", "days_taken"),
        "predictions": ("version 1", "parcels"),
        "monitoring_metrics": ("predictions", "days_taken"),
        "weight": ("parcels",),
        "is_heavy": ("parcels",),
        "depot_days": ("depot_speed",),
    }


def test_each_thing_feeds_what_is_made_of_it(graph: Graph) -> None:
    assert {name: graph.downstream(name) for name in graph.nodes} == {
        "raw:parcels": ("parcels",),
        "parcels": ("depot_speed", "days_taken", "version 2", "version 1", "predictions"),
        "depot_speed": ("version 2", "version 1"),
        "days_taken": ("version 2", "version 1", "monitoring_metrics"),
        "version 2": (),
        "version 1": ("predictions",),
        "predictions": ("monitoring_metrics",),
        "monitoring_metrics": (),
        "weight": ("version 2", "version 1"),
        "is_heavy": ("version 2", "version 1"),
        "depot_days": ("version 2", "version 1"),
    }


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (
            "depot_speed",
            Node(
                "features", "depot_speed", "How fast a depot's parcels arrived so far, one row per depot and arrival."
            ),
        ),
        ("prod.post.parcels", Node("table", "parcels", "One row per parcel, known when it is sent.")),
        ("raw:parcels", Node("raw", "raw:parcels")),
        ("is_heavy", Node("feature", "is_heavy")),
        ("days_taken", Node("label", "days_taken", "Days.")),
        ("1", Node("version", "version 1", "champion")),
        ("v1", Node("version", "version 1", "champion")),
        ("version 2", Node("version", "version 2")),
        ("predictions", Node("predictions", "predictions")),
    ],
)
def test_a_thing_is_found_by_the_names_people_use(graph: Graph, asked: str, found: Node) -> None:
    assert find(graph, asked) == found


@pytest.mark.parametrize("asked", ["letter", "v3", "3", ""])
def test_an_unknown_name_is_answered_with_those_there_are(graph: Graph, asked: str) -> None:
    with pytest.raises(UsageError, match="raw:parcels, parcels, depot_speed") as error:
        find(graph, asked)

    assert error.value.what == f"Nothing is called {asked!r}."
    assert "Did you mean" not in error.value.remedy


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(graph: Graph) -> None:
    with pytest.raises(UsageError, match=r"Did you mean .depot_speed.\?"):
        find(graph, "prod.main.depto_speed")
