"""Scores of every ordered pair of nodes, without a row of channels for each pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import leaky_relu

__all__ = ["EdgeTerm", "pair_scores"]

leaky_relu_backward = torch.ops.aten.leaky_relu_backward
"""The derivative in one pass over memory."""


class EdgeTerm(NamedTuple):
    """What a number on every pair adds to its channels.

    Attributes:
        weight: ``(rows, nodes, nodes)``, a number for each ordered pair.
        channel: ``(heads, channels)`` or ``(rows, heads, channels)``, what one unit of it adds.
    """

    weight: Float[Tensor, "rows nodes nodes"]
    channel: Tensor


def pair_scores(
    first: Float[Tensor, "rows nodes heads channels"],
    second: Float[Tensor, "rows nodes heads channels"],
    readout: Tensor,
    *,
    slope: float,
    cells: int,
    edge: EdgeTerm | None = None,
) -> Float[Tensor, "rows nodes nodes heads"]:
    r"""Scores every ordered pair by a hidden layer over two projections of its nodes.

    .. math:: s_{ij} = w^\top \, \mathrm{LeakyReLU}(u_i + v_j + e_{ij} c)

    for every head. The first layer of a network on the joined pair :math:`[n_i; n_j]` splits into
    the projections :math:`u` and :math:`v`, which are made once for each node. The hidden layer
    over all pairs is never whole in memory, forwards or backwards: nodes ``i`` are taken in parts,
    and made again for the gradient.

    Args:
        first: ``u``, the projections of nodes in the first place.
        second: ``v``, the projections of nodes in the second place.
        readout: ``w``, ``(heads, channels)`` or ``(rows, heads, channels)``.
        slope: Of the LeakyReLU below zero.
        cells: Numbers of the hidden layer held at a time, about. Changes no result.
        edge: What a number on the pair adds; nothing where ``None``.

    Returns:
        ``scores[r, i, j, h]``.

    Example:
        >>> u, v = torch.tensor([1.0, 2.0]), torch.tensor([0.0, -3.0])
        >>> u, v = u.reshape(1, 2, 1, 1), v.reshape(1, 2, 1, 1)
        >>> pair_scores(u, v, torch.ones(1, 1), slope=0.5, cells=2)[..., 0]
        tensor([[[ 1.0000, -1.0000],
                 [ 2.0000, -0.5000]]])

    Cost: O(rows * nodes^2 * heads * channels) time; O(rows * nodes * (nodes + channels) * heads
    + cells) memory.
    """
    whole = (len(first), *first.shape[2:])
    size = max(1, cells // (first.numel() or 1))
    added = () if edge is None else (edge.weight, edge.channel.expand(whole))
    tensors = (first, second, readout.expand(whole), *added)
    scores: Tensor = _PairScores.apply(slope, size, *tensors)  # type: ignore[no-untyped-call]  # torch does not annotate apply
    return scores


class _Context(Protocol):
    """What a pass keeps for its gradient."""

    slope: float
    size: int
    saved_tensors: tuple[Tensor, ...]
    save_for_backward: Callable[..., None]


class _PairScores(torch.autograd.Function):
    """The hidden layer in parts, made again in the backward pass."""

    @staticmethod
    def forward(ctx: _Context, slope: float, size: int, *tensors: Tensor) -> Tensor:
        ctx.slope, ctx.size = slope, size
        ctx.save_for_backward(*tensors)
        readout = tensors[2][:, None, None]
        parts = [
            leaky_relu(hidden, slope, inplace=True).mul_(readout).sum(-1)
            for _, hidden in _hidden(tensors, size)
        ]
        return torch.cat(parts, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, outer: Tensor) -> tuple[Tensor | None, ...]:
        tensors = ctx.saved_tensors  # read once: a checkpoint unpacks them once
        readout, edge = tensors[2][:, None, None], tensors[3:]
        totals = [torch.zeros_like(tensor) for tensor in tensors]
        for part, hidden in _hidden(tensors, ctx.size):
            given = outer[:, part, ..., None]
            through = leaky_relu_backward(given * readout, hidden, ctx.slope, self_is_result=False)
            totals[0][:, part] = through.sum(2)
            totals[1] += through.sum(1)
            totals[2] += leaky_relu(hidden, ctx.slope, inplace=True).mul_(given).sum((1, 2))
            if edge:
                weight, channel = edge[0][:, part, :, None, None], edge[1][:, None, None]
                totals[3][:, part] = (through * channel).sum((3, 4))
                totals[4] += through.mul_(weight).sum((1, 2))
        return (None, None, *totals)


def _hidden(tensors: Sequence[Tensor], size: int) -> Iterator[tuple[slice, Tensor]]:
    """The hidden layer before its LeakyReLU, part by part along the first nodes."""
    first, second, _, *edge = tensors
    for start in range(0, first.shape[1], size):
        part = slice(start, start + size)
        sums = first[:, part, None] + second[:, None]
        if edge:
            weight, channel = edge
            sums.addcmul_(weight[:, part, :, None, None], channel[:, None, None])
        yield part, sums
