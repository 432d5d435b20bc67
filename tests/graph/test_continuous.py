"""Continuous data: dagma's own weights as golden answers, and both scales always side by side."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctvae.errors import CTVAEError, DataError, ShapeError
from ctvae.graph import (
    DAGMAMLP,
    CausalGraph,
    CentralPath,
    DAGMALinear,
    learn_continuous_graph,
    shd,
)
from ctvae.graph.continuous import ScaledGraph, strongest_dag

NAMES = ["a", "b", "c", "d"]
TRUTH = CausalGraph.from_edges([("c", "a"), ("a", "d"), ("c", "d"), ("d", "b")], nodes=NAMES)
# dagma 1.1.1 (Apache-2), DagmaLinear("l2").fit(X, lambda1=0.03, w_threshold=0.0), all else at its
# defaults, numpy 2.4: on the rows below as they are, and on the same rows standardised.
RAW = [
    [0.0, 0.0285, 0.0, -0.7711],
    [0.0, 0.0, 0.0, 0.0],
    [1.2494, 0.0001, 0.0, 0.6172],
    [0.0, 1.459, 0.0, 0.0],
]
STANDARDISED = [
    [0.0, 0.0, 0.8884, -0.5413],
    [0.0, 0.0, 0.0, 0.0],
    [0.0, 0.0001, 0.0, 0.0],
    [0.0, 0.8625, 0.2341, 0.0],
]
QUICK = CentralPath(scales=(1.0, 0.9), factor=0.01, steps=400, learning_rate=1e-2)


def rows() -> torch.Tensor:
    rng = np.random.default_rng(7)
    weights = np.zeros((4, 4))
    weights[2, 0], weights[0, 3], weights[2, 3], weights[3, 1] = 1.2, -0.9, 0.8, 1.5
    return torch.from_numpy(rng.normal(size=(500, 4)) @ np.linalg.inv(np.eye(4) - weights))


def weights_of(scaled: ScaledGraph) -> torch.Tensor:
    assert scaled.weights is not None
    return scaled.weights


def test_weights_are_those_of_dagma_on_both_scales(device):
    found = learn_continuous_graph(rows().to(device), NAMES, method=DAGMALinear())
    np.testing.assert_allclose(weights_of(found.raw).cpu(), RAW, atol=0.02)
    np.testing.assert_allclose(weights_of(found.standardised).cpu(), STANDARDISED, atol=0.02)
    assert found.raw.graph == TRUTH
    assert found.raw.varsortability == 0.875  # of 8 pairs and lengths, the one along a -> d falls
    assert shd(found.standardised.graph, TRUTH) == found.num_differences > 0
    assert (found.standardised.varsortability or 0.0) < 1.0
    assert "units of the variables decide" in found.advice
    assert found.raw.left_out == found.standardised.left_out == 0
    assert weights_of(found.raw).device.type == device.type


def test_units_and_origin_leave_the_standardised_graph_alone():
    method = DAGMALinear(path=QUICK)
    units = torch.tensor([1.0, 50.0, 0.02, 3.0])
    one = learn_continuous_graph(rows(), method=method)
    other = learn_continuous_graph(rows() * units + 5, method=method)
    torch.testing.assert_close(weights_of(one.standardised), weights_of(other.standardised))
    assert one.standardised.graph == other.standardised.graph
    assert one.raw.graph != other.raw.graph


def test_permuting_the_columns_permutes_the_answer():
    order, method = [2, 0, 3, 1], DAGMALinear(path=QUICK)
    one = learn_continuous_graph(rows(), NAMES, method=method)
    other = learn_continuous_graph(rows()[:, order], [NAMES[k] for k in order], method=method)
    assert one.raw.graph == other.raw.graph
    torch.testing.assert_close(weights_of(one.raw)[order][:, order], weights_of(other.raw))


def test_networks_find_a_nonlinear_parent(device):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(400, 3, generator=generator).double()
    effect = 3 * (2 * noise[:, 0]).tanh() + noise[:, 1] / 2
    data = torch.stack([noise[:, 0], effect, noise[:, 2]], 1).to(device)
    path = CentralPath(first_weight=0.1, scales=(1.0, 1.0), steps=300, learning_rate=2e-2)
    method = DAGMAMLP(path=path)
    found = learn_continuous_graph(data, method=method, seed=0)
    assert found.raw.graph.directed == {("x0", "x1")}
    assert bool((weights_of(found.raw) >= 0).all())
    again = learn_continuous_graph(data, method=method, seed=0)
    assert torch.equal(weights_of(again.raw), weights_of(found.raw))


def test_noise_has_no_edges_and_no_sortability():
    noise = torch.randn(300, 3, generator=torch.Generator().manual_seed(1))
    found = learn_continuous_graph(noise, method=DAGMALinear(path=QUICK))
    assert found.raw.graph.num_edges == found.num_differences == 0
    assert found.raw.varsortability is None
    assert "did not decide" in found.advice
    assert "varsortability -" in repr(found)


def test_the_strongest_weights_make_the_dag():
    weights = torch.tensor([[0.0, -0.9, 0.2], [0.0, 0.0, 0.8], [0.7, 0.0, 0.0]])
    found = strongest_dag(weights, 0.3, ["a", "b", "c"])
    assert found.graph == CausalGraph.from_edges([("a", "b"), ("b", "c")])
    assert found.left_out == 1
    assert strongest_dag(torch.zeros(2, 2), 0.0, ["a", "b"]).graph.num_edges == 0


NAN = torch.ones(3, 2)
NAN[1, 1] = math.nan
BAD = {
    "codes": (torch.ones(3, 2).long(), None, ShapeError, "float tensor .* learn_graph"),
    "names": (rows(), ["a"], ShapeError, "one per variable, got 1 for 4"),
    "duplicates": (rows(), ["a", "a", "b", "c"], DataError, "must differ"),
    "one row": (torch.ones(1, 2), None, DataError, "two rows at least"),
    "constant": (torch.ones(3, 2), None, DataError, "'x0' is constant"),
    "missing": (NAN + torch.arange(3.0)[:, None], None, DataError, "'x1' holds NaN"),
}


@pytest.mark.parametrize(("data", "names", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_data_are_refused(data, names, error, message):
    with pytest.raises(error, match=message):
        learn_continuous_graph(data, names, method=DAGMALinear())


SETTINGS = {
    "l1": (lambda: DAGMALinear(l1=-1.0), "l1 must be at least 0"),
    "threshold": (lambda: DAGMAMLP(threshold=math.inf), "threshold must be"),
    "width": (lambda: DAGMAMLP(width=0), "at least 1"),
    "factor": (lambda: CentralPath(factor=1.0), r"lie in \(0, 1\)"),
    "scales": (lambda: CentralPath(scales=()), "must be a scale"),
    "rate": (lambda: CentralPath(learning_rate=0.0), "above 0"),
}


@pytest.mark.parametrize(("make", "message"), SETTINGS.values(), ids=SETTINGS.keys())
def test_bad_settings_are_refused(make, message):
    with pytest.raises(CTVAEError, match=message):
        make()
