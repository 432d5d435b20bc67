"""Sortability by its definition, and graphs that any method should beat."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import CTVAEError, DataError, GraphError
from ctvae.graph import (
    CausalGraph,
    SortKey,
    empty_graph,
    r2_sortability,
    random_graph,
    sort_and_regress,
    varsortability,
)
from tests.graph.oracles import dags


def linear_rows(truth: CausalGraph, seed: int, rows: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = len(truth.nodes)
    weights = truth.to_numpy() * rng.uniform(0.5, 2.0, (size, size))
    noise = rng.normal(size=(rows, size)) * rng.uniform(0.5, 2.0, size)
    return noise @ np.linalg.inv(np.eye(size) - weights)


def r_squared(rows: np.ndarray) -> list[float]:
    found = []
    for k in range(rows.shape[1]):
        design = np.column_stack([np.ones(len(rows)), np.delete(rows, k, axis=1)])
        residual = rows[:, k] - design @ np.linalg.lstsq(design, rows[:, k])[0]
        found.append(round(1 - residual.var() / rows[:, k].var(), 9))
    return found


def by_walking(scores, truth: CausalGraph) -> float:
    """Pairs joined by a path of each length, path by path."""
    total, credit = 0, 0.0
    position = {name: k for k, name in enumerate(truth.nodes)}
    paths = [[a, b] for a, b in sorted(truth.directed)]
    while paths:
        ends = {(path[0], path[-1]) for path in paths}
        total += len(ends)
        for a, b in ends:
            x, y = scores[position[a]], scores[position[b]]
            credit += 1.0 if x < y else 0.5 if x == y else 0.0
        paths = [[*path, b] for path in paths for a, b in truth.directed if a == path[-1]]
    return credit / total


with_an_edge = dags(min_nodes=2, max_nodes=6).filter(lambda graph: bool(graph.directed))


@settings(max_examples=60, deadline=None)
@given(truth=with_an_edge, seed=st.integers(0, 2**16))
def test_sortability_is_its_definition(truth, seed):
    rows = linear_rows(truth, seed)
    assert varsortability(rows, truth) == pytest.approx(by_walking(rows.var(0), truth))
    assert r2_sortability(rows, truth) == pytest.approx(by_walking(r_squared(rows), truth))
    assert varsortability(torch.from_numpy(rows), truth) == varsortability(rows, truth)
    scaled = rows * np.exp(np.random.default_rng(seed).normal(size=rows.shape[1]))
    assert r2_sortability(scaled, truth) == pytest.approx(r2_sortability(rows, truth))


@settings(max_examples=30, deadline=None)
@given(truth=with_an_edge, seed=st.integers(0, 2**16), data=st.data())
def test_columns_and_names_do_not_matter(truth, seed, data):
    rows = linear_rows(truth, seed)
    order = data.draw(st.permutations(range(len(truth.nodes))))
    turned = truth.reorder([truth.nodes[k] for k in order])
    for measure in (varsortability, r2_sortability):
        assert measure(rows[:, order], turned) == pytest.approx(measure(rows, truth))
    for key in SortKey:
        expected = sort_and_regress(rows, truth.nodes, key=key)
        assert sort_and_regress(rows[:, order], turned.nodes, key=key) == expected


def test_equal_variances_count_half():
    truth = CausalGraph.from_edges([("a", "b"), ("b", "c")])
    rows = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 1], [1, 0, 1]])
    assert varsortability(rows, truth) == 0.5
    scaled = linear_rows(truth, 0)
    assert varsortability((scaled - scaled.mean(0)) / scaled.std(0), truth) == 0.5


def test_columns_that_determine_one_another_are_fully_explained():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 100))
    rows = np.stack([a, b, a + b, rng.normal(size=100)], 1)
    truth = CausalGraph.from_edges([("d", "a"), ("d", "b"), ("d", "c")], nodes=list("abcd"))
    assert r2_sortability(rows, truth) == 1.0


def test_sortability_and_sort_and_regress_are_causaldiscos():
    disco = pytest.importorskip("CausalDisco.analytics", reason="CausalDisco is not installed")
    baselines = pytest.importorskip("CausalDisco.baselines")
    for seed in range(10):
        truth = random_graph([f"n{k}" for k in range(12)], 24, seed=seed)
        rows, matrix = linear_rows(truth, seed, rows=1000), truth.to_numpy().astype(float)
        assert varsortability(rows, truth) == pytest.approx(disco.var_sortability(rows, matrix))
        assert r2_sortability(rows, truth) == pytest.approx(disco.r2_sortability(rows, matrix))
        theirs = {
            SortKey.VARIANCE: baselines.var_sort_regress(rows),
            SortKey.R2: baselines.r2_sort_regress(rows),
        }
        for key, weights in theirs.items():
            found = sort_and_regress(rows, truth.nodes, key=key).to_numpy()
            np.testing.assert_array_equal(found, weights != 0)


def test_sort_and_regress_wins_on_raw_data_and_not_on_standardised():
    truth = random_graph([f"n{k}" for k in range(10)], 15, seed=1)
    rows = linear_rows(truth, 1, rows=2000)
    right = sort_and_regress(rows, truth.nodes).directed & truth.directed
    standardised = (rows - rows.mean(0)) / rows.std(0)
    after = sort_and_regress(standardised, truth.nodes).directed & truth.directed
    assert varsortability(rows, truth) > 0.9
    assert len(right) > len(after)


def test_random_graphs_are_dags_of_the_asked_size_and_each_pair_is_as_likely():
    nodes = list("abc")
    counts: dict[tuple[str, str], int] = dict.fromkeys(itertools.permutations(nodes, 2), 0)
    for seed in range(900):
        graph = random_graph(nodes, 1, seed=seed)
        (edge,) = graph.directed
        counts[edge] += 1
    # binomial(900, 1/6): 150 +- 11.2; 5.2 deviations are a false alarm of 1e-6 over six edges
    assert all(abs(n - 150) < 59 for n in counts.values())
    for size in (1, 2, 5, 9):
        most = size * (size - 1) // 2
        for num_edges in {0, most // 2, most}:
            names = [f"n{k}" for k in range(size)]
            graph = random_graph(names, num_edges, seed=3)
            assert graph.num_edges == num_edges
            assert graph == random_graph(names, num_edges, seed=3)
            assert graph.topological_order()


ROWS = np.random.default_rng(0).normal(size=(50, 3))
PAIR = CausalGraph.from_edges([("a", "b")], nodes=list("abc"))
BAD = {
    "too many edges": (lambda: random_graph("abc", 4, seed=0), GraphError, "at most 3 edges"),
    "no number of edges": (lambda: random_graph("abc", -1, seed=0), CTVAEError, "num_edges="),
    "columns": (lambda: varsortability(ROWS[:, :2], PAIR), DataError, r"got shape \(50, 2\)"),
    "one row": (lambda: varsortability(ROWS[:1], PAIR), DataError, "two rows at least"),
    "constant": (
        lambda: sort_and_regress(ROWS * [1, 0, 1], "abc"),
        DataError,
        "column 'b' is constant",
    ),
    "missing": (
        lambda: r2_sortability(np.where(ROWS[0, 0] == ROWS, np.nan, ROWS), PAIR),
        DataError,
        "column 'a' holds entries that are not finite",
    ),
    "few rows": (lambda: sort_and_regress(ROWS[:4]), DataError, "more rows than that, got 4"),
    "no paths": (
        lambda: varsortability(ROWS, empty_graph(list("abc"))),
        GraphError,
        "this truth has no edge",
    ),
    "no direction": (
        lambda: varsortability(ROWS, PAIR.cpdag()),
        GraphError,
        "this truth is of kind CPDAG",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
