"""Exact search over DAGs by dynamic programming over subsets of slots.

A table ``(slots, subsets)`` holds the log weight of every parent set: column ``S`` is the set
whose members are the ones among S's bits; minus infinity rules a set out. Everything runs in log
space, in place-by-place passes over the bits, on the table's device.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "best_dag",
    "edge_probabilities",
    "largest_within",
    "parent_set_prior",
    "total_before",
    "total_within",
]


def parent_set_prior(slots: int, max_parents: int, *, edge_penalty: float = 0.0) -> list[float]:
    r"""Gives the log prior of one parent set of each size.

    :math:`\rho(S) \propto e^{-\lambda |S|} / \binom{K - 1}{|S|}`: without a penalty every size up to
    the largest is as likely as any other, which keeps the many large sets from winning by number.

    Args:
        slots: The number of slots K.
        max_parents: The largest size.
        edge_penalty: Nats taken off for every parent.

    Returns:
        ``max_parents + 1`` log probabilities; summed over all sets they make one.

    Example:
        >>> [round(math.exp(p), 3) for p in parent_set_prior(3, 2)]
        [0.333, 0.167, 0.333]

    Source: Friedman and Koller (2003), Being Bayesian about network structure, section 2.2.
    """  # noqa: E501
    norm = math.log(math.fsum(math.exp(-edge_penalty * size) for size in range(max_parents + 1)))
    return [
        -edge_penalty * size - math.log(math.comb(slots - 1, size)) - norm
        for size in range(max_parents + 1)
    ]


def largest_within(weights: Float[Tensor, "*slots subsets"]) -> Float[Tensor, "*slots subsets"]:
    """Gives for every set of candidates the largest weight of its subsets.

    Args:
        weights: Log weights of sets; entry S is the set of the ones among S's bits.

    Returns:
        A new tensor of the same shape.

    Example:
        >>> largest_within(torch.tensor([0.0, 2.0, 1.0, -torch.inf])).tolist()
        [0.0, 2.0, 1.0, 2.0]

    Cost: one pass for each bit.
    """
    best = weights.clone()
    for bit in range(_bits(best)):
        low, high = _halves(best, bit)
        torch.maximum(low, high, out=high)
    return best


def total_within(weights: Float[Tensor, "*slots subsets"]) -> Float[Tensor, "*slots subsets"]:
    """Gives for every set of candidates the log of the sum over its subsets.

    Args:
        weights: Log weights of sets; entry S is the set of the ones among S's bits.

    Returns:
        A new tensor of the same shape.

    Example:
        >>> total_within(torch.tensor([0.0, 0.0, 0.0, -torch.inf])).exp().round().tolist()
        [1.0, 2.0, 2.0, 3.0]

    Source: the fast zeta transform of Koivisto and Sood (2004), section 4, in log space.
    Cost: one pass for each bit.
    """
    total = weights.clone()
    for bit in range(_bits(total)):
        low, high = _halves(total, bit)
        high.copy_(torch.logaddexp(low, high))
    return total


def total_before(within: Float[Tensor, "slots subsets"]) -> Float[Tensor, " subsets"]:
    """Gives for every set of slots the log of the sum over all orders and DAGs of the set alone.

    Args:
        within: ``(slots, 2^slots)`` log sums over the parent sets within each set, as
            ``total_within`` gives them.

    Returns:
        ``(2^slots,)``; zero for no slot.

    Example:
        >>> total_before(torch.zeros(2, 4)).exp().tolist()  # one DAG, and two orders of two slots
        [1.0, 1.0, 1.0, 2.0]

    Source: Koivisto and Sood (2004), the forward sums.
    Cost: O(slots 2^slots).
    """
    slots, subsets = within.shape
    first = within.new_full((subsets,), -torch.inf)
    first[0] = 0.0
    for layer in _layers(slots, within.device)[1:]:
        for k in range(slots):  # k comes last among the members of each set
            sets = layer[(layer >> k) & 1 == 1]
            rest = sets ^ (1 << k)
            first[sets] = torch.logaddexp(first[sets], first[rest] + within[k, rest])
    return first


def best_dag(weights: Float[Tensor, "slots subsets"]) -> tuple[tuple[int, ...], ...]:
    """Finds a DAG of the largest total weight.

    Args:
        weights: ``(slots, 2^slots)`` log weights of parent sets.

    Returns:
        The parents of each slot, ascending; among DAGs of equal weight always the same one.

    Example:
        >>> w = torch.full((2, 4), -torch.inf)
        >>> w[0, 0], w[1, 0], w[1, 1] = 0.0, 0.0, 1.0  # slot 1 likes the parent set {0}
        >>> best_dag(w)
        ((), (0,))

    Source: Silander and Myllymaki (2006), A simple approach for finding the globally optimal
    Bayesian network structure.

    Cost: O(slots^2 2^slots) time, O(slots 2^slots) memory.
    """
    slots, subsets = weights.shape
    best, argument = weights.clone(), torch.arange(subsets, device=weights.device)
    choice = argument.expand(slots, -1).clone()
    for bit in range(slots):  # the best parent set within every set of candidates
        low, high = _halves(best, bit)
        low_choice, high_choice = _halves(choice, bit)
        better = low >= high
        high.copy_(torch.where(better, low, high))
        high_choice.copy_(torch.where(better, low_choice, high_choice))
    total = torch.full((subsets,), -torch.inf, dtype=weights.dtype, device=weights.device)
    total[0] = 0.0
    sink = torch.zeros(subsets, dtype=torch.long, device=weights.device)
    for layer in _layers(slots, weights.device)[1:]:
        for k in range(slots):  # k comes last among the members of each set
            sets = layer[(layer >> k) & 1 == 1]
            rest = sets ^ (1 << k)
            value = total[rest] + best[k, rest]
            better = value > total[sets]
            total[sets] = torch.where(better, value, total[sets])
            sink[sets] = torch.where(better, torch.full_like(sets, k), sink[sets])
    last, chosen = sink.tolist(), choice.tolist()
    parents: list[tuple[int, ...]] = [()] * slots
    left = subsets - 1
    while left:
        k = last[left]
        left ^= 1 << k
        parents[k] = tuple(p for p in range(slots) if chosen[k][left] >> p & 1)
    return tuple(parents)


def edge_probabilities(
    weights: Float[Tensor, "slots subsets"],
) -> Float[Tensor, "slots slots"]:
    r"""Gives the posterior probability of every edge under an order-modular prior.

    Sums :math:`\prod_k w_k(\mathrm{Pa}_k)` over all pairs (order, DAG that agrees with it): with
    :math:`a_k(C) = \sum_{S \subseteq C} w_k(S)`, forward sums over the sets that come first and
    backward sums over those that come last. A DAG counts once for each of its topological
    orders, so this is not the uniform prior over DAGs.

    Args:
        weights: ``(slots, 2^slots)`` log weights (likelihood times prior) of parent sets.

    Returns:
        ``(slots, slots)`` float64, ``[i, j]`` the probability of ``i -> j``; zeros on the diagonal.

    Example:
        >>> w = torch.full((2, 4), -torch.inf, dtype=torch.float64)
        >>> w[0, 0] = w[1, 0] = w[1, 1] = 0.0  # slot 1 may have the parent 0, slot 0 none
        >>> edge_probabilities(w).tolist()  # 0->1 in one of three (order, DAG) pairs
        [[0.0, 0.333...], [0.0, 0.0]]

    Source: Koivisto and Sood (2004), Exact Bayesian structure discovery in Bayesian networks;
    Koivisto (2006), Advances in exact Bayesian structure discovery, for all edges at once.

    Cost: O(slots^2 2^slots) time, O(slots 2^slots) memory.
    """
    weights = weights.double()
    slots, subsets = weights.shape
    within = total_within(weights)
    first = total_before(within)
    last = torch.full_like(first, -torch.inf)
    last[-1] = 0.0
    for layer in _layers(slots, weights.device)[-2::-1]:
        for k in range(slots):
            sets = layer[(layer >> k) & 1 == 0]
            last[sets] = torch.logaddexp(last[sets], last[sets | (1 << k)] + within[k, sets])
    subset = torch.arange(subsets, device=weights.device)
    result = weights.new_zeros(slots, slots)
    for k in range(slots):
        outside = (subset >> k) & 1 == 0
        around = torch.where(outside, first + last[subset | (1 << k)], -torch.inf)
        for bit in range(slots):  # sum over all candidate sets that hold the parent set
            low, high = _halves(around[None], bit)
            low.copy_(torch.logaddexp(low, high))
        chance = (weights[k] + around - first[-1]).exp()
        for i in range(slots):
            result[i, k] = chance[(subset >> i) & 1 == 1].sum()
    return result.clamp_(0.0, 1.0)


def _halves(table: Tensor, bit: int) -> tuple[Tensor, Tensor]:
    # views of the columns without and with a bit, paired
    split = table.view(*table.shape[:-1], -1, 2, 1 << bit)
    return split[..., 0, :], split[..., 1, :]


def _bits(table: Tensor) -> int:
    return table.shape[-1].bit_length() - 1


def _layers(slots: int, device: torch.device) -> list[Tensor]:
    # the subsets of every size
    subset = torch.arange(2**slots, device=device)
    size = sum((subset >> k) & 1 for k in range(slots)) + torch.zeros_like(subset)
    return [subset[size == count] for count in range(slots + 1)]
