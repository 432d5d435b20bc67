r"""Scores of an information matrix: does a slot hold one factor, is a factor held by one slot.

Each takes a matrix ``(factors, slots)`` of what slots tell of factors, whatever its estimate:
``information_matrix``, its corrected form, ``conditional_information_matrix`` where factors
depend on each other. ``score_information`` computes them all, with slots of noise and without.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.metrics.information import (
    entropies,
    information_matrix,
    mutual_information,
    noise_floor,
)
from ctvae.metrics.matching import matched_information
from ctvae.randomness import Seed

__all__ = [
    "InformationScores",
    "MatrixScores",
    "info_compactness",
    "info_modularity",
    "modularity",
    "mutual_information_gap",
    "score_information",
]


def _check(information: Tensor) -> Tensor:
    if not isinstance(information, Tensor) or information.ndim != 2:
        got = tuple(information.shape) if isinstance(information, Tensor) else information
        msg = f"an information matrix is (factors, slots), got {got}"
        raise ShapeError(msg)
    if not bool((information >= 0).all()):
        msg = "information must be non-negative; cut off what was corrected below 0: .clamp(min=0)"
        raise DataError(msg)
    return information.double()


def info_modularity(information: Float[Tensor, "factors slots"]) -> float:
    r"""Measures how far each slot tells of one factor alone (InfoM).

    .. math::
        \Big(\tfrac{1}{n_z} \sum_j \frac{\max_i N_{ij}}{\sum_i N_{ij}} - \tfrac{1}{n_s}\Big)
        \Big/ \Big(1 - \tfrac{1}{n_s}\Big)

    A slot of noise tells a little of every factor by chance, and the ratio of such remainders is
    a random number: leave those slots out, as ``score_information`` does. A collapsed model can
    score high here, so never choose one by this figure alone. Assumes independent factors.

    Args:
        information: Shares of the factors' entropies; only the columns of slots that count. A slot
            that tells nothing counts 0.

    Returns:
        A figure in [0, 1]; NaN without slots, or with a single factor, which every slot would hold
        alone.

    Example:
        >>> info_modularity(torch.tensor([[0.9, 0.5], [0.0, 0.5]]))
        0.5

    Source: Hsu et al. (2023), Disentanglement via latent quantization, section 4.
    """
    return _mean_concentration(_check(information))


def info_compactness(information: Float[Tensor, "factors slots"]) -> float:
    r"""Measures how far each factor is told by one slot alone (InfoC).

    .. math::
        \Big(\tfrac{1}{n_s} \sum_i \frac{\max_j N_{ij}}{\sum_j N_{ij}} - \tfrac{1}{n_z}\Big)
        \Big/ \Big(1 - \tfrac{1}{n_z}\Big)

    Two slots with one content are modular and not compact: show both figures. Assumes independent
    factors.

    Args:
        information: Shares of the factors' entropies; only the columns of slots that count, only
            the rows of factors that vary. A factor that no slot tells counts 0.

    Returns:
        A figure in [0, 1]; NaN without factors, or with fewer than two slots.

    Example:
        >>> info_compactness(torch.tensor([[0.9, 0.0], [0.5, 0.5]]))
        0.5

    Source: Hsu et al. (2023), Disentanglement via latent quantization, section 4.
    """
    return _mean_concentration(_check(information).T)


def _mean_concentration(shares: Tensor) -> float:
    """Mean over columns of how far a column lies in one row, from 0 (evenly spread) to 1."""
    kinds, total = len(shares), shares.sum(0)
    if kinds < 2 or not len(total):
        return torch.nan
    ratio = (shares.max(0).values / total - 1 / kinds) / (1 - 1 / kinds)
    return float(torch.where(total > 0, ratio, 0.0).clamp(0, 1).mean())


def mutual_information_gap(information: Float[Tensor, "factors slots"]) -> float:
    r"""Measures by how much the best slot of a factor beats the second best (MIG).

    .. math:: \tfrac{1}{n_s} \sum_i N_{i(1)} - N_{i(2)}

    A figure of compactness, not of modularity: one slot that holds all factors can score 1. Codes
    are counted as they are; libraries that sort them into 20 bins lose a perfect slot of 40.
    Assumes independent factors.

    Args:
        information: Shares of the factors' entropies; only the rows of factors that vary.

    Returns:
        A figure in [0, 1]; a single slot has no rival, a factor that no slot tells counts 0; NaN
        without factors.

    Example:
        >>> mutual_information_gap(torch.tensor([[0.75, 0.25], [0.0, 0.5]]))
        0.5

    Source: Chen et al. (2018), Isolating sources of disentanglement in VAEs.
    """
    shares = _check(information)
    padded = torch.nn.functional.pad(shares, (0, 2))
    best = padded.topk(2, dim=1).values
    return float((best[:, 0] - best[:, 1]).mean())


def modularity(information: Float[Tensor, "factors slots"]) -> float:
    r"""Measures how far each slot tells of one factor alone, in squares.

    .. math::
        1 - \tfrac{1}{n_z} \sum_j
        \frac{\sum_i I_{ij}^2 - \max_i I_{ij}^2}{(n_s - 1) \max_i I_{ij}^2}

    As published it is of raw information in nats (``mutual_information``), where factors of many
    values weigh more; of the shares of ``information_matrix`` it weighs all factors alike.

    Args:
        information: Nats or shares; only the columns of slots that count. A slot that tells
            nothing counts 0.

    Returns:
        A figure in [0, 1]; NaN without slots, or with a single factor.

    Example:
        >>> modularity(torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
        0.5

    Source: Ridgeway and Mozer (2018), Learning deep disentangled embeddings, section 4.1.
    """
    square = _check(information).square()
    kinds, slots = square.shape
    if kinds < 2 or not slots:
        return torch.nan
    best = square.amax(0)
    value = 1 - (square.sum(0) - best) / (best * (kinds - 1))
    return float(torch.where(best > 0, value, 0.0).clamp(0, 1).mean())


class MatrixScores(NamedTuple):
    """The scores of one information matrix.

    Attributes:
        info_modularity: InfoM; NaN with a single factor or without slots.
        info_compactness: InfoC; NaN with fewer than two slots.
        mutual_information_gap: MIG.
        modularity: Of shares, all factors alike.
        raw_modularity: Of nats, as published.
        matched_information: Mean share of a factor told by the slot it is matched with, one to one.
        num_slots: The slots that count.
    """

    info_modularity: float
    info_compactness: float
    mutual_information_gap: float
    modularity: float
    raw_modularity: float
    matched_information: float
    num_slots: int


class InformationScores(NamedTuple):
    """What slots tell of independent factors, with slots of noise left out and with them.

    Attributes:
        pruned: Over the slots that tell more than shuffled rows do, smaller shares set to 0; a
            factor that no slot tells counts 0 in compactness and gap.
        unpruned: Over all slots of more than one code, as published: with slots of noise it is
            too low, with collapsed ones too high.
        information: ``(factors, slots)`` shares of the factors' entropies.
        varies: ``(factors,)`` whether the factor has two values; the others are left out.
        active: ``(slots,)`` whether two codes occur.
        informative: ``(slots,)`` whether the slot tells more than its noise floor.
        recovered: ``(factors,)`` whether some slot tells more of it than its noise floor.
    """

    pruned: MatrixScores
    unpruned: MatrixScores
    information: Float[Tensor, "factors slots"]
    varies: Bool[Tensor, " factors"]
    active: Bool[Tensor, " slots"]
    informative: Bool[Tensor, " slots"]
    recovered: Bool[Tensor, " factors"]


def score_information(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    permutations: int = 200,
    seed: Seed = 0,
) -> InformationScores:
    """Computes all scores of the information matrix.

    Take 5,000 rows or more: frequencies make every figure of information too high (see
    ``information_matrix``), and the more so the fewer rows. The factors must be independent.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        permutations: How many shuffles give the noise floor; a slot that tells nothing is kept
            with probability ``1 / (permutations + 1)``.
        seed: For the shuffles.

    Returns:
        The scores, pruned and unpruned: report both.

    Example:
        >>> s = torch.cartesian_prod(torch.arange(4), torch.arange(4)).repeat(50, 1)
        >>> noise = torch.randint(4, (800, 1), generator=torch.Generator().manual_seed(0))
        >>> found = score_information(s, torch.cat([s, noise], 1))
        >>> found.pruned.info_modularity, found.informative.tolist()
        (1.0, [True, True, False])
        >>> found.unpruned.info_modularity < 0.9
        True

    Source: see each score. Cost: that of ``permutations`` information matrices.
    """
    shares, nats = information_matrix(factors, codes), mutual_information(factors, codes)
    floor = noise_floor(factors, codes, permutations=permutations, seed=seed)
    varies, active = entropies(factors) > 0, entropies(codes) > 0
    told = shares > floor
    informative = told.any(0)
    kept = told[varies][:, informative]
    return InformationScores(
        _score(shares[varies][:, informative] * kept, nats[varies][:, informative] * kept),
        _score(shares[varies][:, active], nats[varies][:, active]),
        shares,
        varies,
        active,
        informative,
        told.any(1),
    )


def _score(shares: Tensor, nats: Tensor) -> MatrixScores:
    return MatrixScores(
        info_modularity(shares),
        info_compactness(shares),
        mutual_information_gap(shares),
        modularity(shares),
        modularity(nats),
        matched_information(shares),
        shares.shape[1],
    )
