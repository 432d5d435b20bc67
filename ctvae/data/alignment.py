"""Contexts brought together: which value of one is which value of another."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.data.linking import OPEN, LinkedCodes

__all__ = ["align_contexts"]

CLEAR = 5.0
"""Nats by which the best number must beat the second."""


def align_contexts(
    linked: LinkedCodes, log_probs: Float[Tensor, "images slots codes"]
) -> LinkedCodes:
    r"""Numbers the values of open contexts as a reader of the known ones reads them.

    The places of a context are its codes up to one number r (on a line, how far up it begins; on a
    circle, how far around). All images of the context vote for it:

    .. math:: \sum_i \log q_k(\mathrm{place}_{ik} + r \mid x_i)

    Args:
        linked: Codes with places.
        log_probs: What a reader of the known codes says of all images, in nats.

    Returns:
        The codes, with those of contexts that have a clear number filled in.

    Example:
        >>> codes = torch.tensor([[0], [1], [2], [-1], [-1]])
        >>> places = torch.tensor([[0], [1], [2], [0], [1]])
        >>> contexts = torch.tensor([0, 0, 0, 1, 1])
        >>> linked = LinkedCodes(codes, places, contexts, (False,), (3,), 0, 6)
        >>> sure = torch.tensor([0, 1, 2, 1, 2])
        >>> reader = torch.full((5, 1, 3), -9.0).scatter(2, sure[:, None, None], 0.0)
        >>> align_contexts(linked, reader).codes[:, 0].tolist()
        [0, 1, 2, 1, 2]

    Cost: O(images * slots * codes).
    """
    columns = [
        _align(linked, slot, log_probs[:, slot, :size].double().cpu())
        for slot, size in enumerate(linked.cardinalities)
    ]
    return replace(linked, codes=torch.stack(columns, 1))


def _align(linked: LinkedCodes, slot: int, read: Tensor) -> Int[Tensor, " images"]:
    code, place = linked.codes[:, slot].clone(), linked.places[:, slot]
    rows = ((code == OPEN) & (place != OPEN)).nonzero()[:, 0]
    if not len(rows):
        return code
    size, group = read.shape[1], linked.contexts[rows]
    moved = place[rows, None] + torch.arange(size)
    fits = moved < size
    if linked.circles[slot]:
        moved, fits = moved % size, torch.ones_like(fits)
    votes = read[rows].clamp(min=-100).gather(1, moved.clamp(max=size - 1))
    total = torch.zeros(int(group.max()) + 1, size, dtype=torch.float64)
    total.index_add_(0, group, votes.masked_fill(~fits, -torch.inf))
    best = total.topk(min(2, size), dim=1).values
    clear = best[:, 0] - best[:, -1] >= CLEAR
    number = torch.where(clear, total.argmax(1), OPEN)[group]
    found = place[rows] + number
    code[rows] = torch.where(number == OPEN, OPEN, found % size)
    return code
