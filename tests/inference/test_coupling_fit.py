"""Fitting couplings: exact margins, levels and power of the tests, intervals that cover."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from ctvae.errors import CodeError, DataError, EvidenceError, MechanismError, ShapeError
from ctvae.inference.coupling_fit import CouplingFit, event_interval, fit_coupling
from ctvae.inference.fitted_coupling import FittedCoupling, fit_margins
from ctvae.mechanisms.couplings import Coupling, Gumbel, Independent, Maximal, Monotone

TRUTHS: dict[str, Coupling] = {
    "independent": Independent(),
    "gumbel": Gumbel(),
    "maximal": Maximal(),
    "monotone": Monotone(),
}
P = [0.1, 0.2, 0.3, 0.4]
Q = [0.4, 0.1, 0.2, 0.3]
FITS = 400


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def random_laws(*shape: int, seed: int, sharpness: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.rand(*shape, generator=generator, dtype=torch.float64).clamp(min=1e-2)
    return (sharpness * weight.log()).softmax(-1)


def draw(weights: Tensor, num: int, generator: torch.Generator) -> Tensor:
    return torch.multinomial(weights, num, replacement=True, generator=generator)


def draw_pairs(
    joint: Tensor, num: int, seed: int, misread: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Group, code before, code after; the groups equally often."""
    generator = torch.Generator().manual_seed(seed)
    groups, codes, _ = joint.shape
    cell = draw((joint / groups).reshape(-1), num, generator)
    label, pair = cell // codes**2, cell % codes**2
    sides = []
    for side in (pair // codes, pair % codes):
        other = (side + torch.randint(1, max(codes, 2), (num,), generator=generator)) % codes
        wrong = torch.rand(num, generator=generator) < misread
        sides.append(torch.where(wrong, other, side))
    return label, sides[0], sides[1]


def simulated_fit(
    truth: Coupling, num: int, seed: int, *, misread: float = 0.0, told: float | None = None
) -> CouplingFit:
    p, q = random_laws(2, 2, 3, seed=seed)
    label, x, y = draw_pairs(p[..., None] * truth.kernel(p, q), num, seed, misread)
    told = misread if told is None else told
    return fit_coupling(x, y, p, q, groups=label, misread=told, num_bootstrap=99, seed=seed)


def assert_level(p_values: list[float], level: float, *, exact: bool) -> None:
    """The number of rejections against its binomial law; twelve such limits make 1e-6."""
    false_alarm = 1e-6 / 12
    rejected = sum(p <= level for p in p_values)
    assert rejected <= stats.binom.isf(false_alarm, len(p_values), level)
    if exact:
        assert rejected >= stats.binom.ppf(false_alarm, len(p_values), level)


@pytest.mark.statistical
@pytest.mark.parametrize("misread", [0.0, pytest.param(0.05, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", list(TRUTHS))
def test_p_values_are_uniform_when_the_hypothesis_is_true(name: str, misread: float) -> None:
    fits = [simulated_fit(TRUTHS[name], 1500, seed, misread=misread) for seed in range(FITS)]
    own = "monotone inside" if name == "monotone" else name
    for test, level in itertools.product(("before", "after", own), (0.05, 0.5)):
        found = [fit.test(test).p_value for fit in fits]
        assert None not in found
        assert_level([p for p in found if p is not None], level, exact=True)
    if name == "monotone":
        outside = [fit.test("monotone outside").p_value or 0.0 for fit in fits]
        assert_level(outside, 0.05, exact=False)


@pytest.mark.statistical
@pytest.mark.parametrize("name", list(TRUTHS))
def test_few_pairs_refute_no_more_often_than_they_may(name: str) -> None:
    fits = [simulated_fit(TRUTHS[name], 25, seed) for seed in range(FITS)]
    own = "monotone inside" if name == "monotone" else name
    found = [fit.test(own) for fit in fits]
    assert any(test.degrees is None for test in found)  # drawn tables were used
    for level in (0.05, 0.25):
        assert_level([t.p_value for t in found if t.p_value is not None], level, exact=False)


@pytest.mark.statistical
@pytest.mark.parametrize("name", list(TRUTHS))
def test_five_thousand_pairs_refute_every_coupling_but_the_true_one(name: str) -> None:
    p, q = double([P]), double([Q])
    _, x, y = draw_pairs(p[..., None] * TRUTHS[name].kernel(p, q), 5000, seed=1)
    fit = fit_coupling(x, y, p[0], q[0], num_bootstrap=99)
    for other in ("independent", "gumbel", "maximal"):
        p_value = fit.test(other).p_value
        assert p_value is not None
        assert p_value > 1e-6 if other == name else p_value < 1e-6
    p_value = fit.test("monotone outside").p_value
    assert p_value == (1 if name == "monotone" else 0)
    assert fit.num_pairs == 5000
    assert "5000 pairs" in repr(fit.coupling)


@pytest.mark.statistical
def test_misread_codes_refute_a_true_coupling_unless_they_are_told_of() -> None:
    for name in ("gumbel", "maximal", "monotone"):
        p, q = double([P]), double([Q])
        _, x, y = draw_pairs(p[..., None] * TRUTHS[name].kernel(p, q), 5000, 2, misread=0.1)
        for test in (name,) if name != "monotone" else ("monotone outside", "monotone inside"):
            told = fit_coupling(x, y, p[0], q[0], misread=0.1).test(test).p_value
            untold = fit_coupling(x, y, p[0], q[0]).test(test).p_value
            assert told is not None
            assert told > 1e-6
            assert test == "monotone inside" or untold == 0


def test_one_pair_that_a_coupling_excludes_refutes_it() -> None:
    p, q = double([0.5, 0.5]), double([0.25, 0.75])
    x, y = torch.tensor([1] * 50 + [0] * 50), torch.tensor([1] * 49 + [0] + [0, 1] * 25)
    fit = fit_coupling(x, y, p, q)
    for name in ("gumbel", "maximal", "monotone outside"):
        assert fit.test(name).p_value == 0
    assert fit.test("gumbel").statistic == float("inf")
    assert fit.test("monotone outside").statistic == 1
    told = fit_coupling(x, y, p, q, misread=0.01).test("monotone outside")
    assert told.p_value == pytest.approx(1 - (1 - 0.01) ** 200)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5), st.sampled_from([0, 3, 200]))
def test_fitted_margins_are_exact_and_rows_sum_to_one(seed: int, codes: int, num: int) -> None:
    p, q = random_laws(2, 2, codes, seed=seed, sharpness=3)
    label, x, y = draw_pairs(p[..., None] * Monotone().kernel(p, q), max(num, 1), seed)
    fit = fit_coupling(x, y, p, q, groups=label, num_bootstrap=9)
    seen = label.unique()
    kernel = fit.coupling.kernel(p[seen], q[seen])
    assert float((kernel.sum(-1) - 1).abs().max()) < 1e-12
    assert float((torch.einsum("gi,gij->gj", p[seen], kernel) - q[seen]).abs().max()) < 1e-12
    back = fit.coupling.kernel(q[seen], p[seen])
    torch.testing.assert_close(p[seen, :, None] * kernel, (q[seen, :, None] * back).mT)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_fitting_margins_keeps_odds_ratios(seed: int, codes: int) -> None:
    """Margins and odds ratios fix a positive table, so this is the nearest one.

    Scaling converges slowly where odds ratios are large and margins nearly equal; what the last
    round misses is a probability of at most 1e-6, which weighs more in a small cell.
    """
    p, q = random_laws(2, 3, codes, seed=seed)
    table = random_laws(3, codes * codes, seed=seed + 1, sharpness=2).reshape(3, codes, codes)
    joint = fit_margins(table, p, q)
    torch.testing.assert_close(joint.sum(-1), p, atol=1e-12, rtol=0)
    torch.testing.assert_close(joint.sum(-2), q, atol=1e-12, rtol=0)
    for each in (joint, table):
        ratio = each.log() - each[..., :1].log() - each[:, :1].log() + each[:, :1, :1].log()
        if each is joint:
            fitted = ratio
    torch.testing.assert_close(fitted, ratio, atol=1e-6 / min(1.0, float(joint.min())), rtol=0)


def test_margins_that_fitting_reaches_only_in_the_limit_are_met_all_the_same() -> None:
    """One code keeps its law, so no coupling uses the cell between the two blocks: fitting that
    cell away takes forever, and what is left is spread."""
    table = double([[[0.5, 0.5], [0.0, 0.5]]])
    half = double([[0.5, 0.5]])
    joint = fit_margins(table, half, half)
    torch.testing.assert_close(joint.sum(-1), half, atol=1e-14, rtol=0)
    torch.testing.assert_close(joint.sum(-2), half, atol=1e-14, rtol=0)
    assert float((joint[0] - torch.eye(2) / 2).abs().max()) < 1e-3


@pytest.mark.parametrize("name", list(TRUTHS))
def test_pairs_in_the_exact_proportions_give_the_coupling_back(name: str) -> None:
    p, q = double(P), double(Q)
    truth = TRUTHS[name].kernel(p, q)
    counts = (p[:, None] * truth * 120_000).round().long()
    x, y = (side.repeat_interleave(counts.reshape(-1)) for side in
            (torch.arange(4).repeat_interleave(4), torch.arange(4).repeat(4)))  # fmt: skip
    fit = fit_coupling(x, y, p, q, prior_pairs=1e-3)
    torch.testing.assert_close(fit.coupling.kernel(p, q), truth, atol=2e-4, rtol=0)


@pytest.mark.parametrize("prior", TRUTHS.values(), ids=TRUTHS.keys())
def test_a_heavy_prior_is_the_estimate(prior: Coupling) -> None:
    p, q = double(P), double(Q)
    x, y = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 2, 1, 3])
    fit = fit_coupling(x, y, p, q, prior=prior, prior_pairs=1e9)
    torch.testing.assert_close(fit.coupling.kernel(p, q), prior.kernel(p, q), atol=1e-6, rtol=0)


