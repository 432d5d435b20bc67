"""Which slot holds still, or still together, when one factor does: FactorVAE and BetaVAE scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.metrics.rows import check_both, check_codes
from ctvae.randomness import Seed, check_count, make_generator

__all__ = [
    "VotingScore",
    "beta_vae_score",
    "beta_vae_score_of_latents",
    "factor_vae_score",
    "factor_vae_score_of_latents",
]


class VotingScore(NamedTuple):
    """How often a factor that was held fixed is named rightly by looking at slots alone.

    Attributes:
        score: Accuracy on held-out trials.
        chance: One over the number of factors that vary.
        active: ``(slots,)`` the slots that vary at all and so could vote.
    """

    score: float
    chance: float
    active: Bool[Tensor, " slots"]


class _Trials(NamedTuple):
    """Rows drawn with one factor held fixed.

    Attributes:
        factor: ``(trials,)`` the factor held fixed, numbered among those that vary.
        rows: ``(trials, size)`` rows that agree in it.
        num_factors: How many factors vary.
    """

    factor: Int[Tensor, " trials"]
    rows: Int[Tensor, "trials size"]
    num_factors: int


def _draw(factors: Tensor, trials: int, size: int, seed: Seed) -> _Trials:
    check_codes(factors, "factors")
    check_count(trials, "trials", least=2)
    check_count(size, "size", least=2)
    generator, truth = make_generator(seed), factors.cpu()
    truth = truth[:, (truth != truth[0]).any(0)]
    if not truth.shape[1]:
        msg = "no factor varies, so that none can be held fixed"
        raise DataError(msg)
    factor = torch.randint(truth.shape[1], (trials,), generator=generator)
    anchor = torch.randint(len(truth), (trials,), generator=generator)
    place = torch.rand(trials, size, generator=generator, dtype=torch.double)
    # Rows sorted by the value of each factor: those that agree with the anchor lie together.
    values, order = truth.T.contiguous().sort(dim=1, stable=True)
    wanted = truth[anchor, factor][:, None]
    lines = values[factor]
    start = torch.searchsorted(lines, wanted)
    count = torch.searchsorted(lines, wanted, right=True) - start
    rows = order[factor].gather(1, start + (place * count).long())
    return _Trials(factor, rows, truth.shape[1])


def factor_vae_score(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    trials: int = 1000,
    size: int = 64,
    seed: Seed = 0,
) -> VotingScore:
    r"""Measures how often the slot that varies least names the factor held fixed.

    .. math:: \arg\min_j \frac{1 - \sum_v p_{jv}^2}{1 - \sum_v q_{jv}^2}

    with p the frequencies in a trial and q those of all rows: the variance of a nominal code means
    nothing, its Gini impurity does. The slot votes for the factor that it stood for most often in
    the first half of the trials, and the other half is scored.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        trials: How many times a factor is held fixed.
        size: Rows in each trial.
        seed: For the draws.

    Returns:
        The score; constant slots do not vote.

    Raises:
        DataError: When no factor varies.

    Example:
        >>> s = torch.cartesian_prod(torch.arange(4), torch.arange(4)).repeat(9, 1)
        >>> factor_vae_score(s, s.flip(1)).score
        1.0

    Source: Kim and Mnih (2018), Disentangling by factorising, with impurity for variance. Cost:
    O(trials * size * slots * codes).
    """
    check_both(factors, codes)
    number = int(codes.max()) + 1

    def impurity(part: Tensor) -> Tensor:
        """Of each slot; rows are the last but one dimension."""
        told = torch.nn.functional.one_hot(part, number).double().mean(-3)
        return 1 - told.square().sum(-1)

    whole = impurity(codes)
    return _vote(_draw(factors, trials, size, seed), codes, impurity, whole, whole > 0)


def factor_vae_score_of_latents(
    factors: Int[Tensor, "rows factors"],
    latents: Float[Tensor, "rows latents"],
    *,
    least_variance: float = 0.0,
    trials: int = 1000,
    size: int = 64,
    seed: Seed = 0,
) -> VotingScore:
    """Measures the same of numbers on a scale, by variance, as published.

    Args:
        factors: True codes of the factors.
        latents: Latents.
        least_variance: Latents of no more variance do not vote (.05 in the paper; 0, constant
            latents only, is disentanglement_lib's default).
        trials: How many times a factor is held fixed.
        size: Rows in each trial.
        seed: For the draws.

    Returns:
        The score.

    Raises:
        DataError: When no factor varies.

    Source: Kim and Mnih (2018), Disentangling by factorising.
    """
    latents = _check_latents(factors, latents)

    def variance(part: Tensor) -> Tensor:
        return part.var(-2)

    whole = variance(latents)
    drawn = _draw(factors, trials, size, seed)
    return _vote(drawn, latents, variance, whole, whole > least_variance)


def _vote(
    drawn: _Trials,
    slots: Tensor,
    spread: Callable[[Tensor], Tensor],
    whole: Tensor,
    active: Tensor,
) -> VotingScore:
    parts = [spread(slots[rows]) for rows in drawn.rows.to(slots.device).split(64)]
    share = torch.where(active, torch.cat(parts) / whole, torch.inf)
    least, factor = share.argmin(1), drawn.factor.to(slots.device)
    half = len(factor) // 2
    votes = torch.zeros(slots.shape[1], drawn.num_factors, device=slots.device)
    votes.index_put_((least[:half], factor[:half]), votes.new_ones(half), accumulate=True)
    right = votes.argmax(1)[least[half:]] == factor[half:]
    return VotingScore(float(right.double().mean()), 1 / drawn.num_factors, active)


def beta_vae_score(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    trials: int = 1000,
    size: int = 64,
    seed: Seed = 0,
) -> VotingScore:
    r"""Measures how often a linear classifier names the factor that pairs of rows share.

    A trial is ``size`` pairs that agree in one factor; what the classifier sees of it is, for each
    slot, the share of pairs whose codes differ:

    .. math:: \tfrac{1}{L} \sum_l 1[z_{lj} \ne z'_{lj}]

    The published absolute difference means nothing for nominal codes. The weakest of the scores:
    slots need only move *differently* for different factors.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        trials: How many times a factor is held fixed; half of them fit the classifier.
        size: Pairs in each trial.
        seed: For the draws.

    Returns:
        The score.

    Raises:
        DataError: When no factor varies.

    Example:
        >>> s = torch.cartesian_prod(torch.arange(4), torch.arange(4)).repeat(9, 1)
        >>> beta_vae_score(s, s.flip(1)).score
        1.0

    Source: Higgins et al. (2017), beta-VAE, with disagreement for distance.
    """
    check_both(factors, codes)
    drawn = _draw(factors, trials, 2 * size, seed)
    active = (codes != codes[0]).any(0)
    return _classify(drawn, codes, lambda a, b: (a != b).double(), active)


def beta_vae_score_of_latents(
    factors: Int[Tensor, "rows factors"],
    latents: Float[Tensor, "rows latents"],
    *,
    trials: int = 1000,
    size: int = 64,
    seed: Seed = 0,
) -> VotingScore:
    """Measures the same of numbers on a scale, by absolute difference, as published.

    Args:
        factors: True codes of the factors.
        latents: Latents.
        trials: How many times a factor is held fixed; half of them fit the classifier.
        size: Pairs in each trial.
        seed: For the draws.

    Returns:
        The score.

    Raises:
        DataError: When no factor varies.

    Source: Higgins et al. (2017), beta-VAE.
    """
    latents = _check_latents(factors, latents)
    drawn = _draw(factors, trials, 2 * size, seed)
    return _classify(drawn, latents, lambda a, b: (a - b).abs(), latents.var(0) > 0)


def _classify(
    drawn: _Trials,
    slots: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    active: Tensor,
) -> VotingScore:
    from sklearn.linear_model import LogisticRegression

    sides = drawn.rows.to(slots.device).chunk(2, dim=1)
    seen = distance(slots[sides[0]], slots[sides[1]]).mean(1).cpu().numpy()
    factor, half = drawn.factor.numpy(), len(drawn.factor) // 2
    if drawn.num_factors < 2:
        return VotingScore(1.0, 1.0, active)
    model = LogisticRegression(C=100.0, max_iter=2000).fit(seen[:half], factor[:half])
    right = model.predict(seen[half:]) == factor[half:]
    return VotingScore(float(right.mean()), 1 / drawn.num_factors, active)


def _check_latents(factors: Tensor, latents: Tensor) -> Tensor:
    if latents.ndim != 2 or len(latents) != len(factors) or not latents.numel():
        msg = f"latents must be ({len(factors)}, latents), got {tuple(latents.shape)}"
        raise ShapeError(msg)
    return latents.double()
