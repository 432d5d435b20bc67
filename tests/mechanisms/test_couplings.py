"""Couplings: laws that all hold, brute-force noise, closed forms, and what tells them apart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.mechanisms.couplings import Coupling, Gumbel, Independent, Maximal, Monotone
from tests.oracles import assert_counts_follow

COUPLINGS: dict[str, Coupling] = {
    "gumbel": Gumbel(),
    "monotone": Monotone(),
    "maximal": Maximal(),
    "independent": Independent(),
}
"""Name to object. A new coupling is a new line here, and every law holds it."""
LINKED = {name: coupling for name, coupling in COUPLINGS.items() if name != "independent"}

PAIRS: dict[str, tuple[list[float], list[float]]] = {
    "one code": ([1.0], [1.0]),
    "two codes": ([0.3, 0.7], [0.6, 0.4]),
    "zeros": ([0.0, 0.2, 0.8, 0.0], [0.5, 0.0, 0.5, 0.0]),
    "disjoint": ([0.4, 0.6, 0.0, 0.0], [0.0, 0.0, 0.1, 0.9]),
    "certain": ([0.0, 1.0, 0.0], [0.2, 0.3, 0.5]),
    "to certain": ([0.2, 0.3, 0.5], [0.0, 1.0, 0.0]),
    "equal": ([0.1, 0.2, 0.7], [0.1, 0.2, 0.7]),
    "equal factors": ([0.1, 0.1, 0.4, 0.4], [0.2, 0.2, 0.3, 0.3]),
    "rare": ([1e-20, 1 - 1e-9, 1e-9], [0.5, 1e-20, 0.5]),
    "denormal": ([0.5, 0.5, 0.0], [1e-310, 0.5, 0.5]),
    "rare at the end": ([0.5, 0.5, 1e-30], [0.25, 0.75, 1e-25]),
}


def law(values: list[float], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, device=device)


def random_laws(count: int, codes: int, seed: int, *, zeros: bool = False) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    weight = -torch.rand(count, codes, generator=generator, dtype=torch.float64).log()
    if zeros:
        weight[torch.rand(count, codes, generator=generator) < 0.3] = 0
        weight[:, 0] += (weight.sum(-1) == 0).double()
    return weight / weight.sum(-1, keepdim=True)


def assert_kernel(kernel: Tensor, p: Tensor, q: Tensor, tolerance: float) -> None:
    assert kernel.dtype == p.dtype
    assert kernel.device == p.device
    assert bool((kernel >= 0).all())  # and not one nan
    assert float((kernel.sum(-1) - 1).abs().max()) <= tolerance
    assert float((torch.einsum("...i,...ij->...j", p, kernel) - q).abs().max()) <= tolerance


@st.composite
def pairs_of_laws(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    size = draw(st.integers(1, 9))
    weight = st.sampled_from([0.0, 1e-12, 0.01, 1.0, 2.0, 3.5]) | st.floats(0, 1)
    laws = []
    for _ in range(2):
        weights = draw(st.lists(weight, min_size=size, max_size=size))
        tensor = torch.tensor(weights, dtype=torch.float64)
        if float(tensor.sum()) == 0:
            tensor[draw(st.integers(0, size - 1))] = 1
        laws.append(tensor / tensor.sum())
    return laws[0], laws[1]


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
class TestLawsOfCouplings:
    @pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
    def test_rows_sum_to_one_and_margins_are_met(self, coupling, pair, device):
        p, q = (law(side, device) for side in pair)
        assert isinstance(coupling, Coupling)
        assert_kernel(coupling.kernel(p, q), p, q, 1e-12)

    @settings(max_examples=200, deadline=None)
    @given(pairs_of_laws())
    def test_margins_of_any_laws(self, coupling, pair):
        p, q = pair
        assert_kernel(coupling.kernel(p, q), p, q, 1e-12)

    @pytest.mark.parametrize("codes", [2, 16, 257])
    @pytest.mark.parametrize("zeros", [False, True])
    def test_margins_of_a_batch_of_many_codes(self, coupling, codes, zeros, device):
        p = random_laws(6, codes, 0, zeros=zeros).to(device)
        q = random_laws(6, codes, 1, zeros=zeros).to(device)
        assert_kernel(coupling.kernel(p, q), p, q, 1e-12)

    @pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS.keys())
    def test_single_precision_agrees_with_double(self, coupling, pair, device):
        p, q = (law(side, device) for side in pair)
        single = coupling.kernel(p.float(), q.float())
        assert_kernel(single, p.float(), q.float(), 1e-5)
        weighted = p[:, None] * (single.double() - coupling.kernel(p, q))
        assert float(weighted.abs().max()) <= 1e-5

    def test_a_batch_equals_a_loop(self, coupling, device):
        p = random_laws(12, 5, 2, zeros=True).reshape(3, 4, 5).to(device)
        q = random_laws(12, 5, 3, zeros=True).reshape(3, 4, 5).to(device)
        batch = coupling.kernel(p, q)
        assert batch.shape == (3, 4, 5, 5)
        for a, b in itertools.product(range(3), range(4)):
            torch.testing.assert_close(batch[a, b], coupling.kernel(p[a, b], q[a, b]))

    def test_codes_that_cannot_be_seen_take_the_other_law(self, coupling, device):
        p, q = law([0.0, 0.4, 0.6], device), law([0.5, 0.25, 0.25], device)
        assert torch.equal(coupling.kernel(p, q)[0], q)

    def test_no_rows_is_no_kernels(self, coupling):
        none = torch.empty(0, 4, dtype=torch.float64)
        assert coupling.kernel(none, none).shape == (0, 4, 4)

    def test_the_arguments_stay_as_they_were(self, coupling):
        p, q = random_laws(2, 4, 4)
        before, after = p.clone(), q.clone()
        coupling.kernel(p, q).zero_()
        assert torch.equal(p, before)
        assert torch.equal(q, after)

    @pytest.mark.parametrize(
        ("p", "q", "message"),
        [
            (torch.ones(2), torch.ones(3), r"got before \(2,\) and after \(3,\); expand"),
            (torch.ones(2), torch.ones(4, 2), r"laws of one shape"),
            (torch.ones(2).long(), torch.ones(2), r"as before, got torch.int64 \(2,\)"),
            (torch.ones(2), torch.tensor(1.0), r"as after, got torch.float32 \(\)"),
            (torch.ones(2), [0.5, 0.5], r"as after, got <class 'list'>"),
        ],
    )
    def test_what_is_no_pair_of_laws_is_refused(self, coupling, p, q, message):
        with pytest.raises(ShapeError, match=message):
            coupling.kernel(p, q)

    def test_equal_couplings_are_equal_objects(self, coupling):
        assert coupling == type(coupling)()
        assert repr(coupling) == f"{type(coupling).__name__}()"


@pytest.mark.parametrize("coupling", LINKED.values(), ids=LINKED.keys())
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_equal_laws_keep_every_code_exactly(coupling, dtype, device):
    laws = torch.cat([random_laws(50, 7, 5), random_laws(50, 7, 6, zeros=True)])
    laws[0] = torch.tensor([1e-20, 0.3, 1e-18, 0.7, 0, 1e-30, 1e-20])
    laws = laws.to(device, dtype)
    kernel, identity = coupling.kernel(laws, laws), torch.eye(7, dtype=dtype, device=device)
    seen = laws > 0
    assert torch.equal(kernel[seen], identity.expand_as(kernel)[seen])


@settings(max_examples=100, deadline=None)
@given(pairs_of_laws(), st.randoms(use_true_random=False))
@pytest.mark.parametrize("name", ["gumbel", "maximal", "independent"])
def test_renaming_codes_renames_the_kernel(name, pair, random):
    p, q = pair
    order = list(range(len(p)))
    random.shuffle(order)
    kernel = COUPLINGS[name].kernel(p, q)
    renamed = COUPLINGS[name].kernel(p[order], q[order])
    joint = p[:, None] * kernel
    torch.testing.assert_close(p[order, None] * renamed, joint[order][:, order], atol=1e-12, rtol=0)


@settings(max_examples=200, deadline=None)
@given(pairs_of_laws())
@pytest.mark.parametrize("name", list(LINKED))
def test_the_way_back_is_the_same_joint_law(name, pair):
    p, q = pair
    there, back = LINKED[name].kernel(p, q), LINKED[name].kernel(q, p)
    torch.testing.assert_close(p[:, None] * there, (q[:, None] * back).T, atol=1e-12, rtol=0)


@settings(max_examples=200, deadline=None)
@given(pairs_of_laws())
@pytest.mark.parametrize("name", ["gumbel", "maximal"])
def test_no_unit_leaves_for_a_code_that_grew_less(name, pair):
    """Counterfactual stability, Oberst and Sontag (2019), definition 2."""
    p, q = pair
    joint = p[:, None] * LINKED[name].kernel(p, q)
    for i, j in itertools.permutations(range(len(p)), 2):
        if q[i] * p[j] >= q[j] * p[i]:
            assert float(joint[i, j]) <= 1e-15


def test_stability_is_what_monotone_lacks():
    p = torch.tensor([0.2, 0.4, 0.4]).double()
    q = torch.tensor([0.1, 0.3, 0.6]).double()
    joint = p[:, None] * Monotone().kernel(p, q)
    assert q[1] / p[1] > q[0] / p[0]
    assert float(joint[0, 1]) > 0.09  # allowed by stability
    p, q = torch.tensor([0.5, 0.2, 0.3]).double(), torch.tensor([0.45, 0.12, 0.43]).double()
    joint = p[:, None] * Monotone().kernel(p, q)
    assert q[0] / p[0] > q[1] / p[1]
    assert float(joint[0, 1]) > 0.04  # 0 grew more than 1, and is left for it


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("p", "q"),
    [
        ([0.3, 0.7], [0.6, 0.4]),
        ([0.1, 0.2, 0.3, 0.4], [0.4, 0.1, 0.35, 0.15]),
        ([0.25, 0.0, 0.35, 0.4], [0.0, 0.3, 0.2, 0.5]),
        ([0.1, 0.1, 0.4, 0.4], [0.2, 0.2, 0.3, 0.3]),
        ([0.05, 0.15, 0.1, 0.3, 0.25, 0.15], [0.3, 0.05, 0.2, 0.15, 0.1, 0.2]),
    ],
)
def test_gumbel_is_the_law_of_drawn_gumbel_noise(p, q, device):
    """One set of noises, two laws, two argmaxima; Pearson's test at a false alarm of 1e-6."""
    before, after = law(p, device), law(q, device)
    generator = torch.Generator(device=device).manual_seed(7)
    uniform = torch.rand(
        500_000, len(p), generator=generator, dtype=torch.float64, device=device
    ).clamp(min=1e-300)
    noise = -(-uniform.log()).log()
    seen, other = (before.log() + noise).argmax(-1), (after.log() + noise).argmax(-1)
    counts = torch.bincount(seen * len(p) + other, minlength=len(p) ** 2)
    joint = before[:, None] * Gumbel().kernel(before, after)
    joint[joint < 1e-15] = 0  # equal factors differ by one rounding
    assert_counts_follow(counts.cpu().numpy(), joint.cpu().numpy())


