"""Contexts brought together: which value of one is which value of another."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.data.cells import OPEN, Order
from ctvae.data.linking import LinkedCodes

__all__ = ["align_contexts"]

CLEAR = 5.0
"""Nats by which the best number must beat the second."""
AGREEMENT = 0.75
"""Share of the images of a value that must be read alike, where values have no order."""


def align_contexts(
    linked: LinkedCodes, log_probs: Float[Tensor, "images slots codes"]
) -> LinkedCodes:
    r"""Numbers the values of open contexts as a reader of the known ones reads them.

    The places of a context are its codes up to one number r (on a line, how far up it begins; on a
    circle, how far around). All images of the context vote for it:

    .. math:: \sum_i \log q_k(\mathrm{place}_{ik} + r \mid x_i)

    Where values have no order, each value of a context is a vote of its own. It counts only where
    most of its images are read so, and no other value of its context is.

    Args:
        linked: Codes with places.
        log_probs: What a reader of the known codes says of all images, in nats.

    Returns:
        The codes, with those of contexts that have a clear number filled in.

    Example:
        >>> codes = torch.tensor([[0], [1], [2], [-1], [-1]])
        >>> places = torch.tensor([[0], [1], [2], [0], [1]])
        >>> contexts = torch.tensor([[0], [0], [0], [1], [1]])
        >>> linked = LinkedCodes(codes, places, contexts, (Order.LINE,), (3,), 0, 6)
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
    group = linked.contexts[rows, slot]
    if linked.orders[slot] is Order.NONE:
        code[rows] = _name(group, place[rows], read[rows])
    else:
        code[rows] = _slide(group, place[rows], read[rows], linked.orders[slot])
    return code


def _slide(group: Tensor, place: Tensor, read: Tensor, order: Order) -> Int[Tensor, " rows"]:
    """Codes of contexts on a line or circle, up to one number each."""
    size = read.shape[1]
    moved = place[:, None] + torch.arange(size)
    fits = moved < size
    if order is Order.CIRCLE:
        moved, fits = moved % size, torch.ones_like(fits)
    votes = read.clamp(min=-100).gather(1, moved.clamp(max=size - 1))
    total = torch.zeros(int(group.max()) + 1, size, dtype=torch.float64)
    total.index_add_(0, group, votes.masked_fill(~fits, -torch.inf))
    best = total.topk(min(2, size), dim=1).values
    clear = best[:, 0] - best[:, -1] >= CLEAR
    number = torch.where(clear, total.argmax(1), OPEN)[group]
    return torch.where(number == OPEN, OPEN, (place + number) % size)


def _name(group: Tensor, place: Tensor, read: Tensor) -> Int[Tensor, " rows"]:
    """Codes of contexts without order: each of their values is read by itself."""
    size = read.shape[1]
    cells, cell = torch.stack([group, place], 1).unique(dim=0, return_inverse=True)
    total = torch.zeros(len(cells), size, dtype=torch.float64)
    total.index_add_(0, cell, read.clamp(min=-100))
    best, named = total.topk(min(2, size), dim=1).values, total.argmax(1)
    agree = torch.zeros(len(cells), dtype=torch.float64)
    agree.index_add_(0, cell, (read.argmax(1) == named[cell]).double())
    _, taken, times = torch.stack([cells[:, 0], named], 1).unique(
        dim=0, return_inverse=True, return_counts=True
    )
    clear = (best[:, 0] - best[:, -1] >= CLEAR) & (times[taken] == 1)
    clear &= agree >= AGREEMENT * cell.bincount()
    return torch.where(clear, named, OPEN)[cell]
