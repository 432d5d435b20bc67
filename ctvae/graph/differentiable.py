"""A law of graphs as a torch module."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ctvae.graph.acyclicity import Acyclicity, Order
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["GraphPosterior", "greedy_dag"]


class GraphPosterior(nn.Module):
    r"""A law of graphs over slots: how likely each edge exists, and in which direction.

    .. math:: P(i \to j) = \sigma(\gamma_{ij})\,\sigma(\theta_{ij}), \qquad
        \theta_{ij} = -\theta_{ji}

    Pairs of slots are independent: a pair has one direction, and in it an edge or none. With an
    ``Order`` the directions come from priorities of the slots instead, :math:`\theta_{ij} = (p_j -
    p_i) / t`, whole orders are drawn, and every graph drawn is a DAG.

    Args:
        slots: The number of slots.
        order: Directions from priorities; ``None`` for each pair on its own.

    Raises:
        ShapeError: When ``slots`` is no positive integer.

    Example:
        >>> posterior = GraphPosterior(3)
        >>> posterior.probabilities()[0, 1].item(), posterior.sample(7, seed=0).shape
        (0.25, torch.Size([7, 3, 3]))

    Source: Lippe, Cohen and Gavves (2022), ENCO, section 3.
    """

    def __init__(self, slots: int, *, order: Order | None = None) -> None:
        super().__init__()
        self.slots = check_count(slots, "slots", least=1)
        self.order = order
        self.existence = nn.Parameter(torch.zeros(slots, slots))
        size = (slots, slots) if order is None else (slots,)
        self.direction = nn.Parameter(torch.zeros(size))

    def orientation(self) -> Float[Tensor, "slots slots"]:
        """Gives the log-odds of the direction of each pair.

        Returns:
            Antisymmetric; ``[i, j]`` above 0 where i rather comes before j.
        """
        if self.order is not None:
            return self.order.logits(self.direction)
        upper = self.direction.triu(1)
        return upper - upper.T

    def probabilities(self) -> Float[Tensor, "slots slots"]:
        """Gives the probability of every edge.

        Returns:
            ``[i, j]`` of ``i -> j``; zero on the diagonal.
        """
        return self.existence.sigmoid() * self.orientation().sigmoid() * self._off_diagonal()

    def sample(self, num: int, *, seed: Seed = None) -> Float[Tensor, "num slots slots"]:
        """Draws graphs; gradients pass straight through to the probabilities.

        Args:
            num: How many.
            seed: A generator lives on the module's device.

        Returns:
            Zeros and ones. The gradient is that of ``probabilities``, which is biased; that of
            ``expected_gain`` is not.
        """
        shape = (check_count(num, "num"), self.slots, self.slots)
        device = self.existence.device
        generator = make_generator(seed, device)
        with torch.no_grad():
            exists = torch.rand(shape, generator=generator, device=device)
            exists = exists < self.existence.sigmoid()
            if self.order is not None:
                noise = torch.rand(shape[:2], generator=generator, device=device)
                place = self.direction / self.order.temperature - (-noise.log()).log()
                before = place[:, :, None] < place[:, None, :]
            else:
                drawn = torch.rand(shape, generator=generator, device=device)
                before = (drawn < self.orientation().sigmoid()).triu(1)
                before |= ~before.mT & torch.ones_like(before).tril(-1)
            graphs = (exists & before).to(self.existence.dtype)
        likely = self.probabilities()
        return graphs + (likely - likely.detach())

    def expected_gain(
        self,
        gains: Float[Tensor, "slots slots"],
        orientation_gains: Float[Tensor, "slots slots"] | None = None,
    ) -> Float[Tensor, ""]:
        r"""Gives a scalar whose gradient is that of the expected worth of a graph.

        .. math:: \sum_{ij} P(i \to j)\, g_{ij}

        With gains of each edge over its absence, averaged over graphs drawn for the other edges,
        this is the leave-one-edge estimator with its sum over the two states taken exactly.

        Args:
            gains: What ``i -> j`` is worth; constants.
            orientation_gains: What counts for the directions; ``None`` for the same.

        Returns:
            The sum.
        """
        off, exists = self._off_diagonal(), self.existence.sigmoid()
        before = self.orientation().sigmoid()
        if orientation_gains is None:
            return (exists * before * gains.detach() * off).sum()
        of_edges = exists * before.detach() * gains.detach()
        of_directions = exists.detach() * before * orientation_gains.detach()
        # Two terms with two gradients; the second adds no value of its own.
        return ((of_edges + of_directions - of_directions.detach()) * off).sum()

    def penalty(self, acyclicity: Acyclicity) -> Float[Tensor, ""]:
        """Measures the cycles of the probabilities.

        Args:
            acyclicity: The measure.

        Returns:
            Zero for a law of DAGs whose edges agree with one order.
        """
        return acyclicity.penalty(self.probabilities())

    def entropy(self) -> Float[Tensor, ""]:
        """Gives the entropy of the law over the three states of each pair.

        Returns:
            Nats; exact where the pairs are independent, an upper bound with an ``Order``.
        """
        edges = self.probabilities()
        none = 1 - edges - edges.T
        tiny = torch.finfo(edges.dtype).tiny  # keeps the gradient finite at probability zero
        terms = [-p * p.clamp_min(tiny).log() for p in (edges, edges.T, none)]
        return torch.stack(terms).sum(0).triu(1).sum()

    def map_dag(self) -> Bool[Tensor, "slots slots"]:
        """Gives a DAG of likely edges.

        Returns:
            Edges of probability above 1/2, the likeliest first, without those that would close a
            cycle.
        """
        return greedy_dag(self.probabilities().detach())

    def _off_diagonal(self) -> Tensor:
        return 1 - torch.eye(self.slots, dtype=self.existence.dtype, device=self.existence.device)


def greedy_dag(probabilities: Float[Tensor, "slots slots"]) -> Bool[Tensor, "slots slots"]:
    """Takes edges above 1/2 from the likeliest down, without those that close a cycle.

    Args:
        probabilities: ``[i, j]`` of ``i -> j``.

    Returns:
        A DAG.

    Example:
        >>> chances = torch.tensor([[0.0, 0.9, 0.0], [0.0, 0.0, 0.8], [0.6, 0.0, 0.0]])
        >>> greedy_dag(chances).nonzero().tolist()
        [[0, 1], [1, 2]]
    """
    chances = probabilities.double().cpu()
    dag = torch.zeros_like(chances, dtype=torch.bool)
    reach = torch.eye(len(chances), dtype=torch.bool)  # [i, j]: a path leads from i to j
    likely = (chances > 0.5).nonzero().tolist()
    for i, j in sorted(likely, key=lambda edge: -float(chances[edge[0], edge[1]])):
        if not reach[j, i]:
            dag[i, j] = True
            reach |= reach[:, i, None] & reach[j]
    return dag.to(probabilities.device)
