"""Fisher's z and LiNGAM: against causal-learn, regressions, and the laws of scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctvae.errors import DataError
from ctvae.graph import (
    PC,
    ChiSquared,
    DirectLiNGAM,
    FisherZ,
    GSquared,
    ResidualTest,
    learn_continuous_graph,
    learn_graph,
)


def test_pc_equals_the_stored_output_of_causal_learn(shared_data, device):
    """Mark by mark with its default rule for colliders; other rules turn edges, the same ones."""
    folder = shared_data / "causal_learn_tests"
    data = torch.from_numpy(np.loadtxt(folder / "data_linear_10.txt.gz", skiprows=1)).to(device)
    found = learn_continuous_graph(data, method=PC(alpha=0.05, test=FisherZ()))
    ours = found.raw.graph.to_causallearn().graph
    stored = np.loadtxt(folder / "linear_10_pc_fisherz_0.05_stable_0_3.txt")
    np.testing.assert_array_equal(ours, stored)
    others = [path for path in folder.glob("linear_10_pc_fisherz_*") if "0_3" not in path.name]
    assert len(others) == 6
    for path in others:
        np.testing.assert_array_equal(ours != 0, np.loadtxt(path) != 0)


def test_p_values_are_those_of_causal_learn():
    from causallearn.utils.cit import CIT

    rng = np.random.default_rng(0)
    data = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5))
    theirs = CIT(data, "fisherz")
    ours = FisherZ().bind(torch.from_numpy(data))
    for given in ((), (2,), (2, 4), (2, 3, 4)):
        found = ours(torch.tensor([0]), torch.tensor([1]), torch.tensor([given], dtype=torch.long))
        assert float(found.p_value) == pytest.approx(theirs(0, 1, given), rel=1e-8, abs=1e-14)


def test_partial_correlations_are_those_of_regressions():
    rng = np.random.default_rng(1)
    data = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    beside = np.c_[np.ones(300), data[:, 2:]]
    left = data[:, :2] - beside @ np.linalg.lstsq(beside, data[:, :2], rcond=None)[0]
    expected = abs(math.atanh(np.corrcoef(left.T)[0, 1])) * math.sqrt(300 - 2 - 3)
    test = FisherZ().bind(torch.from_numpy(data))
    found = test(torch.tensor([0]), torch.tensor([1]), torch.tensor([[2, 3]]))
    assert float(found.statistic) == pytest.approx(expected)


def test_weights_stand_for_repeated_rows():
    data = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).double()
    times = torch.arange(50) % 3
    ask = torch.tensor([0]), torch.tensor([1]), torch.tensor([[2]])
    weighted = FisherZ().bind(data, weights=times.double())(*ask)
    repeated = FisherZ().bind(data.repeat_interleave(times, 0))(*ask)
    torch.testing.assert_close(weighted.p_value, repeated.p_value)


def test_too_few_rows_are_no_evidence():
    data = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    found = FisherZ().bind(data)(torch.tensor([0]), torch.tensor([1]), torch.tensor([[2, 3]]))
    assert float(found.p_value) < 1
    fewer = FisherZ().bind(data[:5])(torch.tensor([0]), torch.tensor([1]), torch.tensor([[2, 3]]))
    assert (float(fewer.p_value), float(fewer.degrees_of_freedom)) == (1.0, 0.0)


def linear(noise: torch.Tensor) -> torch.Tensor:
    """c -> a -> b, c -> b."""
    c = noise[:, 2]
    a = 0.8 * c + noise[:, 0]
    return torch.stack([a, 0.9 * a - 0.7 * c + noise[:, 1], c], 1)


def test_lingam_finds_directions_whatever_the_units():
    noise = torch.rand(3000, 3, generator=torch.Generator().manual_seed(0)).double()
    data = linear(noise)
    found = learn_continuous_graph(data, ["a", "b", "c"], method=DirectLiNGAM())
    assert found.raw.graph.directed == {("c", "a"), ("a", "b"), ("c", "b")}
    assert found.num_differences == 0
    assert found.raw.weights is not None
    assert float(found.raw.weights[0, 1]) == pytest.approx(0.9, abs=0.05)
    assert float(found.raw.weights[2, 1]) == pytest.approx(-0.7, abs=0.05)
    scaled = learn_continuous_graph(
        data * torch.tensor([1.0, 100.0, 0.01]), ["a", "b", "c"], method=DirectLiNGAM()
    )
    assert scaled.raw.graph == found.raw.graph


def test_pc_ignores_units_and_the_order_of_columns():
    noise = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)).double()
    data = torch.stack([noise[:, 0], noise[:, 1], noise[:, 0] + noise[:, 1] + noise[:, 2]], 1)
    found = learn_continuous_graph(data, ["x", "y", "z"], method=PC(test=FisherZ()))
    assert found.raw.graph.directed == {("x", "z"), ("y", "z")}
    assert found.num_differences == 0
    assert found.raw.weights is None
    other = learn_continuous_graph(
        data[:, [2, 0, 1]] * 7, ["z", "x", "y"], method=PC(test=FisherZ())
    )
    assert other.raw.graph == found.raw.graph


FLOATS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
BAD = {
    "codes": (lambda: learn_graph(FLOATS > 0, method=PC(test=FisherZ())), "floats|codes"),
    "integers": (lambda: FisherZ().bind((FLOATS > 0).long()), "GSquared"),
    "constant": (lambda: FisherZ().bind(torch.ones(9, 2)), "constant"),
    "sum": (lambda: FisherZ().bind(FLOATS[:, [0, 1, 0]]), "sum of the others"),
    "g2": (lambda: learn_continuous_graph(FLOATS, method=PC(test=GSquared())), "FisherZ"),
    "chi2": (lambda: learn_continuous_graph(FLOATS, method=PC(test=ChiSquared())), "FisherZ"),
    "residual": (lambda: learn_continuous_graph(FLOATS, method=PC(test=ResidualTest())), "FisherZ"),
    "rows": (lambda: learn_continuous_graph(FLOATS[:3], method=DirectLiNGAM()), "more rows"),
    "threshold": (lambda: DirectLiNGAM(threshold=-1.0), "threshold"),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_wrong_data_are_refused(make, message):
    with pytest.raises((DataError, ValueError), match=message):
        make()