def test_groups_and_rows_of_laws_say_the_same() -> None:
    p, q = random_laws(2, 3, 4, seed=5)
    p[2], q[2] = p[0], q[0]  # a group of the same two laws is the same group
    label, x, y = draw_pairs(p[..., None] * Gumbel().kernel(p, q), 500, 5)
    by_group = fit_coupling(x, y, p, q, groups=label)
    by_row = fit_coupling(x, y, p[label], q[label])
    assert by_group.tests == by_row.tests
    assert torch.equal(by_group.coupling.joint, by_row.coupling.joint)
    assert len(by_group.coupling.before) == 2
    assert int(by_group.coupling.num_pairs.sum()) == 500


def fitted(device: torch.device, otherwise: Coupling | None = None) -> FittedCoupling:
    p, q = random_laws(2, 2, 3, seed=6).to(device)
    label, x, y = draw_pairs(p.cpu()[..., None] * Gumbel().kernel(p.cpu(), q.cpu()), 300, 6)
    return fit_coupling(
        *(x.to(device), y.to(device), p, q), groups=label.to(device), otherwise=otherwise
    ).coupling


def test_a_fitted_coupling_is_a_coupling(device: torch.device) -> None:
    coupling = fitted(device)
    p, q = coupling.before, coupling.after
    assert isinstance(coupling, Coupling)
    kernel = coupling.kernel(p, q)
    assert kernel.device.type == device.type
    batch = coupling.kernel(p.expand(4, 2, 3), q.expand(4, 2, 3))
    torch.testing.assert_close(batch, kernel.expand(4, 2, 3, 3))
    single = coupling.kernel(p.float(), q.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, kernel.float())
    torch.testing.assert_close(coupling.kernel(p, p), torch.eye(3).to(p).expand(2, 3, 3))
    assert coupling.kernel(p[:0], q[:0]).shape == (0, 3, 3)


