"""How many DAGs a class has, which, and one of them by lot: against all DAGs of few nodes."""

from __future__ import annotations

import itertools
import math
import time
from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import GraphError, ShapeError, StateSpaceError
from ctvae.graph import CausalGraph, class_members, class_size, sample_member
from tests.graph.oracles import all_dags, class_key, dags


@pytest.mark.parametrize("size", [1, 2, 3, 4, pytest.param(5, marks=pytest.mark.slow)])
def test_sizes_of_all_classes(size):
    """Every DAG of up to 5 nodes (29,281 of them) is counted in its class."""
    of_class: dict[object, list[np.ndarray]] = {}
    for matrix in all_dags(size):
        of_class.setdefault(class_key(matrix), []).append(matrix)
    names = [f"n{k}" for k in range(size)]
    for members in of_class.values():
        cpdag = CausalGraph.from_numpy(members[0], names).cpdag()
        assert class_size(cpdag) == len(members)
    if size <= 4:
        for members in of_class.values():
            cpdag = CausalGraph.from_numpy(members[0], names).cpdag()
            found = {member.to_numpy().tobytes() for member in class_members(cpdag)}
            assert found == {matrix.astype(np.int8).tobytes() for matrix in members}


def oriented(graph: CausalGraph) -> list[CausalGraph]:
    """All DAGs with a graph's directed edges, and no v-structure that it does not have."""
    edges, found = sorted(graph.undirected), []
    skeleton, colliders = class_key(graph.consistent_extension().to_numpy())
    for turned in itertools.product((False, True), repeat=len(edges)):
        directed = [e[::-1] if t else e for e, t in zip(edges, turned, strict=True)]
        try:
            dag = CausalGraph.from_edges([*graph.directed, *directed], nodes=graph.nodes)
        except GraphError:
            continue
        if class_key(dag.to_numpy()) == (skeleton, colliders):
            found.append(dag)
    return found


@settings(max_examples=150, deadline=None)
@given(dags(6, 6), st.data())
def test_members_up_to_six_nodes(dag, data):
    target = data.draw(st.lists(st.sampled_from(dag.nodes), unique=True, max_size=2))
    graph = dag.i_cpdag([target]) if target else dag.cpdag()
    if len(graph.undirected) > 11:
        assert class_size(graph) > 11
        return
    expected = set(oriented(graph))
    found = list(class_members(graph))
    assert class_size(graph) == len(found) == len(expected)
    assert set(found) == expected
    assert dag in expected
    for member in found:
        assert member.cpdag() == dag.cpdag()
        assert (member.i_cpdag([target]) if target else member.cpdag()) == graph
    assert sample_member(graph, seed=0) in expected


@settings(max_examples=80, deadline=None)
@given(dags(5, 6), st.data())
def test_members_that_agree_with_known_directions(dag, data):
    """An MPDAG, whose parts may have directed edges inside."""
    known = data.draw(st.lists(st.sampled_from(sorted(dag.directed) or [None]), max_size=2))
    cpdag = dag.cpdag()
    arrows = {edge for edge in known if edge is not None}
    left = [e for e in cpdag.undirected if e not in arrows and e[::-1] not in arrows]
    graph = CausalGraph.from_edges([*cpdag.directed, *arrows], nodes=dag.nodes, undirected=left)
    expected = [m for m in class_members(cpdag) if arrows <= m.directed]
    assert class_size(graph) == len(expected)
    assert set(class_members(graph)) == set(expected)
    assert sample_member(graph, seed=1) in expected


def tree(nodes: int, seed: int) -> CausalGraph:
    rng = np.random.default_rng(seed)
    names = [f"n{k:03d}" for k in range(nodes)]
    edges = [(names[int(rng.integers(k))], names[k]) for k in range(1, nodes)]
    return CausalGraph.from_edges(undirected=edges, nodes=names)


def test_closed_forms():
    for nodes in (2, 7, 200):
        assert class_size(tree(nodes, nodes)) == nodes  # one for each root
    for nodes in (3, 8, 40):
        pairs = list(itertools.combinations([f"n{k:02d}" for k in range(nodes)], 2))
        assert class_size(CausalGraph.from_edges(undirected=pairs)) == math.factorial(nodes)
    two = CausalGraph.from_edges(undirected=[("a", "b"), ("c", "d"), ("d", "e")])
    assert class_size(two) == 2 * 3
    dag = CausalGraph.from_edges([("a", "b"), ("b", "c")])
    assert class_size(dag) == 1
    assert list(class_members(dag)) == [dag]
    assert class_size(CausalGraph.from_edges(nodes=["a", "b"])) == 1


def test_large_chordal_graphs_are_counted_quickly():
    """80 nodes, each joined to a clique of up to 4 earlier ones: far more members than atoms."""
    rng = np.random.default_rng(0)
    names = [f"n{k:02d}" for k in range(80)]
    cliques: list[list[int]] = [[0]]
    edges = []
    for node in range(1, 80):
        clique = cliques[int(rng.integers(len(cliques)))]
        kept = sorted(rng.permutation(clique)[:4].tolist())
        edges += [(names[k], names[node]) for k in kept]
        cliques.append([*kept, node])
    graph = CausalGraph.from_edges(undirected=edges)
    begun = time.process_time()
    size = class_size(graph)
    assert time.process_time() - begun < 10
    assert size > 1e12
    sampled = sample_member(graph, seed=0)
    assert sampled.cpdag() == graph
    assert len(list(class_members(graph, limit=3))) == 3


def test_every_member_is_drawn_as_often():
    """Chi-square over 3,000 draws; 30 members of two cliques that share an edge, and a tail."""
    graph = CausalGraph.from_edges(
        undirected=[("a", "b"), ("b", "c"), ("a", "c"), ("b", "d"), ("c", "d"), ("d", "e")]
    )
    size = class_size(graph)
    seen = Counter(sample_member(graph, seed=k) for k in range(3000))
    assert set(seen) == set(class_members(graph))
    expected = 3000 / size
    statistic = sum((count - expected) ** 2 / expected for count in seen.values())
    assert statistic < size - 1 + 4 * math.sqrt(2 * (size - 1))


def test_bad_input_is_refused():
    with pytest.raises(GraphError, match="bidirected"):
        class_size(CausalGraph.from_edges(bidirected=[("a", "b")]))
    square = CausalGraph.from_edges(undirected=[("a", "b"), ("b", "c"), ("c", "d"), ("a", "d")])
    for ask in (class_size, class_members, sample_member):
        with pytest.raises(GraphError, match="no DAG extends"):
            ask(square)
        with pytest.raises(GraphError, match=r"got DiGraph; read it by CausalGraph.from_networkx"):
            ask(nx.DiGraph([("a", "b")]))
    with pytest.raises(ShapeError, match="limit"):
        class_members(square.relabel({}), limit=-1)


def test_a_hopeless_search_says_so(monkeypatch):
    monkeypatch.setattr("ctvae.graph.equivalence_class.LARGEST_SEARCH", 1)
    names = [f"n{k}" for k in range(6)]
    pairs = list(itertools.combinations(names, 2))
    left = [pair for pair in pairs if pair not in {("n0", "n1"), ("n2", "n3")}]
    graph = CausalGraph.from_edges([("n0", "n1"), ("n2", "n3")], undirected=left)
    with pytest.raises(StateSpaceError, match="limit="):
        class_size(graph)
