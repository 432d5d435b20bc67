"""Adjustment distances against their definition in numbers, and against gadjid."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import CTVAEError, GraphError
from ctvae.graph import CausalGraph, ancestor_aid, oset_aid, parent_aid, sid
from ctvae.graph.adjustment_walks import AdjustmentRule, reachability, wrong_effects
from tests.graph.oracles import all_dags, dags

DISTANCES = {"parent": parent_aid, "ancestor": ancestor_aid, "oset": oset_aid}
RULES = {
    "parent": AdjustmentRule.PARENTS,
    "ancestor": AdjustmentRule.ANCESTORS,
    "oset": AdjustmentRule.OPTIMAL,
}


def ancestors(matrix: np.ndarray, node: int) -> set[int]:
    found: set[int] = set()
    queue = [node]
    while queue:
        fresh = set(np.flatnonzero(matrix[:, queue.pop()]).tolist()) - found
        found |= fresh
        queue += fresh
    return found


def optimal_set(matrix: np.ndarray, t: int, y: int) -> set[int]:
    size = range(len(matrix))
    between = {v for v in size if t in ancestors(matrix, v) and v in ancestors(matrix, y) | {y}}
    forbidden = {v for v in size if (ancestors(matrix, v) | {v}) & between} | {t}
    parents = {int(p) for v in between for p in np.flatnonzero(matrix[:, v])}
    return parents - forbidden


def wrong_by_numbers(truth: np.ndarray, guess: np.ndarray, rule: str, seed: int = 0) -> np.ndarray:
    """Regressions in a linear Gaussian model over the truth, beside its total effects."""
    rng = np.random.default_rng(seed)
    size = len(truth)
    weights = truth * rng.uniform(0.5, 1.5, truth.shape) * rng.choice([-1, 1], truth.shape)
    effects = np.linalg.inv(np.eye(size) - weights)
    covariance = effects.T @ np.diag(rng.uniform(0.5, 1.5, size)) @ effects
    wrong = np.zeros((size, size), dtype=bool)
    for t, y in itertools.permutations(range(size), 2):
        parents = set(np.flatnonzero(guess[:, t]).tolist())
        silent = y in parents if rule == "parent" else t not in ancestors(guess, y)
        found = 0.0
        if not silent:
            choices = {"parent": parents, "ancestor": ancestors(guess, t)}
            chosen = optimal_set(guess, t, y) if rule == "oset" else choices[rule]
            columns = [t, *sorted(chosen)]
            inner = covariance[np.ix_(columns, columns)]
            found = float(np.linalg.solve(inner, covariance[columns, y])[0])
        wrong[t, y] = abs(found - effects[t, y]) > 1e-8
    return wrong


def graph_of(matrix: np.ndarray) -> CausalGraph:
    return CausalGraph.from_numpy(matrix.astype(np.int8))


def random_dag(size: int, degree: float, rng: np.random.Generator) -> np.ndarray:
    chance = min(1.0, degree / max(1, size - 1))
    upper = np.triu(rng.random((size, size)) < chance, k=1)
    order = rng.permutation(size)
    return upper[np.ix_(order, order)]


@pytest.mark.parametrize("rule", DISTANCES)
def test_every_pair_of_dags_over_three_nodes_gives_the_definition(rule):
    for truth, guess in itertools.product(all_dags(3), repeat=2):
        expected = wrong_by_numbers(truth, guess, rule)
        treatments = np.arange(3)
        kind = {"parent": "PARENTS", "ancestor": "ANCESTORS", "oset": "OPTIMAL"}[rule]
        got = wrong_effects(
            truth.astype(bool), guess.astype(bool), treatments, AdjustmentRule[kind]
        )
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("rule", DISTANCES)
def test_larger_dags_give_the_definition_for_every_choice_of_treatments(rule):
    rng = np.random.default_rng(1)
    for size in (4, 5, 6, 7) * 8:
        truth, guess = random_dag(size, size / 2, rng), random_dag(size, size / 2, rng)
        expected = wrong_by_numbers(truth, guess, rule)
        distance, graphs = DISTANCES[rule], (graph_of(truth), graph_of(guess))
        assert distance(*graphs).mistakes == expected.sum()
        some = rng.choice(size, 2, replace=False)
        names = [f"slot{k}" for k in some]
        assert distance(*graphs, treatments=names) == (expected[some].sum(), 2 * (size - 1))


@pytest.mark.parametrize("rule", DISTANCES)
def test_own_walks_agree_with_gadjid_on_dags(rule):
    gadjid = pytest.importorskip("gadjid", reason="gadjid is not installed (ctvae[metrics])")
    rng = np.random.default_rng(2)
    sizes = [int(k) for k in rng.integers(2, 26, size=120)] + [100]
    for size in sizes:
        truth, guess = (random_dag(size, rng.uniform(0, min(size, 10)), rng) for _ in range(2))
        own = wrong_effects(truth, guess, np.arange(size), RULES[rule])
        coded = truth.astype(np.int8), guess.astype(np.int8)
        theirs = getattr(gadjid, f"{rule}_aid")(*coded, edge_direction="from row to column")
        assert int(own.sum()) == theirs[1]
        if rule == "parent":
            assert theirs[1] == gadjid.sid(*coded, edge_direction="from row to column")[1]


@settings(max_examples=60, deadline=None)
@given(truth=dags(min_nodes=4, max_nodes=4), guess=dags(min_nodes=4, max_nodes=4))
def test_distances_between_classes_are_gadjids(truth, guess):
    gadjid = pytest.importorskip("gadjid", reason="gadjid is not installed (ctvae[metrics])")
    for a, b in itertools.product((truth, truth.cpdag()), (guess, guess.cpdag())):
        for name, distance in DISTANCES.items():
            coded = []
            for graph in (a, b):
                matrix = np.zeros((4, 4), dtype=np.int8)
                for x, y in graph.directed:
                    matrix[int(x[1:]), int(y[1:])] = 1
                for x, y in graph.undirected:
                    matrix[int(x[1:]), int(y[1:])] = 2
                coded.append(matrix)
            theirs = getattr(gadjid, f"{name}_aid")(*coded, edge_direction="from row to column")
            ours = distance(a, b)
            assert ours.mistakes == theirs[1]
            assert ours.normalised == pytest.approx(theirs[0])


@settings(max_examples=60, deadline=None)
@given(truth=dags(min_nodes=2, max_nodes=6), data=st.data())
def test_names_and_columns_do_not_matter(truth, data):
    size = len(truth.nodes)
    guess = data.draw(dags(min_nodes=size, max_nodes=size))
    order = data.draw(st.permutations(truth.nodes))
    names = dict(zip(truth.nodes, data.draw(st.permutations("uvwxyz"[:size])), strict=True))
    for distance in DISTANCES.values():
        expected = distance(truth, guess)
        assert distance(truth, guess.reorder(order)) == expected
        assert distance(truth.relabel(names), guess.relabel(names)) == expected
        assert distance(truth, truth).mistakes == 0
        assert expected.mistakes == sum(
            distance(truth, guess, treatments=[name]).mistakes for name in truth.nodes
        )
    assert sid(truth, guess) == parent_aid(truth, guess)


@settings(max_examples=40, deadline=None)
@given(guess=dags(min_nodes=2, max_nodes=6))
def test_a_supergraph_of_the_truth_has_no_wrong_effect(guess):
    truth = CausalGraph(guess.nodes, frozenset(sorted(guess.directed)[::2]))
    assert sid(truth, guess).mistakes == 0


def test_reachability_is_reflexive_and_transitive():
    rng = np.random.default_rng(3)
    for size in (1, 2, 5, 9):
        matrix = random_dag(size, 2, rng)
        below = reachability(matrix)
        for node in range(size):
            assert set(np.flatnonzero(below[:, node])) == ancestors(matrix, node) | {node}


CHAIN = CausalGraph.from_edges([("a", "b"), ("b", "c")])
MPDAG = CausalGraph.from_edges([("a", "b")], undirected=[("c", "d")])
PDAG = CausalGraph.from_edges([("a", "b")], undirected=[("b", "c")])
ADMG = CausalGraph.from_edges([("a", "b")], bidirected=[("b", "c")])
BAD = {
    "SID of a CPDAG": (lambda: sid(CHAIN, CHAIN.cpdag()), "the guess is of kind CPDAG; use parent"),
    "SID to a CPDAG": (lambda: sid(CHAIN.cpdag(), CHAIN), "the truth is of kind CPDAG; use parent"),
    "SID of an ADMG": (lambda: sid(CHAIN, ADMG), "kind ADMG; compare the marks with shd"),
    "AID of a PDAG": (lambda: parent_aid(CHAIN, PDAG), "kind PDAG; compare the marks with shd"),
    "AID of an MPDAG": (lambda: oset_aid(MPDAG, MPDAG), "kind MPDAG; .*consistent_extension"),
    "other nodes": (
        lambda: sid(CHAIN, CausalGraph.from_edges([("a", "b")])),
        "only in the truth: c",
    ),
    "unknown treatment": (
        lambda: sid(CHAIN, CHAIN, treatments=["bb"]),
        r"treatment 'bb' is not in these graphs \(nodes: a, b, c\); did you mean 'b'",
    ),
    "treatments of a class": (
        lambda: parent_aid(CHAIN, CHAIN.cpdag(), treatments=["a"]),
        "between DAGs only",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_what_is_undefined_is_refused_and_the_right_metric_named(call, message):
    with pytest.raises(GraphError, match=message):
        call()


def test_one_node_has_no_effects():
    alone = CausalGraph.from_edges(nodes=["a"])
    assert sid(alone, alone) == (0, 0)
    assert sid(alone, alone).normalised == 0


def test_without_gadjid_dags_are_judged_and_classes_refused(monkeypatch):
    expected = sid(CHAIN, CHAIN.relabel({"a": "b", "b": "a"}))
    monkeypatch.setitem(__import__("sys").modules, "gadjid", None)
    assert sid(CHAIN, CHAIN.relabel({"a": "b", "b": "a"})) == expected
    with pytest.raises(CTVAEError, match=r"pip install ctvae\[metrics\]"):
        parent_aid(CHAIN, CHAIN.cpdag())
