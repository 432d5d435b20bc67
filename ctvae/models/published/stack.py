"""The layers of attention of a CT layer: all heads inside, one or two at the end."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ctvae.models.published.attention import Edges, GraphAttention, Weigh

__all__ = ["AttentionStack"]


class AttentionStack(nn.Module):
    """Graph attention from codes to codes, with one last head for each action and one for none.

    The inner layers hand all heads on. Of the last layer only the heads that are read are run; the
    others would get no gradient.

    Args:
        codes: The length of a node's features, and of what a head of the last layer gives.
        inner: The length of what a head of each inner layer gives.
        heads: How many heads, in every layer.
        weigh: From scores and gates to attention.
        cells: Numbers of hidden layers held at a time, about.
    """

    def __init__(
        self, codes: int, inner: Sequence[int], heads: int, *, weigh: Weigh, cells: int
    ) -> None:
        super().__init__()
        widths = [codes, *(heads * channels for channels in inner)]
        self.inner = nn.ModuleList(
            GraphAttention(width, channels, heads, weigh=weigh, cells=cells)
            for width, channels in zip(widths, inner, strict=False)
        )
        self.last = GraphAttention(widths[-1], codes, heads, weigh=weigh, cells=cells)

    def forward(
        self, nodes: Float[Tensor, "rows nodes codes"], edges: Edges
    ) -> Float[Tensor, "rows nodes width"]:
        """Runs the inner layers.

        Args:
            nodes: Features.
            edges: The graph of each row.

        Returns:
            What the last layer starts from.
        """
        for layer in self.inner:
            assert isinstance(layer, GraphAttention)
            nodes = leaky_relu(layer.all_heads(nodes, edges))
        return nodes

    def read(
        self,
        nodes: Float[Tensor, "rows nodes width"],
        edges: Edges,
        head: int | Int[Tensor, " rows"],
    ) -> Float[Tensor, "rows nodes codes"]:
        """Runs one head of the last layer.

        Args:
            nodes: What ``forward`` gave.
            edges: The graph of each row.
            head: 0 for no action, ``1 + action`` for an action; one for all rows or one each.

        Returns:
            Scores of the codes after.
        """
        return self.last.one_head(nodes, edges, head)
