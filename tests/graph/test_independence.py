"""Batched tests of conditional independence against causal-learn's, scipy and their own law."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ctvae.errors import DataError, ShapeError, StateSpaceError
from ctvae.graph import ChiSquared, FisherZ, GSquared, IndependenceTest, ResidualTest
from ctvae.graph.table_tests import TableTests, chi_squared_tail

TESTS: dict[str, IndependenceTest] = {"gsq": GSquared(), "chisq": ChiSquared()}


def queries(rng: np.random.Generator, slots: int, size: int, tests: int) -> torch.Tensor:
    return torch.from_numpy(
        np.stack([rng.choice(slots, 2 + size, replace=False) for _ in range(tests)])
    )


def ask(test: IndependenceTest, codes: torch.Tensor, lines: torch.Tensor, **rows):
    return test.bind(codes, **rows)(lines[:, 0], lines[:, 1], lines[:, 2:])


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize(("cards", "rows"), [((2, 3, 4, 2, 5, 3, 1), 400), ((9, 14, 20, 7), 300)])
def test_p_values_equal_causal_learns(name, cards, rows):
    """The second case has more cells than rows, and is counted by sorting."""
    from causallearn.utils.cit import CIT

    rng = np.random.default_rng(0)
    base = rng.integers(64, size=rows)
    codes = np.stack([(base + rng.integers(4, size=rows)) % k for k in cards], 1)
    theirs = CIT(codes, name)
    for size in range(3):
        lines = queries(rng, len(cards), size, 12)
        found = ask(TESTS[name], torch.from_numpy(codes), lines).p_value
        want = [theirs(int(x), int(y), tuple(int(k) for k in z)) for x, y, *z in lines.tolist()]
        np.testing.assert_allclose(found.numpy(), want, rtol=2e-8, atol=1e-300)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=5), st.integers(0, 10**6))
def test_sorting_and_tables_agree_and_roles_may_be_exchanged(cards, seed):
    rng = np.random.default_rng(seed)
    codes = torch.from_numpy(np.stack([rng.integers(k, size=80) for k in cards], 1))
    lines = queries(rng, len(cards), int(rng.integers(len(cards) - 1)), 6)
    for test in TESTS.values():
        bound = test.bind(codes)
        assert isinstance(bound, TableTests)
        results = bound(lines[:, 0], lines[:, 1], lines[:, 2:])
        by_sorting = bound._by_sorting(bound._place[lines])
        torch.testing.assert_close(by_sorting[0].clamp(min=0), results.statistic)
        torch.testing.assert_close(by_sorting[1], results.degrees_of_freedom)
        other = bound(lines[:, 1], lines[:, 0], lines[:, 2:].flip(1))
        torch.testing.assert_close(other.p_value, results.p_value)


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("cards", [(2, 3, 2, 4), (8, 9, 7, 8), (60, 50, 40, 30)])
def test_weights_stand_for_repeated_rows(name, cards, device):
    rng = np.random.default_rng(1)
    codes = torch.from_numpy(np.stack([rng.integers(k, size=60) for k in cards], 1)).to(device)
    times = torch.from_numpy(rng.integers(5, size=60)).to(device)  # 0 for some rows
    lines = queries(rng, len(cards), 2, 8)
    merged = ask(TESTS[name], codes, lines, weights=times.double())
    repeated = ask(TESTS[name], codes.repeat_interleave(times, 0), lines)
    for ours, want in zip(merged, repeated, strict=True):
        torch.testing.assert_close(ours, want)


WEIGHTS = {
    "negative": (torch.tensor([1.0, -1.0, 1.0]), DataError, "0 or more, got -1"),
    "not finite": (torch.tensor([1.0, torch.nan, 1.0]), DataError, "0 or more, got nan"),
    "too few": (torch.ones(2), ShapeError, r"weights must be \(3,\), one for each row, got \(2,\)"),
}


@pytest.mark.parametrize(("weights", "error", "told"), WEIGHTS.values(), ids=WEIGHTS.keys())
@pytest.mark.parametrize("test", [GSquared(), ChiSquared(), ResidualTest(), FisherZ()], ids=repr)
def test_weights_that_are_none(test, weights, error, told):
    rows = torch.eye(3) if isinstance(test, FisherZ) else torch.eye(3).long()
    with pytest.raises(error, match=told):
        test.bind(rows, weights=weights)


def test_scipy_agrees_on_a_plain_table():
    rng = np.random.default_rng(2)
    codes = torch.from_numpy(rng.integers(3, size=(200, 2)))
    table = np.histogram2d(codes[:, 0], codes[:, 1], bins=(3, 3))[0]
    lines = torch.tensor([[0, 1]])
    for name, law in (("gsq", "log-likelihood"), ("chisq", "pearson")):
        want = stats.chi2_contingency(table, correction=False, lambda_=law)
        found = ask(TESTS[name], codes, lines)
        assert float(found.statistic) == pytest.approx(want.statistic, rel=1e-12)
        assert float(found.p_value) == pytest.approx(want.pvalue, rel=1e-9)
        assert float(found.degrees_of_freedom) == want.dof
        assert float(found.rows_per_cell) == pytest.approx(200 / 9)


def test_the_tail_equals_scipys():
    statistic = torch.logspace(-3, 3, 50, dtype=torch.float64)
    for freedom in (1, 2, 7, 60, 500):
        ours = chi_squared_tail(statistic, torch.full_like(statistic, freedom))
        np.testing.assert_allclose(ours, stats.chi2.sf(statistic, freedom), rtol=1e-7, atol=1e-300)


@pytest.mark.statistical
def test_under_independence_the_p_value_is_uniform():
    """400 independent data sets; Kolmogorov's bound at a false-alarm rate of 1e-6."""
    rng = np.random.default_rng(3)
    z = rng.integers(3, size=(2000, 1))
    codes = np.concatenate([(z + rng.integers(2, size=(2000, 400))) % 3, z], 1)
    lines = torch.tensor([[2 * k, 2 * k + 1, 400] for k in range(200)])
    for test in TESTS.values():
        p_values = ask(test, torch.from_numpy(codes), lines).p_value.numpy()
        assert stats.kstest(p_values, "uniform").pvalue > 1e-6


def test_a_constant_slot_is_independent_of_all():
    codes = torch.stack([torch.zeros(50, dtype=torch.long), torch.arange(50) % 5], 1)
    for test in TESTS.values():
        found = ask(test, codes, torch.tensor([[0, 1]]))
        assert float(found.p_value) == 1.0
        assert float(found.degrees_of_freedom) == 0.0


def test_a_table_that_no_integer_indexes_is_refused():
    codes = (torch.arange(3000)[:, None] * torch.ones(8, dtype=torch.long)).contiguous()
    with pytest.raises(StateSpaceError, match="too many to index; lower max_conditioning"):
        ask(GSquared(), codes, torch.arange(6)[None])
