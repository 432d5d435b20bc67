"""Markov equivalence against its definition, class by class."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings

from ctvae.errors import GraphError
from ctvae.graph import CausalGraph, GraphKind, equivalence
from tests.graph.oracles import all_dags, class_key, dags

PAIRS = list(itertools.combinations(range(4), 2))


@pytest.mark.parametrize("size", [2, 3, 4])
def test_members_of_a_class_share_the_cpdag_that_is_their_union(size):
    classes = defaultdict(list)
    for matrix in all_dags(size):
        classes[class_key(matrix)].append(matrix)
    cpdags = set()
    for members in classes.values():
        union = np.bitwise_or.reduce(members)
        for matrix in members:
            np.testing.assert_array_equal(equivalence.to_cpdag(matrix), union)
        assert equivalence.is_cpdag(union)
        extension = equivalence.consistent_extension(union)
        assert extension is not None
        assert any(np.array_equal(extension, matrix) for matrix in members)
        cpdags.add(union.tobytes())
    assert len(cpdags) == len(classes)
    counts = {2: (3, 2), 3: (25, 11), 4: (543, 185)}  # OEIS A003024, A007984
    assert (sum(map(len, classes.values())), len(classes)) == counts[size]


def test_is_cpdag_says_no_to_every_other_mixed_graph_of_three_nodes():
    valid = {equivalence.to_cpdag(m).tobytes() for m in all_dags(3)}
    for entries in itertools.product((0, 1), repeat=6):
        matrix = np.zeros((3, 3), dtype=np.int8)
        matrix[~np.eye(3, dtype=bool)] = entries
        assert equivalence.is_cpdag(matrix) == (matrix.tobytes() in valid)


@pytest.mark.parametrize("known", list(itertools.combinations(PAIRS, 2)))
def test_known_directions_give_the_union_of_the_members_that_agree(known):
    mask = np.zeros((4, 4), dtype=bool)
    for i, j in known:
        mask[i, j] = mask[j, i] = True
    classes = defaultdict(list)
    for matrix in all_dags(4):
        classes[class_key(matrix), (matrix * mask).tobytes()].append(matrix)
    for members in classes.values():
        union = np.bitwise_or.reduce(members)
        np.testing.assert_array_equal(equivalence.to_cpdag(members[0], directed=mask), union)


def definition_of_mpdag(matrix: np.ndarray, every: list[np.ndarray]) -> bool:
    """The union of the DAGs that share its skeleton, v-structures and directed edges."""
    directed = (matrix == 1) & (matrix.T == 0)
    skeleton = (matrix | matrix.T).astype(bool)
    members = [
        dag
        for dag in every
        if np.array_equal((dag | dag.T).astype(bool), skeleton)
        and bool((dag[directed] == 1).all())
        and np.array_equal(equivalence.v_structures(dag), equivalence.v_structures(matrix))
    ]
    return bool(members) and np.array_equal(np.bitwise_or.reduce(members), matrix)


@pytest.mark.parametrize("size", [2, 3, 4])
def test_a_graph_directed_as_far_as_can_be_is_the_union_of_its_members(size):
    every, rng = list(all_dags(size)), np.random.default_rng(0)
    off = ~np.eye(size, dtype=bool)
    mixed = itertools.product((0, 1), repeat=size * (size - 1))
    kinds = set()
    for entries in mixed if size < 4 else rng.integers(2, size=(400, 12)):
        matrix = np.zeros((size, size), dtype=np.int8)
        matrix[off] = entries
        found = equivalence.is_mpdag(matrix)
        assert found == definition_of_mpdag(matrix, every)
        kinds.add(found)
    assert kinds == ({True, False} if size > 2 else {True})


@pytest.mark.parametrize("family", [[], [{0}], [{1}, {2}], [{0, 1}], [{0, 1, 2}, {3}], [set()]])
def test_an_i_cpdag_is_the_union_of_the_dags_that_no_regime_tells_apart(family):
    """By definition: in every regime the graphs cut at the targets are Markov equivalent."""
    classes = defaultdict(list)
    for matrix in all_dags(4):
        key = []
        for targets in [set(), *family]:
            cut = matrix.copy()
            cut[:, sorted(targets)] = 0
            key.append(class_key(cut))
        classes[tuple(key)].append(matrix)
    assert len(classes) >= 185
    for members in classes.values():
        graph = CausalGraph.from_numpy(members[0])
        found = graph.i_cpdag([[f"slot{k}" for k in one] for one in family])
        np.testing.assert_array_equal(found.to_numpy(), np.bitwise_or.reduce(members))
        assert found.kind in {GraphKind.DAG, GraphKind.CPDAG, GraphKind.MPDAG}


def test_what_has_no_i_cpdag_is_told():
    with pytest.raises(GraphError, match="and this graph is a CPDAG"):
        CausalGraph.from_edges(undirected=[("a", "b")]).i_cpdag([])
    with pytest.raises(GraphError, match="and this graph is a ADMG"):
        CausalGraph.from_edges(bidirected=[("a", "b")]).i_cpdag([])
    with pytest.raises(GraphError, match="node 'c' is not in this graph"):
        CausalGraph.from_edges([("a", "b")]).i_cpdag([["c"]])


@settings(max_examples=60, deadline=None)
@given(graph=dags(max_nodes=8))
def test_cpdag_laws(graph):
    cpdag = graph.cpdag()
    assert cpdag.skeleton == graph.skeleton
    assert cpdag.cpdag() == cpdag
    assert cpdag.kind in {GraphKind.CPDAG, GraphKind.DAG}
    member = cpdag.consistent_extension()
    assert member.kind is GraphKind.DAG
    assert member.cpdag() == cpdag


def test_textbook_graphs():
    chain = CausalGraph.from_edges([("a", "b"), ("b", "c")])
    fork = CausalGraph.from_edges([("b", "a"), ("b", "c")])
    collider = CausalGraph.from_edges([("a", "b"), ("c", "b")])
    assert chain.cpdag() == fork.cpdag()
    assert collider.cpdag() == collider
    restricted = CausalGraph.from_edges([("a", "b")], undirected=[("b", "c"), ("a", "c")])
    assert restricted.kind is GraphKind.MPDAG