def test_laws_that_were_not_seen_are_refused_or_left_to_another_coupling(
    device: torch.device,
) -> None:
    coupling = fitted(device)
    p, q = coupling.before, coupling.after
    other = random_laws(2, 3, seed=7).to(device)
    with pytest.raises(DataError, match=r"2 groups; the nearest differ by .*otherwise=Gumbel"):
        coupling.kernel(p, other)
    both = fitted(device, otherwise=Maximal())
    kernel = both.kernel(torch.stack([p, p]), torch.stack([q, other]))
    torch.testing.assert_close(kernel[0], coupling.kernel(p, q))
    torch.testing.assert_close(kernel[1], Maximal().kernel(p, other))
    torch.testing.assert_close(both.kernel(other, other), Maximal().kernel(other, other))
    with pytest.raises(ShapeError, match="the pairs have 3 codes, got laws of 2"):
        coupling.kernel(p[:, :2], q[:, :2])


@pytest.mark.parametrize("otherwise", [None, Gumbel()])
def test_no_pairs_is_a_fit_that_says_so(otherwise: Coupling | None) -> None:
    none = torch.zeros(0, dtype=torch.long)
    p, q = double(P), double(Q)
    fit = fit_coupling(none, none, p, q, otherwise=otherwise)
    assert fit.num_pairs == 0
    assert {test.reason for test in fit.tests} == {"there are no pairs; give some"}
    assert {test.p_value for test in fit.tests} == {None}
    if otherwise is None:
        with pytest.raises(DataError, match="0 groups; there are none"):
            fit.coupling.kernel(p, q)
        assert torch.equal(fit.coupling.kernel(p, p), torch.eye(4).double())
    else:
        assert torch.equal(fit.coupling.kernel(p, q), otherwise.kernel(p, q))


def test_one_code_leaves_nothing_to_test() -> None:
    zeros, one = torch.zeros(5, dtype=torch.long), torch.ones(1)
    fit = fit_coupling(zeros, zeros, one, one)
    assert {(test.degrees, test.p_value) for test in fit.tests} == {(0, 1.0), (None, 1.0)}


