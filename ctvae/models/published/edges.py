"""Which slot reads which: one network per action over all ordered pairs of slots."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.models.published.pair_scores import pair_scores

__all__ = ["EdgeNetworks", "TargetNetwork", "uniform"]

SLOPE = 0.01


def uniform(*shape: int, bound: float) -> nn.Parameter:
    """Draws first weights from the global generator.

    Args:
        shape: Of the weights.
        bound: They lie within it of zero.

    Returns:
        The weights.
    """
    return nn.Parameter(torch.empty(*shape).uniform_(-bound, bound))


class EdgeNetworks(nn.Module):
    r"""Networks from the features of two nodes to the log-odds of an edge.

    .. math:: \ell_{ij} = w^\top \mathrm{LeakyReLU}(U n_i + V n_j + b) + b'

    Args:
        width: The length of a node's features.
        hidden: The width of the hidden layer.
        networks: How many such networks.
        cells: Numbers of hidden layers held at a time, about.

    Example:
        >>> EdgeNetworks(4, 8, 3, cells=64)(torch.rand(2, 5, 4), torch.tensor([2, 0])).shape
        torch.Size([2, 5, 5])

    Cost: O(nodes * width * hidden + nodes^2 * hidden) for each row; a network on the joined
    features of all pairs takes O(nodes^2 * width * hidden).
    """

    def __init__(self, width: int, hidden: int, networks: int, *, cells: int) -> None:
        super().__init__()
        self.cells = cells
        inner, outer = 1 / math.sqrt(2 * width), 1 / math.sqrt(hidden)
        self.first = uniform(networks, width, hidden, bound=inner)
        self.second = uniform(networks, width, hidden, bound=inner)
        self.bias = uniform(networks, hidden, bound=inner)
        self.readout = uniform(networks, hidden, bound=outer)
        self.readout_bias = uniform(networks, 1, bound=outer)

    def forward(
        self, nodes: Float[Tensor, "rows nodes width"], network: int | Int[Tensor, " rows"]
    ) -> Float[Tensor, "rows nodes nodes"]:
        """Scores all ordered pairs.

        Args:
            nodes: Features.
            network: Which network, one for all rows or one each.

        Returns:
            Log-odds ``[r, i, j]`` of the pair ``(i, j)``.
        """
        first = nodes @ self.first[network] + self.bias[network].unsqueeze(-2)
        second = nodes @ self.second[network]
        scores = pair_scores(
            first.unsqueeze(-2),  # one head
            second.unsqueeze(-2),
            self.readout[network].unsqueeze(-2),
            slope=SLOPE,
            cells=self.cells,
        )
        return scores[..., 0] + self.readout_bias[network].unsqueeze(-1)


class TargetNetwork(nn.Module):
    """Which slots an action replaces: a number for every action, place and code.

    Args:
        actions: How many actions.
        codes: How many codes, which is also the length of a position code.

    Example:
        >>> network, codes = TargetNetwork(2, 4), torch.zeros(3, 5).long()
        >>> network(codes, torch.tensor([0, 1, 1]), torch.rand(5, 4)).shape
        torch.Size([3, 5])
    """

    def __init__(self, actions: int, codes: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(actions + codes)
        self.action = uniform(actions, codes, bound=bound)
        self.place = uniform(codes, codes, bound=bound)
        self.bias = uniform(codes, bound=bound)

    def forward(
        self,
        codes: Int[Tensor, "rows slots"],
        action: Int[Tensor, " rows"],
        places: Float[Tensor, "slots codes"],
    ) -> Float[Tensor, "rows slots"]:
        """Reads the number at the code of each slot.

        Args:
            codes: Codes before the action.
            action: One for each row.
            places: The position codes.

        Returns:
            Log-odds that the action replaces the slot.
        """
        scores = self.action[action][:, None] + places @ self.place + self.bias
        return scores.gather(-1, codes[..., None])[..., 0]
