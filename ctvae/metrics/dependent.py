r"""Information of slots about factors that depend on each other.

Where a causal model links the factors, a perfect slot of one tells of the others as well, and
every score of the plain matrix marks it down. What it tells of factor i *beyond the other factors*
is the right question: for perfect slots these matrices are the identity, whatever the dependence.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.metrics.information import ROUNDING
from ctvae.metrics.rows import check_both

__all__ = ["conditional_information_matrix", "interventional_information_matrix"]


def conditional_information_matrix(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    given: Bool[Tensor, "factors factors"] | None = None,
) -> Float[Tensor, "factors slots"]:
    r"""Measures the share of what is open about a factor, given the others, that each slot tells.

    .. math:: N_{ij} = \frac{I(s_i; z_j \mid s_{G_i})}{H(s_i \mid s_{G_i})}

    with entropies corrected for small samples. Give the result to ``info_modularity``,
    ``info_compactness`` and ``mutual_information_gap``. Rows are counted within every combination
    of the factors given: take several rows for each, or condition on fewer.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        given: ``[i, k]``: whether factor k is held fixed for factor i; all others where ``None``.
            The parents, children and co-parents of i in the true graph (its Markov blanket) are
            enough.

    Returns:
        Figures in [0, 1]; 0 for a factor that the others determine.

    Raises:
        ShapeError: When ``given`` is no (factors, factors) matrix of booleans.

    Example:
        >>> s = torch.tensor([[0, 0], [0, 0], [0, 0], [0, 1], [1, 0], [1, 1], [1, 1], [1, 1]])
        >>> conditional_information_matrix(s, s).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: Cover and Thomas (2006), section 2.5; Miller (1955) on the bias. Cost: O(factors * rows
    * slots * log).
    """
    check_both(factors, codes)
    count = factors.shape[1]
    others = ~torch.eye(count, dtype=torch.bool, device=factors.device)
    given = others if given is None else given.to(factors.device)
    if given.shape != others.shape or given.dtype != torch.bool:
        msg = f"given must be ({count}, {count}) booleans, got {tuple(given.shape)} {given.dtype}"
        raise ShapeError(msg)
    rows = [_shares(factors[:, i], codes, factors[:, (given & others)[i]]) for i in range(count)]
    return torch.stack(rows)


def interventional_information_matrix(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    targets: Bool[Tensor, "rows factors"],
) -> Float[Tensor, "factors slots"]:
    r"""Measures the same share for each factor on the rows in which it was set at random.

    Setting a factor frees it from its causes, so that all its values occur with all of theirs: the
    estimate needs fewer rows than one from observation. Its effects still follow it, and so the
    other factors are held fixed as before. Where *all* factors were set independently there is
    nothing to hold fixed, and ``information_matrix`` is right.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        targets: Which factors were set in which rows.

    Returns:
        Figures in [0, 1].

    Raises:
        ShapeError: When ``targets`` is not one boolean per row and factor.
        DataError: When some factor was never set.

    Example:
        >>> s = torch.tensor([[0, 0], [1, 1], [0, 0], [0, 1]])
        >>> set_in = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]]).bool()
        >>> interventional_information_matrix(s, s, set_in).tolist()
        [[0.0, 0.0], [0.0, 1.0]]

    Cost: that of ``conditional_information_matrix``.
    """
    check_both(factors, codes)
    if targets.shape != factors.shape or targets.dtype != torch.bool:
        got = f"{tuple(targets.shape)} {targets.dtype}"
        msg = f"targets must be {tuple(factors.shape)} booleans, got {got}"
        raise ShapeError(msg)
    never = (~targets.any(0)).nonzero()[:, 0].tolist()
    if never:
        msg = f"factors {never} were set in no row, so nothing can be said of them; leave them out"
        raise DataError(msg)
    rows = []
    for i in range(factors.shape[1]):
        mine = targets[:, i]
        others = torch.arange(factors.shape[1], device=factors.device) != i
        rows.append(_shares(factors[mine, i], codes[mine], factors[mine][:, others]))
    return torch.stack(rows)


def _shares(factor: Tensor, codes: Tensor, given: Tensor) -> Tensor:
    """I(factor; code | given) / H(factor | given) for every slot."""
    stratum = given.unique(dim=0, return_inverse=True)[1] if given.shape[1] else factor * 0
    held, both = stratum[:, None], (stratum * (factor.max() + 1) + factor)[:, None]
    width = codes.max() + 1
    h_given, h_factor = _corrected(held), _corrected(both)
    h_slot, h_all = _corrected(held * width + codes), _corrected(both * width + codes)
    told, open_nats = h_factor + h_slot - h_all - h_given, h_factor - h_given
    share = torch.where((told > ROUNDING) & (open_nats > ROUNDING), told / open_nats, 0.0)
    return share.clamp(max=1)


def _corrected(index: Tensor) -> Tensor:
    """Entropy of every column of large numbers, corrected by Miller's (K - 1) / 2n."""
    rows, columns = index.shape
    width = index.max() + 1
    column = torch.arange(columns, device=index.device)
    value, count = (index + column * width).unique(return_counts=True)
    owner = torch.div(value, width, rounding_mode="floor")
    entropy = torch.zeros(columns, dtype=torch.double, device=index.device)
    entropy.index_add_(0, owner, torch.special.entr(count.double() / rows))
    return entropy + (torch.bincount(owner, minlength=columns) - 1) / (2 * rows)
