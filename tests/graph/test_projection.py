"""Latent projections: definitions by paths, and the separations they must keep."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import GraphError
from ctvae.graph.causal_graph import CausalGraph, GraphKind
from ctvae.graph.projection import latent_projection


def dag(count: int, present: list[bool]) -> CausalGraph:
    names = [f"n{k}" for k in range(count)]
    edges = [e for e, there in zip(itertools.combinations(names, 2), present, strict=True) if there]
    return CausalGraph.from_edges(edges, nodes=names)


@st.composite
def dags_with_hidden(draw: st.DrawFn) -> tuple[CausalGraph, set[str]]:
    count = draw(st.integers(2, 7))
    size = count * (count - 1) // 2
    graph = dag(count, draw(st.lists(st.booleans(), min_size=size, max_size=size)))
    return graph, draw(st.sets(st.sampled_from(graph.nodes), max_size=count - 1))


def canonical(graph: CausalGraph) -> nx.DiGraph:
    """The DAG with one new hidden node for each bidirected edge."""
    wide = nx.DiGraph(graph.directed)
    wide.add_nodes_from(graph.nodes)
    for a, b in graph.bidirected:
        wide.add_edges_from([((a, b), a), ((a, b), b)])
    return wide


@given(dags_with_hidden())
@settings(max_examples=60, deadline=None)
def test_the_separations_of_the_observed_nodes_stay(case):
    """m-separation in the projection, by its canonical DAG, is d-separation in the whole graph."""
    graph, hidden = case
    found = canonical(latent_projection(graph, hidden))
    whole = canonical(graph)
    observed = [node for node in graph.nodes if node not in hidden]
    for a, b in itertools.combinations(observed, 2):
        others = [node for node in observed if node not in {a, b}]
        for size in range(len(others) + 1):
            for given_nodes in itertools.combinations(others, size):
                separate = nx.is_d_separator(whole, {a}, {b}, set(given_nodes))
                assert nx.is_d_separator(found, {a}, {b}, set(given_nodes)) == separate


@given(dags_with_hidden())
@settings(max_examples=60, deadline=None)
def test_edges_are_paths_through_hidden_nodes(case):
    graph, hidden = case
    projected = latent_projection(graph, hidden)
    whole = canonical(graph)
    for a, b in itertools.permutations(projected.nodes, 2):
        among = whole.subgraph(hidden | {a, b})
        assert ((a, b) in projected.directed) == nx.has_path(among, a, b)


@given(dags_with_hidden(), st.data())
@settings(max_examples=60, deadline=None)
def test_hiding_one_after_the_other_is_hiding_them_together(case, data):
    graph, hidden = case
    first = data.draw(st.sets(st.sampled_from(sorted(hidden)))) if hidden else set()
    step = latent_projection(latent_projection(graph, first), hidden - first)
    assert step == latent_projection(graph, hidden)


def test_nothing_hidden_changes_nothing_and_no_common_cause_leaves_a_dag():
    graph = CausalGraph.from_edges([("a", "h"), ("h", "b")])
    assert latent_projection(graph, []) == graph
    assert latent_projection(graph, ["h"]) == CausalGraph.from_edges([("a", "b")])
    assert latent_projection(graph, ["a"]).kind is GraphKind.DAG


@pytest.mark.parametrize(
    ("graph", "hidden", "words"),
    [
        (CausalGraph.from_edges([("age", "b")]), ["ages"], "did you mean 'age'"),
        (CausalGraph.from_edges(undirected=[("a", "b")]), ["a"], "got kind CPDAG"),
    ],
    ids=["unknown node", "undirected edges"],
)
def test_what_cannot_be_projected_is_told(graph, hidden, words):
    with pytest.raises(GraphError, match=words):
        latent_projection(graph, hidden)
