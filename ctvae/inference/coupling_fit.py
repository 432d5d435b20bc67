"""Estimating how noise links two worlds, from the codes of the same units in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import CodeError, DataError, EvidenceError, ShapeError
from ctvae.inference.bounds import check_law
from ctvae.inference.coupling_tests import (
    CouplingTest,
    kernel_test,
    misread_kernel,
    misread_law,
    monotone_tests,
)
from ctvae.inference.fitted_coupling import FittedCoupling, fit_margins
from ctvae.mechanisms.couplings import Coupling, Gumbel, Independent, Maximal
from ctvae.randomness import Seed, make_generator

__all__ = ["CouplingFit", "PairInterval", "event_interval", "fit_coupling"]


NAMED: dict[str, Coupling] = {
    "independent": Independent(),
    "gumbel": Gumbel(),
    "maximal": Maximal(),
}
"""The couplings that are tested by their kernel; the monotone one has tests of its own."""


class PairInterval(NamedTuple):
    """An exact interval for a probability, from pairs.

    Attributes:
        estimate: The share of the pairs; ``None`` without pairs.
        lower: The lower end.
        upper: The upper end.
        num_pairs: The pairs that meet the condition.
    """

    estimate: float | None
    lower: float
    upper: float
    num_pairs: int


@dataclass(frozen=True, eq=False)
class CouplingFit:
    """An estimated coupling, and what the pairs say of the couplings with a name.

    Attributes:
        coupling: The estimate.
        tests: In order: ``before`` and ``after``, that the codes follow their own laws (if they do
            not, the mechanism is wrong, or units were chosen by their code, and the tests after
            them mean little); ``independent``, that noise is not shared; ``gumbel``; ``maximal``;
            ``monotone outside`` and ``monotone inside``.
        num_pairs: The pairs used.
    """

    coupling: FittedCoupling
    tests: tuple[CouplingTest, ...]
    num_pairs: int

    def test(self, name: str) -> CouplingTest:
        """Looks up a test.

        Args:
            name: Its name.

        Returns:
            The test.

        Raises:
            DataError: When there is none of this name.
        """
        for test in self.tests:
            if test.name == name:
                return test
        msg = f"no test is named {name!r} (tests: {', '.join(t.name for t in self.tests)})"
        raise DataError(msg)


def fit_coupling(
    before_codes: Int[Tensor, " pairs"],
    after_codes: Int[Tensor, " pairs"],
    before_law: Float[Tensor, "*rows codes"],
    after_law: Float[Tensor, "*rows codes"],
    *,
    groups: Int[Tensor, " pairs"] | None = None,
    prior: Coupling | None = None,
    prior_pairs: float = 1.0,
    otherwise: Coupling | None = None,
    misread: float = 0.0,
    num_bootstrap: int = 999,
    seed: Seed = 0,
) -> CouplingFit:
    r"""Estimates the coupling of one slot from units seen in two worlds, and tests those named.

    .. math::
        \hat\pi = \arg\min_\pi \mathrm{KL}\big(\pi \,\|\, N + n_0 \pi^0\big) \quad \text{with} \quad
        \sum_j \pi_{ij} = p_i, \quad \sum_i \pi_{ij} = q_j

    The counts N of each pair of laws, smoothed by :math:`n_0` pairs of a prior coupling, are fitted
    to the margins, which the mechanism already knows, by iterative proportional fitting; what
    misses the margins after 1,000 rounds is spread over the table. Codes must be of the same unit
    with the same noise, not measured twice with fresh noise. Each test asks whether these pairs
    could come from one coupling; that it is not refuted does not make it true.

    Args:
        before_codes: The slot's code of each unit in the first world.
        after_codes: Its code in the other world.
        before_law: The law p of the code before, ``(codes,)`` for all, ``(groups, codes)`` with
            ``groups``, or ``(pairs, codes)`` without.
        after_law: The law q of the code after.
        groups: The group of each pair: the number of its parents' row in both worlds. Groups of
            equal laws are one.
        prior: What the estimate goes back to where pairs are few; ``Independent()`` where ``None``.
        prior_pairs: The prior's weight in pairs, above 0, per group.
        otherwise: The coupling for laws that were not seen; ``None`` to refuse them.
        misread: The probability that one code is read wrongly, as any other one; used by the tests
            and not by the estimate, which is of codes as they are read.
        num_bootstrap: How many tables a test draws where cells are thin.
        seed: Their randomness.

    Returns:
        The estimate and the tests.

    Raises:
        ShapeError: When codes, laws and groups do not match, or a setting is out of range.
        CodeError: When a code or a group is outside its range.
        MechanismError: When a law does not sum to one.
        EvidenceError: When a code was read that its law excludes, and ``misread`` is 0.

    Example:
        >>> p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
        >>> before = torch.tensor([0, 0, 1, 1]).repeat(50)
        >>> after = torch.tensor([0, 1, 1, 1]).repeat(50)
        >>> fit = fit_coupling(before, after, p, q)
        >>> fit.coupling.kernel(p, q).round(decimals=2)  # Gumbel-max would give this, too
        tensor([[0.5000, 0.5000],
                [0.0000, 1.0000]])
        >>> fit.test("gumbel").p_value, fit.test("independent").p_value < 1e-6
        (1.0, True)

    Cost: O(pairs + groups * codes^2 * rounds), and that of the tests.
    """
    _check_settings(prior_pairs, misread, num_bootstrap)
    label, p, q = _groups(before_codes, after_codes, before_law, after_law, groups)
    counts = _count(label, before_codes, after_codes, p.shape)
    if misread == 0:
        _check_possible(counts.sum(-1), p, "before")
        _check_possible(counts.sum(-2), q, "after")
    base = (prior or Independent()).kernel(p, q)
    joint = fit_margins(counts + prior_pairs * p[..., None] * base, p, q)
    coupling = FittedCoupling(p, q, joint, counts.sum((-1, -2)).long(), otherwise)
    generator, codes = make_generator(seed, p.device), p.shape[-1]
    tests = [
        kernel_test(
            name, side, misread_law(law, misread), num_bootstrap=num_bootstrap, generator=generator
        )
        for name, side, law in (("before", counts.sum(-1), p), ("after", counts.sum(-2), q))
    ]
    for name, hypothesis in NAMED.items():
        read = misread_kernel(p, q, hypothesis.kernel(p, q), misread)
        flat = counts.reshape(-1, codes), read.reshape(-1, codes)
        tests.append(kernel_test(name, *flat, num_bootstrap=num_bootstrap, generator=generator))
    tests += monotone_tests(
        counts, p, q, misread=misread, num_bootstrap=num_bootstrap, generator=generator
    )
    return CouplingFit(coupling, tuple(tests), len(before_codes))


def event_interval(
    before_codes: Int[Tensor, " pairs"],
    after_codes: Int[Tensor, " pairs"],
    *,
    before_event: Sequence[int],
    after_event: Sequence[int],
    confidence: float = 0.95,
) -> PairInterval:
    r"""Gives an exact interval for P(x' in B | x in A), from pairs and nothing else.

    .. math:: [\, B_{\alpha/2}(k, n - k + 1), \; B_{1 - \alpha/2}(k + 1, n - k) \,]

    With pairs in which the cause was taken away, A the codes where the effect is there and B those
    where it is not, this is the probability of necessity; with the cause added and the events the
    other way round, of sufficiency. It assumes no coupling and no law, only fair pairs.

    Args:
        before_codes: The slot's code of each unit in the first world.
        after_codes: Its code in the other world.
        before_event: The codes A.
        after_event: The codes B.
        confidence: The least probability that the interval covers, in (0, 1).

    Returns:
        The interval; 0 and 1 without pairs in A.

    Raises:
        ShapeError: When the codes do not match, or the confidence is outside (0, 1).

    Example:
        >>> before, after = torch.ones(10).long(), torch.zeros(10).long()
        >>> interval = event_interval(before, after, before_event=[1], after_event=[0])
        >>> interval.estimate, round(interval.lower, 3), interval.upper
        (1.0, 0.692, 1.0)

    Source: Clopper and Pearson (1934), The use of confidence or fiducial limits.
    """
    if before_codes.ndim != 1 or before_codes.shape != after_codes.shape:
        msg = f"one code a unit expected, got {_shapes(before_codes, after_codes)}"
        raise ShapeError(msg)
    if not 0 < confidence < 1:
        msg = f"confidence must be between 0 and 1, got {confidence}"
        raise ShapeError(msg)
    from scipy import stats

    seen, moved = _is_in(before_codes, before_event), _is_in(after_codes, after_event)
    n, k = int(seen.sum()), int((seen & moved).sum())
    if n == 0:
        return PairInterval(None, 0.0, 1.0, 0)
    tail = (1 - confidence) / 2
    lower = float(stats.beta.ppf(tail, k, n - k + 1)) if k else 0.0
    upper = float(stats.beta.ppf(1 - tail, k + 1, n - k)) if k < n else 1.0
    return PairInterval(k / n, lower, upper, n)


def _is_in(codes: Tensor, event: Sequence[int]) -> Bool[Tensor, " pairs"]:
    return torch.isin(codes, torch.tensor(list(event), dtype=codes.dtype, device=codes.device))


def _groups(
    before: Tensor, after: Tensor, before_law: Tensor, after_law: Tensor, groups: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """The group of each pair, and the two laws of each group, groups of equal laws made one."""
    fits = before.ndim == 1 and before.shape == after.shape
    if not fits or before.is_floating_point() or after.is_floating_point():
        msg = f"integer codes (pairs,) of the same units expected, got {_shapes(before, after)}"
        raise ShapeError(msg)
    rows = 1 if groups is None else 2
    laws = f"laws (codes,), (groups, codes) with groups, or ({len(before)}, codes) without"
    if before_law.shape != after_law.shape or before_law.ndim not in {rows, 2}:
        msg = f"{laws} expected, got {_shapes(before_law, after_law)}"
        raise ShapeError(msg)
    if groups is None and before_law.ndim == 2 and len(before_law) != len(before):
        msg = f"{laws} expected, got {_shapes(before_law, after_law)}"
        raise ShapeError(msg)
    check_law("before_law", before_law, 1)
    check_law("after_law", after_law, 1)
    if groups is None:
        one = before_law.ndim == 1
        label = torch.zeros_like(before) if one else torch.arange(len(before), device=before.device)
    elif groups.shape != before.shape or groups.is_floating_point():
        msg = f"groups must be integers {tuple(before.shape)}, got {_shapes(groups)}"
        raise ShapeError(msg)
    else:
        label = groups
    p, q = (side.double().reshape(-1, side.shape[-1]) for side in (before_law, after_law))
    for name, codes, size in (
        ("before", before, p.shape[-1]),
        ("after", after, p.shape[-1]),
        ("group", label, len(p)),
    ):
        outside = (codes < 0) | (codes >= size)
        if bool(outside.any()):
            msg = f"{name} {int(codes[outside][0])} is outside 0..{size - 1}"
            raise CodeError(msg)
    keys, merged = torch.unique(torch.cat([p, q], -1), dim=0, return_inverse=True)
    used, label = torch.unique(merged[label.long()], return_inverse=True)
    p, q = keys[used].chunk(2, -1)
    return label, p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)


def _count(label: Tensor, before: Tensor, after: Tensor, shape: torch.Size) -> Tensor:
    groups, codes = shape
    cell = (label * codes + before.long()) * codes + after.long()
    return torch.bincount(cell, minlength=groups * codes**2).reshape(groups, codes, codes).double()


def _check_possible(counts: Tensor, law: Tensor, side: str) -> None:
    wrong = (law == 0) & (counts > 0)
    if bool(wrong.any()):
        code, num = int(wrong.nonzero()[0, 1]), int(counts[wrong].sum())
        msg = (
            f"{num} pairs have a code {side} of probability zero (code {code} first); give the law "
            "that the units came from, or misread= where codes may be read wrongly"
        )
        raise EvidenceError(msg)


def _check_settings(prior_pairs: float, misread: float, num_bootstrap: int) -> None:
    for name, value, fits, wanted in (
        ("prior_pairs", prior_pairs, prior_pairs > 0, "above 0"),
        ("misread", misread, 0 <= misread < 0.5, "a probability below 0.5"),
        ("num_bootstrap", num_bootstrap, num_bootstrap >= 1, "at least 1"),
    ):
        if not fits:
            msg = f"{name} must be {wanted}, got {value}"
            raise ShapeError(msg)


def _shapes(*tensors: Tensor) -> str:
    return " and ".join(f"{t.dtype} {tuple(t.shape)}" for t in tensors)
