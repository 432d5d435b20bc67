"""Dense graph attention: the second form of graph attention networks over whole matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.models.published.edges import uniform
from ctvae.models.published.pair_scores import EdgeTerm, pair_scores

__all__ = ["Edges", "GraphAttention", "Weigh", "edge_softmax", "open_softmax", "with_self_loops"]

SLOPE = 0.2


class Edges(NamedTuple):
    """A directed graph over nodes; entry ``[i, j]`` speaks of ``i -> j``.

    Attributes:
        gate: ``(rows, nodes, nodes)`` 1 where the edge is there, 0 where not.
        weight: ``(rows, nodes, nodes)`` the number that attention sees on the edge.
    """

    gate: Float[Tensor, "rows nodes nodes"]
    weight: Float[Tensor, "rows nodes nodes"]


Weigh: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""From scores ``(rows, nodes, nodes, heads)`` and gates to attention over the sources ``i``."""


def with_self_loops(weight: Float[Tensor, "rows nodes nodes"]) -> Edges:
    """Gives each node an edge to itself, whose weight is the mean of those of its other parents.

    Fault 2: whatever stands on the diagonal is discarded, as graph libraries do by default, so
    every slot reads its own old value, under an empty graph too. Fault 13: an edge drawn as 0 is
    left out, and no gradient reaches its probability.

    Args:
        weight: ``[r, i, j]`` weight of ``i -> j``; 0 where there is no edge.

    Returns:
        The edges. The new loop of a node without other parents has weight 0.

    Example:
        >>> with_self_loops(torch.tensor([[[9.0, 0.5], [0.0, 9.0]]])).weight
        tensor([[[0.0000, 0.5000],
                 [0.0000, 0.5000]]])
    """
    eye = torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)
    others = weight * (1 - eye)
    present = (others != 0).to(weight.dtype)
    kept = others * present  # an absent edge gets no gradient through the mean either
    mean = kept.sum(1) / present.sum(1).clamp(min=1)
    return Edges(present + eye, kept + eye * mean[:, None])


def edge_softmax(
    scores: Float[Tensor, "rows nodes nodes heads"], gate: Float[Tensor, "rows nodes nodes"]
) -> Float[Tensor, "rows nodes nodes heads"]:
    """Shares attention among the parents of each node; each must have one.

    Args:
        scores: ``[r, i, j, h]`` of ``i -> j``.
        gate: 1 where the edge is there; gets no gradient.

    Returns:
        Attention, which sums to one over ``i``.

    Example:
        >>> edge_softmax(torch.zeros(1, 2, 2, 1), torch.tensor([[[1.0, 1], [1, 0]]]))[0, ..., 0]
        tensor([[0.5000, 1.0000],
                [0.5000, 0.0000]])
    """
    return scores.masked_fill(gate[..., None] == 0, -torch.inf).softmax(1)


def open_softmax(
    scores: Float[Tensor, "rows nodes nodes heads"], gate: Float[Tensor, "rows nodes nodes"]
) -> Float[Tensor, "rows nodes nodes heads"]:
    r"""Shares attention among the parents of each node and nothing.

    .. math:: \alpha_{ij} = \frac{g_{ij} e^{s_{ij}}}{1 + \sum_k g_{kj} e^{s_{kj}}}

    A node without parents reads nothing at all, and the gradient reaches the gates of absent edges.

    Args:
        scores: ``[r, i, j, h]`` of ``i -> j``.
        gate: 1 where the edge is there, differentiable.

    Returns:
        Attention, which sums to less than one over ``i``.

    Example:
        >>> open_softmax(torch.zeros(1, 2, 2, 1), torch.tensor([[[1.0, 0], [0, 0]]]))[0, ..., 0]
        tensor([[0.5000, 0.0000],
                [0.0000, 0.0000]])
    """
    top = scores.detach().amax(1, keepdim=True).clamp(min=0)
    shares = gate[..., None] * (scores - top).exp()
    return shares / ((-top).exp() + shares.sum(1, keepdim=True))


class GraphAttention(nn.Module):
    r"""One layer of attention along the edges of a graph, with several heads.

    .. math::
        s_{ij} = a^\top \mathrm{LeakyReLU}(L n_i + R n_j + e_{ij} c), \quad
        n'_j = \textstyle\sum_i \alpha_{ij} L n_i + b

    Args:
        width: The length of a node's features.
        channels: The length of what a head gives.
        heads: How many heads.
        weigh: From scores and gates to attention ``alpha``.
        cells: Numbers of hidden layers held at a time, about.

    Source: Brody, Alon, Yahav (2022), equation 7; the weight of an edge enters the scores alone.
    Cost: O(nodes * width * channels + nodes^2 * channels) for each row and head.
    """

    def __init__(self, width: int, channels: int, heads: int, *, weigh: Weigh, cells: int) -> None:
        super().__init__()
        self.weigh, self.cells = weigh, cells
        out, bound = heads * channels, 1 / math.sqrt(width)
        glorot = math.sqrt(6 / (width + out))
        self.source = uniform(heads, width, channels, bound=glorot)
        self.source_bias = uniform(heads, channels, bound=bound)
        self.target = uniform(heads, width, channels, bound=glorot)
        self.target_bias = uniform(heads, channels, bound=bound)
        self.edge = uniform(heads, channels, bound=math.sqrt(6 / (1 + out)))
        self.score = uniform(heads, channels, bound=math.sqrt(6 / (heads + channels)))
        self.bias = nn.Parameter(torch.zeros(heads, channels))

    def all_heads(
        self, nodes: Float[Tensor, "rows nodes width"], edges: Edges
    ) -> Float[Tensor, "rows nodes out"]:
        """Runs every head.

        Args:
            nodes: Features.
            edges: The graph of each row.

        Returns:
            ``(rows, nodes, heads * channels)``, head by head.
        """
        source = torch.einsum("rnw,hwc->rnhc", nodes, self.source) + self.source_bias
        target = torch.einsum("rnw,hwc->rnhc", nodes, self.target) + self.target_bias
        edge = EdgeTerm(edges.weight, self.edge)
        scores = pair_scores(source, target, self.score, slope=SLOPE, cells=self.cells, edge=edge)
        attention = self.weigh(scores, edges.gate)
        read = torch.einsum("rijh,rihc->rjhc", attention, source)
        return (read + self.bias).flatten(2)

    def one_head(
        self,
        nodes: Float[Tensor, "rows nodes width"],
        edges: Edges,
        head: int | Int[Tensor, " rows"],
    ) -> Float[Tensor, "rows nodes channels"]:
        """Runs one head of each row.

        Args:
            nodes: Features.
            edges: The graph of each row.
            head: Which head, one for all rows or one each.

        Returns:
            ``(rows, nodes, channels)``: that part of what ``all_heads`` gives.
        """
        source = nodes @ self.source[head] + self.source_bias[head].unsqueeze(-2)
        target = nodes @ self.target[head] + self.target_bias[head].unsqueeze(-2)
        scores = pair_scores(
            source.unsqueeze(-2),
            target.unsqueeze(-2),
            self.score[head].unsqueeze(-2),
            slope=SLOPE,
            cells=self.cells,
            edge=EdgeTerm(edges.weight, self.edge[head].unsqueeze(-2)),
        )
        attention = self.weigh(scores, edges.gate)[..., 0]
        return attention.mT @ source + self.bias[head].unsqueeze(-2)
