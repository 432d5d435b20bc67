"""The tests of couplings against numbers worked out by hand and by enumeration."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from ctvae.inference.coupling_tests import kernel_test, misread_kernel, misread_law
from ctvae.mechanisms.couplings import Gumbel


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_cells_are_pooled_by_hand() -> None:
    """Expected 40, 40, 16, 4 and 50, 50: the 4 joins the 16; two degrees and one."""
    counts = double([[45, 30, 20, 5], [60, 40, 0, 0], [7, 0, 0, 0]])
    chances = double([[0.4, 0.4, 0.16, 0.04], [0.5, 0.5, 0, 0], [1, 0, 0, 0]])
    generator = torch.Generator().manual_seed(0)
    test = kernel_test("by hand", counts, chances, num_bootstrap=9, generator=generator)
    expected = 25 / 40 + 100 / 40 + 25 / 20 + 100 / 50 + 100 / 50
    assert test.statistic == pytest.approx(expected)
    assert test.degrees == 3
    assert test.p_value == pytest.approx(stats.chi2.sf(expected, 3))
    assert (test.num_pairs, test.reason) == (207, None)


def test_misreading_is_two_channels_around_the_kernel() -> None:
    """Each read pair, summed over every true pair by hand."""
    p, q = double([[0.5, 0.3, 0.2]]), double([[0.2, 0.45, 0.35]])
    kernel, e = Gumbel().kernel(p, q), 0.2
    channel = [[1 - e if i == j else e / 2 for j in range(3)] for i in range(3)]
    joint = np.zeros((3, 3))
    for i, j, a, b in itertools.product(range(3), repeat=4):
        joint[a, b] += float(p[0, i] * kernel[0, i, j]) * channel[i][a] * channel[j][b]
    read = misread_kernel(p, q, kernel, e)[0].numpy()
    assert np.allclose(read, joint / joint.sum(1, keepdims=True), atol=1e-14)
    assert np.allclose(misread_law(p, e)[0].numpy(), joint.sum(1), atol=1e-14)


@pytest.mark.statistical
def test_drawn_tables_give_the_exact_p_value(device: torch.device) -> None:
    """All tables of five and three pairs in three cells; 5 standard errors, false alarm 6e-7."""
    chances = double([[0.5, 0.3, 0.2], [0.1, 0.0, 0.9]])
    counts = double([[1, 3, 1], [1, 0, 2]])

    def pearson(first: tuple[int, ...], second: tuple[int, ...]) -> float:
        cells = zip((*first, *second), chances.reshape(-1).tolist(), [5] * 3 + [3] * 3, strict=True)
        return sum((seen - n * c) ** 2 / (n * c) for seen, c, n in cells if c > 0)

    observed = pearson((1, 3, 1), (1, 0, 2))
    exact = 0.0
    rows = [
        [(t, stats.multinomial.pmf(t, n, chance)) for t in itertools.product(range(n + 1), repeat=3)
         if sum(t) == n]
        for n, chance in ((5, chances[0].numpy()), (3, chances[1].numpy()))
    ]  # fmt: skip
    for (first, a), (second, b) in itertools.product(*rows):
        if a * b > 0 and pearson(first, second) >= observed - 1e-9:
            exact += a * b
    generator = torch.Generator(device=device).manual_seed(0)
    test = kernel_test(
        "exact", counts.to(device), chances.to(device), num_bootstrap=20_000, generator=generator
    )
    assert test.statistic == pytest.approx(observed)
    assert test.p_value == pytest.approx(exact, abs=5 * (exact * (1 - exact) / 20_000) ** 0.5)
