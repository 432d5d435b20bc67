"""Imposed codes: what set actions say of the images after them, whatever else responds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ctvae.data.cells import OPEN, Order
from ctvae.data.linking import LinkedCodes
from ctvae.mechanisms.actions import SetAction, part_on, targets_of

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions

__all__ = ["imposed_codes"]


def imposed_codes(pairs: Transitions) -> LinkedCodes | None:
    """Reads off each image the codes that the action before it has set.

    An image after "set slot k to v" shows v in slot k, whatever the image before it showed and
    however the descendants of k respond. Nothing else is used: which slots are held depends on a
    graph that is not known yet. So an image after an action has a code in its targets alone.

    Args:
        pairs: Pairs with labels, of any regime.

    Returns:
        Codes, the values of a slot numbered in their order; ``None`` where an action is no set
        action of known targets, or a slot is set to fewer than two values.

    Example:
        >>> from ctvae.data import SetTo, mini_sprites, transition_pairs
        >>> imposed_codes(transition_pairs(mini_sprites(), SetTo())).cardinalities
        (3, 4, 4, 8, 8)

    Cost: O(pairs).
    """
    parts = []
    for a, action in enumerate(pairs.actions):
        if action.targets is None:
            return None
        for slot in targets_of(action):
            part = part_on(action, slot)
            if not isinstance(part, SetAction):
                return None
            parts.append((a, slot, part.value))
    slots = 1 + max((slot for _, slot, _ in parts), default=-1)
    values = [sorted({v for _, k, v in parts if k == slot}) for slot in range(slots)]
    if min(map(len, values), default=0) < 2:
        return None
    codes = torch.full((len(pairs.images), slots), OPEN)
    contradictions = 0
    for a, slot, value in parts:
        rows = pairs.after[pairs.action == a].cpu()
        code = values[slot].index(value)
        contradictions += int(((codes[rows, slot] != OPEN) & (codes[rows, slot] != code)).sum())
        codes[rows, slot] = code
    return LinkedCodes(
        codes,
        torch.full_like(codes, OPEN),
        torch.arange(len(codes))[:, None].expand(-1, slots),
        (Order.NONE,) * slots,
        tuple(map(len, values)),
        contradictions,
        len(pairs),
    )
