r"""How much slots tell of factors, in nats: entropies, mutual information, what chance looks like.

The shares :math:`I(s_i; z_j) / H(s_i)` are read as "slot j holds factor i", which is right where
the factors are independent. Where they are not, a perfect slot of one factor tells of the others
too: see ``ctvae.metrics.dependent``.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import cross_tables
from ctvae.metrics.rows import check_both, check_codes
from ctvae.randomness import Seed, check_count, make_generator

__all__ = [
    "corrected_entropies",
    "corrected_information_matrix",
    "corrected_mutual_information",
    "entropies",
    "information_matrix",
    "mutual_information",
    "noise_floor",
]

ROUNDING = 1e-12
"""Nats. Sums of rounded logarithms leave about 1e-16 where nothing is told; the ratio of two such
remainders would be a number like any other, so they are set to 0."""
CHUNK_COLUMNS = 256
"""Shuffled factors are scored in chunks of at most so many columns, to bound memory."""


def entropies(codes: Int[Tensor, "rows columns"]) -> Float[Tensor, " columns"]:
    r"""Measures the entropy of every column from its frequencies.

    .. math:: H(z) = -\sum_v p_v \log p_v

    Too low by about ``(K - 1) / (2 n)`` nats: see ``corrected_entropies``.

    Args:
        codes: Codes of the slots, or values of the factors.

    Returns:
        Nats; 0 for a constant column.

    Example:
        >>> entropies(torch.tensor([[0, 0], [1, 0]])).exp().tolist()  # of a coin, of a constant
        [2.0, 1.0]
    """
    check_codes(codes)
    return torch.special.entr(_frequencies(codes)).sum(1)


def corrected_entropies(codes: Int[Tensor, "rows columns"]) -> Float[Tensor, " columns"]:
    r"""Measures entropies with the bias of small samples taken off to first order.

    .. math:: \hat H(z) + \frac{K - 1}{2 n}

    where K values occur.

    Args:
        codes: Codes of the slots, or values of the factors.

    Returns:
        Nats.

    Source: Miller (1955), Note on the bias of information estimates.
    """
    seen = (_frequencies(codes) > 0).sum(1)
    return entropies(codes) + (seen - 1) / (2 * len(codes))


def _frequencies(codes: Tensor) -> Tensor:
    """Shares ``(columns, codes)``."""
    constant = torch.zeros_like(codes[:, :1])
    return cross_tables(codes, constant, int(codes.max()) + 1, 1)[:, 0, :, 0] / len(codes)


def mutual_information(
    factors: Int[Tensor, "rows factors"], codes: Int[Tensor, "rows slots"]
) -> Float[Tensor, "factors slots"]:
    r"""Measures what each slot tells of each factor, from the frequencies.

    .. math:: I(s_i; z_j) = H(s_i) + H(z_j) - H(s_i, z_j)

    Too high by about ``(K - 1)(L - 1) / (2 n)`` nats, for K values, L codes and n rows: slots of
    pure noise seem to tell something. See ``corrected_mutual_information``.

    Args:
        factors: Values of the factors.
        codes: Codes of the slots.

    Returns:
        Nats, at least 0.

    Example:
        >>> xor = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> mutual_information(xor, (xor[:, :1] + xor[:, 1:]) % 2).tolist()  # of neither alone
        [[0.0], [0.0]]

    Cost: O(rows * factors * slots).
    """
    return _information(_joint(factors, codes))


def corrected_mutual_information(
    factors: Int[Tensor, "rows factors"], codes: Int[Tensor, "rows slots"]
) -> Float[Tensor, "factors slots"]:
    r"""Measures mutual information with the bias of small samples taken off to first order.

    .. math:: \hat I + \frac{K_s + K_z - K_{sz} - 1}{2 n}

    from the numbers of values, of codes, and of joint cells that occur. About 0 in the mean where
    there is nothing to tell, and so below 0 in half of such samples: left as it is, because
    cutting it off would bring the bias back.

    Args:
        factors: Values of the factors.
        codes: Codes of the slots.

    Returns:
        Nats.

    Source: Miller (1955), Note on the bias of information estimates.
    """
    joint = _joint(factors, codes)
    cells = (joint > 0).sum((2, 3))
    sides = (joint.sum(3) > 0).sum(2) + (joint.sum(2) > 0).sum(2)
    return _information(joint) + (sides - cells - 1) / (2 * len(factors))


def information_matrix(
    factors: Int[Tensor, "rows factors"], codes: Int[Tensor, "rows slots"]
) -> Float[Tensor, "factors slots"]:
    r"""Measures the share of each factor's entropy that each slot tells.

    .. math:: N_{ij} = I(s_i; z_j) / H(s_i)

    Normalised by the factor's entropy alone (not symmetric, and not what scikit-learn calls
    normalised). Estimated from the frequencies, and so too high in small samples by about
    ``(K - 1)(L - 1) / (2 n)`` nats over the entropy. Assumes independent factors.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.

    Returns:
        Figures in [0, 1]; a constant factor gives 0.

    Example:
        >>> s = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> information_matrix(s, s).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    share = mutual_information(factors, codes) / entropies(factors)[:, None]
    return share.nan_to_num(0.0).clamp(0, 1)


def corrected_information_matrix(
    factors: Int[Tensor, "rows factors"], codes: Int[Tensor, "rows slots"]
) -> Float[Tensor, "factors slots"]:
    """Measures the same shares with the bias taken off entropies and information.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.

    Returns:
        Figures in [0, 1]; a constant factor gives 0.
    """
    share = corrected_mutual_information(factors, codes) / corrected_entropies(factors)[:, None]
    return share.nan_to_num(0.0).clamp(0, 1)


def _joint(factors: Tensor, codes: Tensor) -> Tensor:
    check_both(factors, codes)
    return cross_tables(factors, codes, int(factors.max()) + 1, int(codes.max()) + 1)


def _information(joint: Tensor) -> Tensor:
    p = joint / joint.sum((2, 3), keepdim=True)
    entr = torch.special.entr
    told = entr(p.sum(3)).sum(2) + entr(p.sum(2)).sum(2) - entr(p).sum((2, 3))
    return torch.where(told > ROUNDING, told, 0.0)


def noise_floor(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    permutations: int = 200,
    seed: Seed = 0,
) -> Float[Tensor, " slots"]:
    """Measures the largest share that each slot seems to tell of any factor where none is told.

    The factors are shuffled against the codes, again and again. A slot of pure noise beats its
    floor, in the share of some factor, with probability ``1 / (permutations + 1)``, whatever the
    number of rows and codes.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        permutations: How many times the rows are shuffled.
        seed: For the shuffles.

    Returns:
        ``(slots,)`` shares, the largest of all shuffles.

    Example:
        >>> s = torch.arange(400)[:, None] % 4
        >>> bool((information_matrix(s, s)[0] > noise_floor(s, s)).all())
        True

    Source: Good (2005), Permutation, parametric and bootstrap tests. Cost: that of ``permutations``
    information matrices.
    """
    check_both(factors, codes)
    check_count(permutations, "permutations", least=1)
    generator, (rows, count) = make_generator(seed), factors.shape
    floor = codes.new_zeros(codes.shape[1]).double()
    part = max(1, CHUNK_COLUMNS // count)
    for start in range(0, permutations, part):
        size = min(part, permutations - start)
        order = torch.rand(size, rows, generator=generator).argsort(1).to(factors.device)
        shuffled = factors[order].transpose(0, 1).reshape(rows, size * count)
        floor = torch.maximum(floor, information_matrix(shuffled, codes).max(0).values)
    return floor