@pytest.mark.parametrize("name", ["gumbel", "monotone"])
def test_of_two_codes_there_is_one_coupling_that_moves_one_way(name):
    """The largest diagonal, min(p, q), leaves one table; every coupling but fresh noise has it."""
    p, q = random_laws(100, 2, 8), random_laws(100, 2, 9)
    kernel = COUPLINGS[name].kernel(p, q)
    torch.testing.assert_close(kernel, Maximal().kernel(p, q), atol=1e-12, rtol=1e-12)


def test_gumbel_of_three_codes_by_numerical_integration():
    """P(j | i) = E_T int T q_j exp(-T H(tau)) dtau, with Gauss-Laguerre nodes in T."""
    p = torch.tensor([0.5, 0.3, 0.2]).double()
    q = torch.tensor([0.2, 0.3, 0.5]).double()
    a = (p / q).numpy()
    grid = np.linspace(a.min(), a.max(), 200_001)
    middle = (grid[1:] + grid[:-1]) / 2
    hazard = sum(q[v].item() * np.clip(middle - a[v], 0, None) for v in range(3))
    weights, expected = np.diff(grid), np.zeros((3, 3))
    nodes, masses = np.polynomial.laguerre.laggauss(60)
    density = sum(m * t * np.exp(-t * hazard) for t, m in zip(nodes, masses, strict=True))
    for i, j in itertools.permutations(range(3), 2):
        inside = (middle > a[j]) & (middle < a[i])
        expected[i, j] = q[j].item() * (density * weights)[inside].sum()
    np.fill_diagonal(expected, 1 - expected.sum(1))
    assert np.abs(Gumbel().kernel(p, q).numpy() - expected).max() < 1e-5


