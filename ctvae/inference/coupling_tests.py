"""Tests of couplings against pairs of codes of the same units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.mechanisms.couplings import Monotone

__all__ = ["CouplingTest", "kernel_test", "misread_kernel", "misread_law", "monotone_tests"]

IMPOSSIBLE = 1e-12
"""A cell of smaller probability is taken to be empty up to rounding."""
THIN = 5.0
"""Pearson's statistic is near its limit law where cells expect at least so many pairs (Cochran)."""
THIN_SHARE = 0.2
"""Cells expecting fewer may be pooled while they are no more than this share of all (Cochran)."""
CELLS = 2**22
"""How many cells of simulated tables are held at once; the answer does not depend on it."""


@dataclass(frozen=True)
class CouplingTest:
    """What pairs say of one hypothesis about the noise.

    Attributes:
        name: The hypothesis.
        statistic: Pearson's, or the number of pairs outside; infinite where a pair is impossible;
            ``None`` where the test could not be run.
        degrees: The degrees of freedom of the chi-squared law that the statistic was held against;
            ``None`` where it was not held against one.
        p_value: How probable so large a statistic is under the hypothesis; ``None`` where the test
            could not be run.
        num_pairs: The pairs used.
        reason: Why the test could not be run; ``None`` where it was.
    """

    name: str
    statistic: float | None
    degrees: int | None
    p_value: float | None
    num_pairs: int
    reason: str | None = None


def kernel_test(
    name: str,
    counts: Float[Tensor, "rows codes"],
    chances: Float[Tensor, "rows codes"],
    *,
    num_bootstrap: int,
    generator: torch.Generator,
) -> CouplingTest:
    r"""Tests counts, given the total of each row, against known laws.

    .. math:: X^2 = \sum_{r, v} \frac{(N_{rv} - n_r K_{rv})^2}{n_r K_{rv}}

    A count in a cell of probability zero refutes at once. Else, while at most a fifth of the cells
    expect fewer than 5, those are pooled within their row (and with its next smallest cell, where
    they do not reach 5 together), and the statistic is held against the chi-squared law with one
    degree less than cells in each row. Where more cells are thin nothing is pooled and the
    statistic is held against tables drawn from the hypothesis, which is exact.

    Args:
        name: The hypothesis.
        counts: How often each code came.
        chances: The law of each row under the hypothesis.
        num_bootstrap: How many tables are drawn where cells are thin.
        generator: Their randomness, on the device of the counts.

    Returns:
        The test. Where the hypothesis leaves no choice and no pair contradicts it, statistic and
        degrees are 0 and the p-value is 1.

    Example:
        >>> counts = torch.tensor([[60.0, 40.0], [0.0, 7.0]])
        >>> chances = torch.tensor([[0.5, 0.5], [0.0, 1.0]])
        >>> generator = torch.Generator().manual_seed(0)
        >>> kernel_test("fair", counts, chances, num_bootstrap=99, generator=generator).statistic
        4.0

    Source: Pearson (1900); Cochran (1954), Some methods for strengthening the common chi-squared
    tests; Barnard (1963) for tests against drawn tables.

    Cost: O(cells); times ``num_bootstrap`` where cells are thin.
    """
    total = counts.sum(-1, dtype=torch.float64)
    used = total > 0
    counts, chances, total = counts[used].double(), chances[used].double(), total[used]
    num_pairs = int(total.sum())
    if num_pairs == 0:
        return CouplingTest(name, None, None, None, 0, "there are no pairs; give some")
    possible = chances > IMPOSSIBLE
    if bool((counts[~possible] > 0).any()):
        return CouplingTest(name, float("inf"), None, 0.0, num_pairs)
    chances = torch.where(possible, chances, 0)
    chances = chances / chances.sum(-1, keepdim=True)
    open_cells = possible & (possible.sum(-1, keepdim=True) > 1)
    if not bool(open_cells.any()):
        return CouplingTest(name, 0.0, 0, 1.0, num_pairs)
    expected = total[:, None] * chances
    if float((expected[open_cells] < THIN).double().mean()) <= THIN_SHARE:
        from scipy import stats

        statistic, degrees = _pooled(counts, expected)
        return CouplingTest(
            name, statistic, degrees, float(stats.chi2.sf(statistic, degrees)), num_pairs
        )
    statistic = float(_pearson(counts, expected).sum())
    reached = _drawn_above(statistic, total, chances, num_bootstrap, generator)
    return CouplingTest(name, statistic, None, (1 + reached) / (1 + num_bootstrap), num_pairs)


