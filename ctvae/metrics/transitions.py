"""What changes between two rows of codes, or of factors: sparse transitions, atomic edits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ctvae.errors import ShapeError

__all__ = [
    "EditAtomicity",
    "TransitionSparsity",
    "edit_atomicity",
    "exactly_one_changed",
    "slots_changed",
    "transition_sparsity",
]


def _check(before: Tensor, after: Tensor) -> None:
    if before.ndim != 2 or before.shape != after.shape or not len(before):
        got = f"{tuple(before.shape)} and {tuple(after.shape)}"
        msg = f"need rows before and after of one shape (rows, columns), at least one, got {got}"
        raise ShapeError(msg)


def slots_changed(
    before: Int[Tensor, "pairs slots"], after: Int[Tensor, "pairs slots"]
) -> Int[Tensor, " pairs"]:
    """Counts the slots in which two rows of codes differ.

    Args:
        before: Codes before.
        after: Codes after.

    Returns:
        ``(pairs,)``; 1 is ideal for an action on one factor, and 0 is collapse.

    Example:
        >>> slots_changed(torch.tensor([[0, 1]]), torch.tensor([[0, 2]])).tolist()
        [1]
    """
    return (before != after).sum(1)


class TransitionSparsity(NamedTuple):
    """How many slots change under an action on one factor.

    Attributes:
        mean_changed: Mean number of slots that change.
        exactly_one: Share of pairs in which exactly one slot changes.
        none: Share of pairs in which none does: collapse, which a low mean alone would hide.
    """

    mean_changed: float
    exactly_one: float
    none: float


def transition_sparsity(
    before: Int[Tensor, "pairs slots"], after: Int[Tensor, "pairs slots"]
) -> TransitionSparsity:
    """Measures how many slots change under actions on one factor.

    Args:
        before: Codes before.
        after: Codes after.

    Returns:
        The mean, and the shares of pairs with one change and with none.

    Raises:
        ShapeError: When the two are not of one shape.

    Example:
        >>> before = torch.tensor([[0, 0], [0, 0], [0, 0], [0, 0]])
        >>> transition_sparsity(before, torch.tensor([[1, 0], [0, 1], [0, 0], [1, 1]]))
        TransitionSparsity(mean_changed=1.0, exactly_one=0.5, none=0.25)
    """
    _check(before, after)
    changed = slots_changed(before, after)
    shares = torch.stack([changed, changed == 1, changed == 0]).double().mean(1)
    return TransitionSparsity(*shares.tolist())


def exactly_one_changed(
    before: Int[Tensor, "rows factors"],
    after: Int[Tensor, "rows factors"],
    factor: Int[Tensor, " rows"],
) -> Bool[Tensor, " rows"]:
    """Tells where a named factor changed and no other did.

    Args:
        before: Factors before.
        after: Factors after.
        factor: The factor that was to change, per row.

    Returns:
        ``(rows,)`` booleans.

    Example:
        >>> exactly_one_changed(
        ...     torch.tensor([[0, 1]]), torch.tensor([[0, 2]]), torch.tensor([1])
        ... ).tolist()
        [True]
    """
    differs = before != after
    own = differs.gather(1, factor[:, None])[:, 0]
    return own & (differs.sum(1) == 1)


class EditAtomicity(NamedTuple):
    """What setting one slot does to the factors.

    Attributes:
        atomic: Share of edits after which exactly the named factor differs.
        no_effect: Share after which nothing differs.
        atomic_of_effective: Share of atomic ones among the edits that have an effect; NaN where
            none has.
        mean_changed: Mean number of factors that differ.
    """

    atomic: float
    no_effect: float
    atomic_of_effective: float
    mean_changed: float


def edit_atomicity(
    before: Int[Tensor, "edits factors"],
    after: Int[Tensor, "edits factors"],
    factor: Int[Tensor, " edits"],
) -> EditAtomicity:
    """Measures how far an edit changes its factor alone, edits without effect counted apart.

    A slot that the decoder ignores changes nothing: it breaks no other factor, and is not atomic.

    Args:
        before: Factors before the edit.
        after: Factors after it, as an oracle reads them off the picture.
        factor: The factor that each edit was to change.

    Returns:
        The shares.

    Raises:
        ShapeError: When shapes differ.

    Example:
        >>> before = torch.zeros(4, 2, dtype=torch.long)
        >>> after = torch.tensor([[1, 0], [1, 0], [0, 0], [1, 1]])
        >>> edit_atomicity(before, after, torch.tensor([0, 1, 0, 0]))
        EditAtomicity(atomic=0.25, no_effect=0.25, atomic_of_effective=0.333..., mean_changed=1.0)
    """
    _check(before, after)
    if factor.shape != (len(before),):
        msg = f"need one factor per edit ({len(before)},), got {tuple(factor.shape)}"
        raise ShapeError(msg)
    changed = slots_changed(before, after)
    one = exactly_one_changed(before, after, factor)
    shares = torch.stack([one, changed == 0, changed]).double().mean(1)
    effective = one[changed > 0].double().mean()
    return EditAtomicity(float(shares[0]), float(shares[1]), float(effective), float(shares[2]))
