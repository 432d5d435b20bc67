"""Scores of edge probabilities against scikit-learn, sums over DAGs, and their laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss

from ctvae.errors import GraphError, ShapeError
from ctvae.graph import (
    CausalGraph,
    edge_average_precision,
    edge_brier_score,
    edge_calibration_error,
    edge_precision_recall,
    expected_shd,
    shd,
)
from tests.graph.oracles import all_dags, dags

SCORES = {
    "average precision": edge_average_precision,
    "Brier": edge_brier_score,
    "calibration": edge_calibration_error,
    "expected SHD": expected_shd,
}
NODES = ["a", "b", "c"]
CHAIN = CausalGraph.from_edges([("a", "b"), ("b", "c")])


@st.composite
def judged(draw):
    """A DAG with an edge, and probabilities with ties whose pairs sum to one at most."""
    truth = draw(dags(min_nodes=2, max_nodes=6).filter(lambda g: bool(g.directed)))
    size = len(truth.nodes)
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 6, (size, size)) / 10
    return truth, matrix


@settings(max_examples=100, deadline=None)
@given(case=judged())
def test_average_precision_and_brier_are_scikit_learns(case):
    truth, matrix = case
    apart = ~np.eye(len(matrix), dtype=bool)
    true, found = truth.to_numpy()[apart], matrix[apart]
    assert edge_average_precision(matrix, truth) == pytest.approx(
        average_precision_score(true, found)
    )
    assert edge_brier_score(matrix, truth) == pytest.approx(brier_score_loss(true, found))
    curve = edge_precision_recall(matrix, truth)
    assert (np.diff(curve.threshold) < 0).all()
    for threshold, precision, recall in zip(*curve, strict=True):
        kept = found >= threshold
        assert precision == pytest.approx(true[kept].mean())
        assert recall == pytest.approx(true[kept].sum() / true.sum())


@settings(max_examples=100, deadline=None)
@given(case=judged(), bins=st.sampled_from([1, 3, 10]))
def test_calibration_error_is_the_weighted_gap_of_its_bins(case, bins):
    truth, matrix = case
    apart = ~np.eye(len(matrix), dtype=bool)
    true, found = truth.to_numpy()[apart], matrix[apart]
    expected = 0.0
    for low in range(bins):
        inside = np.floor(found * bins) == low
        if inside.any():
            expected += inside.mean() * abs(true[inside].mean() - found[inside].mean())
    assert edge_calibration_error(matrix, truth, bins=bins) == pytest.approx(expected)


def test_expected_shd_is_the_mean_over_any_posterior_of_dags():
    rng = np.random.default_rng(0)
    members = list(all_dags(3))
    for truth in (CHAIN, CausalGraph.from_edges(nodes=NODES)):
        weights = rng.dirichlet(np.full(len(members), 0.3))
        marginals = sum(w * m.astype(float) for w, m in zip(weights, members, strict=True))
        mean = sum(
            w * shd(CausalGraph.from_numpy(m, NODES), truth)
            for w, m in zip(weights, members, strict=True)
        )
        assert expected_shd(marginals, truth) == pytest.approx(mean)


@settings(max_examples=60, deadline=None)
@given(case=judged(), data=st.data())
def test_names_and_columns_do_not_matter(case, data):
    truth, matrix = case
    order = data.draw(st.permutations(range(len(matrix))))
    turned = truth.reorder([truth.nodes[k] for k in order])
    names = dict(zip(truth.nodes, "uvwxyz", strict=False))
    for score in SCORES.values():
        expected = score(matrix, truth)
        moved = matrix[np.ix_(order, order)]
        assert score(moved, turned) == pytest.approx(expected)
        assert score(matrix, truth.relabel(names)) == expected
        assert score(torch.from_numpy(matrix), truth) == expected


@settings(max_examples=60, deadline=None)
@given(truth=dags(min_nodes=2, max_nodes=6), guess=st.data())
def test_a_sure_graph_scores_as_the_graph_does(truth, guess):
    size = len(truth.nodes)
    other = guess.draw(dags(min_nodes=size, max_nodes=size))
    sure = other.to_numpy().astype(float)
    wrong = len(other.directed ^ truth.directed)
    assert expected_shd(sure, truth) == shd(other, truth)
    assert edge_brier_score(sure, truth) == pytest.approx(wrong / (size * (size - 1)))
    assert edge_brier_score(truth.to_numpy(), truth) == 0
    assert edge_calibration_error(truth.to_numpy(), truth) == 0
    if truth.directed:
        assert edge_average_precision(truth.to_numpy(), truth) == 1
        share = len(truth.directed) / (size * (size - 1))
        assert edge_average_precision(np.full((size, size), 0.5), truth) == pytest.approx(share)


def test_the_diagonal_never_counts():
    matrix = np.array([[0.0, 0.75, 0.0], [0.0, 0.0, 0.25], [0.0, 0.5, 0.0]])
    marked = matrix + np.eye(3)
    for score in SCORES.values():
        assert score(matrix, CHAIN) == score(marked, CHAIN)


def test_one_node_has_nothing_to_get_wrong():
    alone = CausalGraph.from_edges(nodes=["a"])
    for score in (edge_brier_score, edge_calibration_error, expected_shd):
        assert score(np.zeros((1, 1)), alone) == 0


ZEROS = np.zeros((3, 3))
BAD = {
    "truth a CPDAG": (lambda: edge_brier_score(ZEROS, CHAIN.cpdag()), "of kind CPDAG"),
    "above one": (
        lambda: edge_brier_score(ZEROS + 1.5, CHAIN),
        r"probability of a -> b must be in \[0, 1\], got 1.5",
    ),
    "not a number": (lambda: expected_shd(ZEROS * np.nan, CHAIN), "got nan"),
    "no edge to find": (
        lambda: edge_average_precision(ZEROS, CausalGraph.from_edges(nodes=NODES)),
        "this truth has none; use edge_brier_score",
    ),
    "both directions": (
        lambda: expected_shd(ZEROS + 0.75, CHAIN),
        "of a -> b and b -> a sum to 1.5, .*use edge_average_precision",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(call, message):
    with pytest.raises(GraphError, match=message):
        call()


def test_a_matrix_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"of 3 nodes are a matrix \(3, 3\), got shape \(2, 2\)"):
        edge_brier_score(np.zeros((2, 2)), CHAIN)
