"""A graph and its mechanisms trained together by gradients, also through an encoder."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from ctvae.errors import ShapeError
from ctvae.graph.acyclicity import Acyclicity, Order, Spectral
from ctvae.graph.differentiable import GraphPosterior
from ctvae.graph.masked_conditionals import MaskedConditionals
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["GraphLearner", "average_gains", "edge_prices", "neighbours"]


class GraphLearner(nn.Module):
    r"""A graph and its mechanisms to be trained by gradients, alone or jointly with an encoder.

    .. math:: \mathcal{L} = -\tfrac1B \sum_b \sum_{j \notin T_b} \log P_G(x_{bj} \mid
        x_{b,\mathrm{Pa}_j}) - \sum_{ij} P_{ij}\,(\bar g_{ij} - \lambda_{ij} / N) - H / N
        + w\,h(P), \qquad G \sim P

    The first term trains the networks, and the encoder where codes are soft; the others train the
    posterior. A slot that was set in a row says nothing of its mechanism there. Rows in which
    either slot of a pair was set orient the pair; all rows decide on edges.

    Codes that are constant are predicted perfectly, so this loss alone would make an encoder drop
    its codes: use it beside a loss that needs them, such as a reconstruction.

    Args:
        cardinalities: The number of codes of each slot.
        num_rows: N, the rows of the whole data set, against which the price of an edge counts.
        width: The hidden units of each slot's network.
        rank: The numbers that stand for a code.
        price: How many times ``edge_prices`` an edge costs.
        acyclicity: The measure of cycles.
        acyclicity_weight: w, in nats per row; raise it while training.
        order: Directions from priorities; ``None`` for each pair on its own.
        seed: For the first parameters.

    Example:
        >>> learner = GraphLearner([3, 4], num_rows=1000, seed=0)
        >>> logits = torch.zeros(8, 2, 4, requires_grad=True)
        >>> soft = logits.softmax(-1) * torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
        >>> learner.loss(soft, seed=0).backward()
        >>> logits.grad.shape
        torch.Size([8, 2, 4])

    Source: Lippe, Cohen and Gavves (2022), ENCO; Nazaret et al. (2024), the spectral penalty.
    """

    prices: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        *,
        num_rows: int,
        width: int = 32,
        rank: int = 16,
        price: float = 1.0,
        acyclicity: Acyclicity | None = None,
        acyclicity_weight: float = 1.0,
        order: Order | None = None,
        seed: Seed = None,
    ) -> None:
        super().__init__()
        self.num_rows = check_count(num_rows, "num_rows", least=1)
        self.conditionals = MaskedConditionals(cardinalities, width=width, rank=rank, seed=seed)
        self.posterior = GraphPosterior(len(cardinalities), order=order)
        self.acyclicity: Acyclicity = Spectral() if acyclicity is None else acyclicity
        self.acyclicity_weight = acyclicity_weight
        prices = price * edge_prices(cardinalities, num_rows)
        self.register_buffer("prices", prices, persistent=False)

    def loss(
        self,
        codes: Int[Tensor, "batch slots"] | Float[Tensor, "batch slots codes"],
        targets: Bool[Tensor, "batch slots"] | None = None,
        *,
        seed: Seed = None,
    ) -> Float[Tensor, ""]:
        """Gives the loss of a batch, one graph being drawn for each row.

        Args:
            codes: Indices, or probabilities of codes, through which gradients flow.
            targets: True where a slot of a row was set; ``None`` for observational rows.
            seed: For the graphs; a generator lives on the module's device.

        Returns:
            Nats per row.

        Raises:
            ShapeError: When targets are no booleans of the shape of rows and slots.
        """
        natural = _natural(codes, targets)
        generator = make_generator(seed, self.posterior.existence.device)
        with torch.no_grad():
            graphs = self.posterior.sample(len(codes), seed=generator)
            gains = self.conditionals.edge_gains(codes, graphs) * natural[:, None]
            existence, direction = average_gains(gains, natural, self.prices / self.num_rows)
            tried = neighbours(graphs, seed=generator)
        misfit = -(self.conditionals.row_log_probs(codes, tried) * natural).sum() / len(codes)
        worth = self.posterior.expected_gain(existence, direction)
        worth = worth + self.posterior.entropy() / self.num_rows
        return misfit - worth + self.acyclicity_weight * self.posterior.penalty(self.acyclicity)


def edge_prices(cardinalities: Sequence[int], num_rows: int) -> Float[Tensor, "slots slots"]:
    r"""Gives what an edge has to gain, in nats over all rows: BIC for a rank-one dependence.

    .. math:: \lambda_{ij} = \tfrac12\,\max(1, C_i + C_j - 3)\,\log N

    A dependence of rank one between slots of :math:`C_i` and :math:`C_j` codes has
    :math:`C_i + C_j - 3` free numbers, which is one for two binary slots.

    Args:
        cardinalities: The number of codes of each slot.
        num_rows: N.

    Returns:
        ``[i, j]`` nats.

    Example:
        >>> edge_prices([2, 128], 28_000)[0, 1].round()
        tensor(650.)
    """
    sizes = torch.tensor(cardinalities, dtype=torch.get_default_dtype())
    free = (sizes[:, None] + sizes - 3).clamp_min(1)
    return free * math.log(max(num_rows, 2)) / 2


def average_gains(
    gains: Float[Tensor, "batch slots slots"],
    natural: Float[Tensor, "batch slots"],
    prices: Float[Tensor, "slots slots"],
) -> tuple[Float[Tensor, "slots slots"], Float[Tensor, "slots slots"]]:
    """Averages gains over rows: for the edges over all, for directions over those that tell.

    Args:
        gains: Zero where the child was set.
        natural: 1 where a slot was not set, else 0.
        prices: Of edges, per row.

    Returns:
        What edges are worth, and what their directions are worth: over the rows in which either
        slot of the pair was set where the batch has rows for both, else over all rows.
    """
    worth = gains.mean(0) - prices
    set_ = 1 - natural
    told = (gains * torch.maximum(set_[:, :, None], set_[:, None])).mean(0)
    ever = set_.amax(0)
    return worth, torch.where((ever[:, None] * ever).bool(), told, worth)


def neighbours(
    graphs: Float[Tensor, "batch slots slots"], *, seed: Seed
) -> Float[Tensor, "batch slots slots"]:
    """Turns about one parent of each child, so that networks know the graphs one edge away.

    Args:
        graphs: Zeros and ones.
        seed: A generator lives on the device of the graphs.

    Returns:
        Graphs of the same form.
    """
    generator = make_generator(seed, graphs.device)
    drawn = torch.rand(graphs.shape, generator=generator, device=graphs.device)
    turned = (drawn < 1 / graphs.shape[-1]).to(graphs.dtype)
    off = 1 - torch.eye(graphs.shape[-1], dtype=graphs.dtype, device=graphs.device)
    return (graphs + turned - 2 * graphs * turned) * off


def _natural(codes: Tensor, targets: Tensor | None) -> Tensor:
    rows = codes.shape[:2]
    if targets is None:
        return torch.ones(rows, device=codes.device)
    if targets.dtype != torch.bool or targets.shape != rows:
        msg = f"targets must be booleans {tuple(rows)}, got {targets.dtype} {tuple(targets.shape)}"
        raise ShapeError(msg)
    return (~targets).float()