def test_monotone_is_the_law_of_one_quantile(device):
    p = law([0.1, 0.0, 0.2, 0.3, 0.4], device)
    q = law([0.3, 0.25, 0.05, 0.0, 0.4], device)
    quantiles = (torch.arange(200_000, device=device).double() + 0.5) / 200_000
    seen = torch.searchsorted(p.cumsum(0), quantiles)
    other = torch.searchsorted(q.cumsum(0), quantiles)
    counts = torch.bincount(seen * 5 + other, minlength=25).reshape(5, 5) / 200_000
    joint = p[:, None] * Monotone().kernel(p, q)
    torch.testing.assert_close(joint, counts.double(), atol=1e-5, rtol=0)


@settings(max_examples=100, deadline=None)
@given(pairs_of_laws())
def test_monotone_moves_least_far_and_maximal_changes_least_often(pair):
    p, q = pair
    codes = torch.arange(len(p)).double()
    far = (codes[:, None] - codes).abs()
    change = {n: p[:, None] * c.kernel(p, q) * (far > 0) for n, c in COUPLINGS.items()}
    distance = {name: float((table * far).sum()) for name, table in change.items()}
    assert min(distance.values()) >= distance["monotone"] - 1e-12
    assert distance["monotone"] == pytest.approx(  # the area between the two cdfs
        float((p.cumsum(0) - q.cumsum(0)).abs().sum()), abs=1e-12
    )
    changed = {name: float(table.sum()) for name, table in change.items()}
    assert min(changed.values()) >= changed["maximal"] - 1e-12
    assert changed["maximal"] == pytest.approx(float((p - q).abs().sum()) / 2, abs=1e-12)
