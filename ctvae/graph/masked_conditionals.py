"""The laws of all slots given any sets of parents, in one network."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import embedding, silu

from ctvae.errors import DataError, ShapeError
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["MaskedConditionals"]

NO_CODE = -1e9
"""The logit of codes that a slot does not have; its probability is exactly zero."""


class MaskedConditionals(nn.Module):
    r"""Gives log P(x_j | parents of j) for every slot at once, under any graph.

    .. math::
        \log P_G(x_j = c \mid x) = \mathrm{log\,softmax}_c\Bigl(U_j\,\mathrm{silu}\bigl(b_j +
        \sum_i G_{ij}\, M_{ij}^\top E_i[x_i]\bigr) + d_j\Bigr)

    The first layer is linear in the graph. So what each pair of slots contributes is computed once
    for a batch, and many graphs, or all graphs that differ in one edge, cost little more than one.
    Every slot has a network of its own, and an embedding of its codes that all of its children
    share. Codes are indices, or probabilities of codes: then gradients reach the encoder that
    gave them.

    Args:
        cardinalities: The number of codes of each slot.
        width: The hidden units of each slot.
        rank: The numbers that stand for a code, never more than there are codes.
        seed: For the first parameters.

    Raises:
        DataError: When there is no slot, or a cardinality is no positive integer.
        ShapeError: When ``width`` or ``rank`` is no positive integer.

    Example:
        >>> laws = MaskedConditionals([2, 3, 128], seed=0)
        >>> graphs = torch.zeros(5, 3, 3)
        >>> graphs[:, 0, 2] = 1
        >>> laws.log_probs(torch.tensor([[1, 2, 127], [0, 0, 5]]), graphs).shape
        torch.Size([5, 2, 3])

    Source: Lippe, Cohen and Gavves (2022), ENCO, and Brouillard et al. (2020), DCDI, for networks
    masked by sampled graphs.
    Cost: O(batch * slots^2 * rank * width), then O(batch * slots * width * (slots + codes)) for
    each graph.
    """

    padding: Tensor

    def __init__(
        self, cardinalities: Sequence[int], *, width: int = 32, rank: int = 16, seed: Seed = None
    ) -> None:
        super().__init__()
        sizes = tuple(cardinalities)
        if not sizes or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in sizes):
            msg = f"cardinalities must be one positive integer per slot, got {sizes}"
            raise DataError(msg)
        self.cardinalities = sizes
        self.width = check_count(width, "width", least=1)
        slots, codes = len(sizes), max(sizes)
        rank = min(check_count(rank, "rank", least=1), codes)
        generator = make_generator(seed)

        def normal(*shape: int, scale: float) -> nn.Parameter:
            return nn.Parameter(scale * torch.randn(*shape, generator=generator))

        self.codebook = normal(slots, codes, rank, scale=1.0)
        self.pair_weight = normal(slots, rank, slots * width, scale=0.5 / math.sqrt(rank))
        self.hidden_bias = normal(slots, width, scale=0.1)
        self.out_weight = normal(slots, width, codes, scale=0.5 / math.sqrt(width))
        self.out_bias = nn.Parameter(torch.zeros(slots, codes))
        has = torch.arange(codes) < torch.tensor(sizes)[:, None]
        self.register_buffer("padding", torch.where(has, 0.0, NO_CODE), persistent=False)

    @torch.no_grad()
    def start_from_marginals(
        self, codes: Int[Tensor, "rows slots"], natural: Float[Tensor, "rows slots"]
    ) -> None:
        """Sets the biases of the last layer to the logarithms of the codes' frequencies.

        Then a slot that hardly varies has nothing left to learn, where a network halfway there
        would find any parent helpful.

        Args:
            codes: Indices.
            natural: 1 where a row says something of a slot's law, else 0.
        """
        for slot, size in enumerate(self.cardinalities):
            counts = natural.new_zeros(size).index_add_(0, codes[:, slot], natural[:, slot]) + 1
            self.out_bias[slot, :size] = (counts / counts.sum()).log()

    def log_probs(
        self,
        codes: Int[Tensor, "batch slots"] | Float[Tensor, "batch slots codes"],
        graphs: Float[Tensor, "*graphs slots slots"],
    ) -> Float[Tensor, "*graphs batch slots"]:
        """Evaluates every slot's law at rows, under graphs that hold for all rows.

        Args:
            codes: Indices, or probabilities of codes.
            graphs: ``[i, j]`` 1 where i is a parent of j, else 0; differentiable.

        Returns:
            Nats; for probabilities of codes the expected ones.
        """
        given = self._contributions(codes)
        flat = graphs.to(given.dtype).reshape(-1, *graphs.shape[-2:])
        hidden = torch.einsum("mij,bijh->mbjh", flat, given) + self.hidden_bias
        found = self._evaluate(hidden, codes)
        return found.reshape(*graphs.shape[:-2], *found.shape[1:])

    def row_log_probs(
        self,
        codes: Int[Tensor, "batch slots"] | Float[Tensor, "batch slots codes"],
        graphs: Float[Tensor, "batch slots slots"],
    ) -> Float[Tensor, "batch slots"]:
        """Evaluates every slot's law at rows, each row under a graph of its own.

        Args:
            codes: Indices, or probabilities of codes.
            graphs: One graph for each row.

        Returns:
            Nats.
        """
        hidden = torch.einsum("bij,bijh->bjh", graphs, self._contributions(codes))
        return self._evaluate(hidden + self.hidden_bias, codes)

    def edge_gains(
        self,
        codes: Int[Tensor, "batch slots"] | Float[Tensor, "batch slots codes"],
        graphs: Float[Tensor, "batch slots slots"],
    ) -> Float[Tensor, "batch slots slots"]:
        r"""Compares every slot's law with and without each other slot among its parents.

        .. math:: g_{ij} = \log P(x_j \mid \mathrm{Pa}_j \cup \{i\})
            - \log P(x_j \mid \mathrm{Pa}_j \setminus \{i\})

        Args:
            codes: Indices, or probabilities of codes.
            graphs: One graph of zeros and ones for each row.

        Returns:
            ``[row, i, j]`` nats; zero where i is j.

        Cost: O(batch * slots^2 * width * codes).
        """
        given = self._contributions(codes)
        now = torch.einsum("bij,bijh->bjh", graphs, given) + self.hidden_bias
        turn = (1 - 2 * graphs).transpose(0, 1)  # parents lead, as other graphs do above
        turned = now + turn[..., None] * given.transpose(0, 1)
        gains = turn * (self._evaluate(turned, codes) - self._evaluate(now, codes))
        return gains.transpose(0, 1) * (1 - torch.eye(gains.shape[-1], device=gains.device))

    def _contributions(self, codes: Tensor) -> Float[Tensor, "batch parents children width"]:
        slots, most = self.out_bias.shape
        if codes.is_floating_point():
            if codes.ndim != 3 or codes.shape[1:] != (slots, most):
                msg = (
                    f"probabilities of codes must be (batch, {slots}, {most}), zero for codes that "
                    f"a slot does not have, got {tuple(codes.shape)}"
                )
                raise ShapeError(msg)
            read = torch.einsum("bic,icr->ibr", codes, self.codebook)
        else:
            if codes.ndim != 2 or codes.shape[1] != slots:
                msg = f"codes must be (batch, {slots}), got {tuple(codes.shape)}"
                raise ShapeError(msg)
            starts = most * torch.arange(slots, device=codes.device)
            read = embedding(codes + starts, self.codebook.flatten(0, 1)).transpose(0, 1)
        return torch.bmm(read, self.pair_weight).transpose(0, 1).unflatten(2, (slots, self.width))

    def _evaluate(self, hidden: Tensor, codes: Tensor) -> Tensor:
        """Turns hidden units ``(*lead, batch, slots, width)`` into the rows' nats."""
        flat = silu(hidden).flatten(0, -3).transpose(0, 1)
        bias = (self.out_bias + self.padding)[:, None]
        logits = torch.baddbmm(bias, flat, self.out_weight).transpose(0, 1)
        logits = logits.reshape(*hidden.shape[:-1], -1)
        if codes.is_floating_point():
            picked = (logits * codes).sum(-1)
            return picked - codes.sum(-1) * logits.logsumexp(-1)
        picked = logits.gather(-1, codes.expand(hidden.shape[:-1])[..., None])[..., 0]
        return picked - logits.logsumexp(-1)
