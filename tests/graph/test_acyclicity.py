"""Penalties of cycles: zero on DAGs alone, right gradients, the spectrum as the oracle."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.graph import LogDet, Order, Spectral
from ctvae.graph.acyclicity import Acyclicity

PENALTIES: dict[str, Acyclicity] = {
    "log-det": LogDet(),
    "log-det, s = 40": LogDet(40.0),
    "spectral": Spectral(),
    "spectral, one step": Spectral(steps=1),
}
cases = pytest.mark.parametrize("penalty", PENALTIES.values(), ids=PENALTIES.keys())


def is_dag(matrix: np.ndarray) -> bool:
    return not np.linalg.matrix_power((matrix != 0).astype(object), len(matrix)).any()


def all_graphs(size: int) -> Tensor:
    """Every directed graph without loops, cyclic ones as well."""
    places = [(i, j) for i in range(size) for j in range(size) if i != j]
    graphs = torch.zeros(2 ** len(places), size, size, dtype=torch.float64)
    for bit, (i, j) in enumerate(places):
        graphs[:, i, j] = torch.arange(2 ** len(places)).bitwise_right_shift(bit) % 2
    return graphs


@cases
@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_zero_on_dags_alone(penalty, size, weight, device):
    graphs = all_graphs(size)
    want = torch.tensor([is_dag(graph.numpy()) for graph in graphs])
    got = penalty.penalty((graphs * weight).to(device)).cpu()
    assert got.shape == want.shape
    assert bool((got[want].abs() < 1e-13).all())
    assert bool((got[~want] > 1e-12).all())


@st.composite
def weights(draw: st.DrawFn) -> np.ndarray:
    size = draw(st.integers(2, 7))
    values = st.sampled_from([0.0, 0.0, 0.2, 0.5, 0.9, 1.0, -0.7])
    matrix = np.array(draw(st.lists(values, min_size=size**2, max_size=size**2))).reshape(size, -1)
    np.fill_diagonal(matrix, 0)
    return matrix


@cases
@given(matrix=weights())
@settings(max_examples=60, deadline=None)
def test_zero_means_a_dag(penalty, matrix):
    value = float(penalty.penalty(torch.from_numpy(matrix)))
    assert (abs(value) < 1e-12) == is_dag(matrix)
    assert value > -1e-12


@given(matrix=weights())
@settings(max_examples=60, deadline=None)
def test_log_det_is_the_sum_over_eigenvalues(matrix):
    values = np.linalg.eigvals(matrix**2)
    scale = 7.5
    want = -np.log(1 - values / scale).sum().real if abs(values).max() < scale else math.inf
    got = float(LogDet(scale).penalty(torch.from_numpy(matrix)))
    assert got == pytest.approx(want, abs=1e-9)


def test_the_spectral_penalty_is_the_spectral_radius(device):
    generator = torch.Generator().manual_seed(0)
    dense = torch.rand(20, 9, 9, generator=generator, dtype=torch.float64)
    want = np.abs(np.linalg.eigvals(dense.numpy() ** 2)).max(-1)
    got = Spectral(steps=60).penalty(dense.to(device))
    np.testing.assert_allclose(got.cpu(), want, rtol=1e-6)


@pytest.mark.parametrize("length", [2, 3, 5, 8])
def test_cycles_of_any_length_are_seen_though_the_iteration_is_periodic(length):
    ring = torch.zeros(length, length, dtype=torch.float64)
    for k in range(length):
        ring[k, (k + 1) % length] = 0.5 + 0.1 * k
    want = float(torch.stack([(0.5 + 0.1 * torch.tensor(k)) ** 2 for k in range(length)]).prod())
    got = float(Spectral(steps=120 * length).penalty(ring))
    assert got == pytest.approx(want ** (1 / length), rel=2e-2)


@cases
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_gradients_are_those_of_finite_differences(penalty, seed):
    generator = torch.Generator().manual_seed(seed)
    point = torch.rand(2, 4, 4, generator=generator, dtype=torch.float64) * 0.9
    point[1, 2] = 0  # one matrix with zeros
    assert torch.autograd.gradcheck(penalty.penalty, point.requires_grad_())


@cases
def test_no_gradient_is_nan_on_dags_and_outside_the_domain(penalty, device):
    graphs = torch.cat([all_graphs(3), 1e3 * all_graphs(3)]).float().to(device).requires_grad_()
    value = penalty.penalty(graphs)
    value[torch.isfinite(value)].sum().backward()
    assert graphs.grad is not None
    assert bool(torch.isfinite(graphs.grad).all())
    assert not bool(value.isnan().any())


@cases
def test_descent_ends_in_a_dag(penalty):
    """No cyclic matrix is a resting point: the penalty's gradient alone leads to a DAG."""
    generator = torch.Generator().manual_seed(3)
    point = (torch.rand(5, 5, generator=generator) * 0.9).fill_diagonal_(0).requires_grad_()
    start = float(penalty.penalty(point.detach()))
    optimiser = torch.optim.Adam([point], lr=0.02)
    for _ in range(150):
        optimiser.zero_grad()
        penalty.penalty(point).backward()
        optimiser.step()
    assert float(penalty.penalty(point.detach())) < 1e-2 * start


@cases
def test_relabelling_and_transposing_change_nothing(penalty):
    generator = torch.Generator().manual_seed(5)
    matrix = torch.rand(6, 6, generator=generator, dtype=torch.float64) * 0.5
    order = torch.randperm(6, generator=generator)
    value = penalty.penalty(matrix)
    torch.testing.assert_close(penalty.penalty(matrix[order][:, order]), value)
    torch.testing.assert_close(penalty.penalty(matrix.T), value)


@given(
    priorities=st.lists(st.integers(-20, 20), min_size=1, max_size=6, unique=True),
    temperature=st.sampled_from([0.01, 1.0, 3.0]),
)
@settings(max_examples=50, deadline=None)
def test_masks_of_orders(priorities, temperature):
    values = torch.tensor(priorities, dtype=torch.float64)
    mask = Order(temperature).mask(values)
    both = mask + mask.T
    off = ~torch.eye(len(priorities), dtype=torch.bool)
    torch.testing.assert_close(both[off], torch.ones_like(both[off]))
    assert is_dag((mask > 0.5).numpy())
    assert all(
        bool(mask[i, j] > 0.5) == (priorities[i] < priorities[j]) for i, j in off.nonzero().tolist()
    )


def test_masks_take_batches_and_gradients(device):
    values = torch.randn(3, 2, 4, generator=torch.Generator().manual_seed(0)).double()
    values = values.to(device).requires_grad_()
    mask = Order(0.5).mask(values)
    torch.testing.assert_close(mask[1, 1], Order(0.5).mask(values[1, 1]))
    assert torch.autograd.gradcheck(Order(0.5).mask, values)


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "scale": (lambda: LogDet(0.0), DataError, "above 0, or None"),
    "steps": (lambda: Spectral(steps=0), ShapeError, "at least 1"),
    "temperature": (lambda: Order(-1.0), DataError, "above 0"),
    "not square": (lambda: LogDet().penalty(torch.ones(2, 3)), ShapeError, "square matrices"),
    "integers": (
        lambda: Spectral().penalty(torch.eye(3).long()),
        ShapeError,
        "floating point",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
