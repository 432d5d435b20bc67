"""Markov equivalence against its definition, class by class."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings

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
    assert restricted.kind is GraphKind.PDAG