def monotone_tests(
    counts: Float[Tensor, "groups codes codes"],
    before: Float[Tensor, "groups codes"],
    after: Float[Tensor, "groups codes"],
    *,
    misread: float,
    num_bootstrap: int,
    generator: torch.Generator,
) -> tuple[CouplingTest, CouplingTest]:
    r"""Tests whether units keep their quantile.

    .. math:: P(\text{at least } V \text{ of } n \text{ outside}) \quad \text{with chance} \quad
        1 - (1 - e)^2 \quad \text{each}

    Under the comonotone coupling only the cells of the quantile staircase can occur. Without
    misreading, one pair outside refutes it. Where a code is misread with probability e, a pair
    leaves the staircase with probability at most that of misreading either code, however codes are
    confused, so the first test is valid and conservative. The second holds the pairs inside
    against the law that the coupling gives there.

    Args:
        counts: How often each pair of codes came, by group.
        before: The law of each group in the first world.
        after: The law in the other world.
        misread: The probability e that one code is read wrongly.
        num_bootstrap: How many tables are drawn where cells are thin.
        generator: Their randomness.

    Returns:
        The tests ``monotone outside`` and ``monotone inside``.
    """
    from scipy import stats

    kernel = Monotone().kernel(before, after)
    inside = before[..., None] * kernel > IMPOSSIBLE
    num_pairs, violations = int(counts.sum()), int(counts[~inside].sum())
    if num_pairs == 0:
        outside = CouplingTest(
            "monotone outside", None, None, None, 0, "there are no pairs; give some"
        )
    else:
        chance = 1 - (1 - misread) ** 2
        p_value = float(stats.binom.sf(violations - 1, num_pairs, chance))
        outside = CouplingTest("monotone outside", float(violations), None, p_value, num_pairs)
    read = torch.where(inside, misread_kernel(before, after, kernel, misread), 0)
    codes = counts.shape[-1]
    within = kernel_test(
        "monotone inside",
        torch.where(inside, counts, 0).reshape(-1, codes),
        _normalised(read).reshape(-1, codes),
        num_bootstrap=num_bootstrap,
        generator=generator,
    )
    return outside, within


def misread_kernel(
    before: Float[Tensor, "groups codes"],
    after: Float[Tensor, "groups codes"],
    kernel: Float[Tensor, "groups codes codes"],
    misread: float,
) -> Float[Tensor, "groups codes codes"]:
    r"""Gives the kernel between codes as they are read.

    .. math:: (R^\top \mathrm{diag}(p) K R)_{ij} \,/\, (R^\top p)_i, \qquad
        R = (1 - e) I + \tfrac{e}{m - 1} (1 - I)

    Both codes of a unit are misread independently, and a misread code is any other one of m.

    Args:
        before: The law p of the true code.
        after: The law in the other world, for codes that are never read.
        kernel: The kernel K between true codes.
        misread: The probability e that one code is read wrongly.

    Returns:
        The kernel between read codes.
    """
    if misread == 0:
        return kernel
    joint = misread_law(misread_law(before[..., None] * kernel, misread).mT, misread).mT
    weight = joint.sum(-1, keepdim=True)
    return torch.where(weight > 0, _normalised(joint), after[..., None, :])


def misread_law(
    law: Float[Tensor, "*batch codes"], misread: float
) -> Float[Tensor, "*batch codes"]:
    """Gives the law of a code as it is read.

    Args:
        law: The law of the true code, or any table whose last axis is a code.
        misread: The probability that it is read as any other one.

    Returns:
        The law of the code that is read.
    """
    others = law.shape[-1] - 1
    if misread == 0 or others == 0:
        return law
    return (1 - misread) * law + misread / others * (law.sum(-1, keepdim=True) - law)


def _normalised(table: Tensor) -> Tensor:
    weight = table.sum(-1, keepdim=True)
    return table / torch.where(weight > 0, weight, 1)


def _pearson(counts: Tensor, expected: Tensor) -> Tensor:
    known = expected > 0
    return torch.where(known, (counts - expected) ** 2 / torch.where(known, expected, 1), 0)


def _pooled(counts: Tensor, expected: Tensor) -> tuple[float, int]:
    """Pearson's statistic and its degrees, thin cells pooled within each row."""
    big = expected >= THIN
    rest, rest_seen = (torch.where(big, 0, table).sum(-1) for table in (expected, counts))
    own_cell, has_big = rest >= THIN, big.any(-1)
    joined = ~own_cell & has_big
    smallest = torch.where(big, expected, torch.inf).argmin(-1, keepdim=True)
    expected, seen = (
        torch.where(big, table, 0).scatter_add(-1, smallest, (part * joined)[:, None])
        for table, part in ((expected, rest), (counts, rest_seen))
    )
    apart = _pearson(rest_seen * own_cell, rest * own_cell)
    rows = has_big & (big.sum(-1) + own_cell > 1)  # one cell says nothing
    statistic = (_pearson(seen, expected).sum(-1) + apart)[rows].sum()
    degrees = (big.sum(-1) + own_cell - 1)[rows].sum()
    return float(statistic), int(degrees)


def _drawn_above(
    statistic: float, total: Tensor, chances: Tensor, num: int, generator: torch.Generator
) -> int:
    """How many tables drawn from the hypothesis reach the statistic."""
    left = chances.flip(-1).cumsum(-1).flip(-1)
    share = torch.where(left > 0, chances / torch.where(left > 0, left, 1), 0).clamp(max=1)
    expected, at_once = total[:, None] * chances, max(1, CELLS // chances.numel())
    reached = 0
    for start in range(0, num, at_once):
        draws = min(at_once, num - start)
        remaining, sums = total.expand(draws, -1).clone(), total.new_zeros(draws)
        for v in range(chances.shape[-1]):
            drawn = torch.binomial(remaining, share[:, v].expand_as(remaining), generator)
            remaining = remaining - drawn
            sums = sums + _pearson(drawn, expected[:, v].expand_as(drawn)).sum(-1)
        reached += int((sums >= statistic * (1 - 1e-9)).sum())
    return reached