def test_equal_seeds_give_equal_tests_and_nothing_is_changed() -> None:
    p, q = double([P]), double([Q])
    label, x, y = draw_pairs(p[..., None] * Gumbel().kernel(p, q), 20, 8)
    kept = [side.clone() for side in (x, y, p, q, label)]
    first = fit_coupling(x, y, p, q, groups=label, seed=1)
    assert first.tests == fit_coupling(x, y, p, q, groups=label, seed=1).tests
    assert first.tests != fit_coupling(x, y, p, q, groups=label, seed=2).tests
    assert all(torch.equal(a, b) for a, b in zip(kept, (x, y, p, q, label), strict=True))


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_event_intervals_cover(confidence: float) -> None:
    """The chance of covering, by enumeration of all counts of 12 pairs, at many truths."""
    num = 12
    x = torch.tensor([1] * num + [0] * 5)  # five pairs that do not meet the condition
    intervals = []
    for k in range(num + 1):
        y = torch.tensor([2] * k + [1] * (num - k) + [2] * 5)
        found = event_interval(x, y, before_event=[1], after_event=[0, 2], confidence=confidence)
        assert (found.estimate, found.num_pairs) == (k / num, num)
        assert found.lower <= k / num <= found.upper
        intervals.append(found)
    for truth in np.linspace(0, 1, 401):
        covered = sum(
            stats.binom.pmf(k, num, truth)
            for k, found in enumerate(intervals)
            if found.lower <= truth <= found.upper
        )
        assert covered >= confidence - 1e-12


def test_an_event_without_pairs_has_no_estimate() -> None:
    codes = torch.zeros(3, dtype=torch.long)
    assert event_interval(codes, codes, before_event=[1], after_event=[0]) == (None, 0, 1, 0)


X, LAW = torch.tensor([0, 1]), torch.tensor([0.5, 0.5])
ERRORS = {
    "two lengths": (lambda: fit_coupling(X, X[:1], LAW, LAW), ShapeError,
        r"of the same units expected, got torch.int64 \(2,\) and torch.int64 \(1,\)"),
    "codes are numbers": (lambda: fit_coupling(X.float(), X, LAW, LAW), ShapeError,
        "integer codes"),
    "laws of two shapes": (lambda: fit_coupling(X, X, LAW, LAW[None]), ShapeError,
        r"\(groups, codes\) with groups, or \(2, codes\) without expected"),
    "too many laws": (lambda: fit_coupling(X, X, *LAW.expand(2, 3, 2)), ShapeError,
        r"got torch.float32 \(3, 2\) and"),
    "one law with groups": (lambda: fit_coupling(X, X, LAW, LAW, groups=X), ShapeError,
        "with groups"),
    "groups of another length": (
        lambda: fit_coupling(X, X, LAW[None], LAW[None], groups=X[:1]), ShapeError,
        r"groups must be integers \(2,\), got torch.int64 \(1,\)"),
    "unknown group": (lambda: fit_coupling(X, X, LAW[None], LAW[None], groups=X), CodeError,
        r"group 1 is outside 0..0"),
    "unknown code": (lambda: fit_coupling(X, X + 1, LAW, LAW), CodeError,
        r"after 2 is outside 0..1"),
    "no law": (lambda: fit_coupling(X, X, LAW, LAW * 2), MechanismError,
        "after_law must sum to one"),
    "an excluded code": (lambda: fit_coupling(X, X, torch.tensor([1.0, 0.0]), LAW), EvidenceError,
        r"1 pairs have a code before of probability zero \(code 1 first\).*misread="),
    "no prior": (lambda: fit_coupling(X, X, LAW, LAW, prior_pairs=0.0), ShapeError,
        "prior_pairs must be above 0, got 0.0"),
    "misread by half": (lambda: fit_coupling(X, X, LAW, LAW, misread=0.5), ShapeError,
        "misread must be a probability below 0.5, got 0.5"),
    "no tables": (lambda: fit_coupling(X, X, LAW, LAW, num_bootstrap=0), ShapeError,
        "num_bootstrap must be at least 1, got 0"),
    "unknown test": (lambda: fit_coupling(X, X, LAW, LAW).test("gumble"), DataError,
        r"no test is named 'gumble' \(tests: before, after, independent, gumbel"),
    "interval of two lengths": (
        lambda: event_interval(X, X[:1], before_event=[0], after_event=[0]), ShapeError,
        "one code a unit expected"),
    "certain interval": (
        lambda: event_interval(X, X, before_event=[0], after_event=[0], confidence=1.0),
        ShapeError, "confidence must be between 0 and 1, got 1.0"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_what_cannot_be_fitted_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
