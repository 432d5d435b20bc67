"""Round trips through every format, on graphs that are not symmetric."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from ctvae.graph import CausalGraph
from tests.graph.oracles import dags

MIXED = CausalGraph.from_edges(
    [("c", "a"), ("a", "d")], undirected=[("d", "b")], nodes=["a", "b", "c", "d", "alone"]
)
NO_MARK = ("numpy", "hidden")  # a matrix of zeros and ones has no bidirected mark
HIDDEN = CausalGraph.from_edges([("c", "a")], bidirected=[("a", "b"), ("c", "a")])

ROUND_TRIPS = {
    "numpy": lambda g: CausalGraph.from_numpy(g.to_numpy(), g.nodes),
    "networkx": lambda g: CausalGraph.from_networkx(g.to_networkx()),
    "json": lambda g: CausalGraph.from_json(g.to_json()),
    "causallearn": lambda g: CausalGraph.from_causallearn(g.to_causallearn()),
    "endpoints": lambda g: CausalGraph.from_causallearn(g.to_causallearn().graph, g.nodes),
}


GRAPHS = {"mixed": MIXED, "hidden": HIDDEN}
PAIRS = [(trip, name) for trip in ROUND_TRIPS for name in GRAPHS if (trip, name) != NO_MARK]


@pytest.mark.parametrize(("trip", "name"), PAIRS)
def test_round_trip(trip, name):
    graph = GRAPHS[name]
    back = ROUND_TRIPS[trip](graph)
    assert back == graph
    assert back.nodes == graph.nodes


@pytest.mark.parametrize("trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_round_trip_of_random_dags(trip):
    @settings(max_examples=25, deadline=None)
    @given(graph=dags())
    def law(graph):
        assert trip(graph) == graph
        assert trip(graph).nodes == graph.nodes

    law()


def test_adjacency_convention():
    matrix = CausalGraph.from_edges([("a", "b")], nodes=["a", "b", "c"]).to_numpy()
    assert matrix.dtype == np.int8
    assert matrix.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_causallearn_convention():
    """i -> j is a tail (-1) at [i, j] and an arrow head (1) at [j, i]."""
    general = CausalGraph.from_edges([("a", "b")]).to_causallearn()
    assert general.graph.tolist() == [[0, -1], [1, 0]]
    assert general.is_parent_of(*general.nodes)
    assert general.is_ancestor_of(*general.nodes)
    assert not general.is_parent_of(*general.nodes[::-1])


def test_plain_networkx_graphs():
    assert CausalGraph.from_networkx(nx.Graph([(1, 2)])).undirected == {("1", "2")}
    assert CausalGraph.from_networkx(nx.DiGraph([("b", "a")])).directed == {("b", "a")}
    both = nx.DiGraph([("b", "a"), ("a", "b")])
    assert CausalGraph.from_networkx(both).undirected == {("a", "b")}


def test_dot():
    dot = CausalGraph.from_edges([('say "hi"', "b")], undirected=[("b", "c")]).to_dot()
    assert dot.splitlines() == [
        "digraph {",
        '  "say \\"hi\\"";',
        '  "b";',
        '  "c";',
        '  "say \\"hi\\"" -> "b";',
        '  "b" -> "c" [dir=none];',
        "}",
    ]
