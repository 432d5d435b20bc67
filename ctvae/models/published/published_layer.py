"""The CT layer as it was published, faults included, to compare with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, pad

from ctvae.errors import ShapeError
from ctvae.models.published.attention import edge_softmax, with_self_loops
from ctvae.models.published.layer import CELLS, ActionPass, BasePass, CTLayer, Retrieval
from ctvae.models.published.losses import code_cross_entropy
from ctvae.models.published.parts import in_parts
from ctvae.models.published.sampling import (
    CLAMP,
    clamped_logit,
    draw_noise,
    position_code,
    sample_logits,
)
from ctvae.randomness import Seed, make_generator

__all__ = ["PublishedCTLayer"]

DROPOUT = 0.1
MOST_SLOTS = 4096


class PublishedCTLayer(CTLayer):
    r"""The causal transition layer as published: a rival, kept with its faults.

    For codes to come from pairs use ``ctvae.CTVAE``; to see what the construction itself can do use
    ``RepairedCTLayer``. The faults that this class keeps, by their number in *Differences from the
    paper*:

    - 1: matrices are filled as "row reads column" and read as ``row -> column``. So the mask
      replaces the edges *out of* a slot, and the action's node only receives: its embedding gets
      no gradient.
    - 2: the diagonal is discarded; every slot always reads its own old code.
    - 7: action probabilities are a softmin of *mean* cross-entropies, without a prior.
    - 8: so retrieval also rewards an action for predicting unchanged slots badly.
    - 9: edges are drawn at evaluation too, anew for every action.
    - 11, 12: see ``edge_divergence`` and ``isolation``.
    - 13: edges drawn as 0 are dropped; no gradient reaches their probability through what is read.
    - 15: the probability of a code is clamped at 1e-4, and below that gets no gradient; the loss
      normalises a second time.
    - 16: the code of a place has squared length ``codes / 2`` beside 1 of the code itself, with
      dropout on top; an odd number of codes and more than 4,096 slots are refused.

    Not kept, since no result depends on it: heads that nobody reads are not run, nor is the network
    of action 0 where there is no action, and hidden layers over all pairs are never whole in
    memory. What attention layers are joined by is not on record; LeakyReLU is assumed.

    Args:
        slots: How many slots, the places of a grid times codebooks.
        codes: How many codes each slot has; even.
        actions: How many actions.
        hidden: The width of the edge networks, then that of a head of each inner attention layer.
        cells: Numbers of a hidden layer held at a time, about. Changes no result.
        seed: For the first weights.

    Raises:
        ShapeError: When ``codes`` is odd or there are more than 4,096 slots.

    Example:
        >>> layer = PublishedCTLayer(4, 8, 3, hidden=(16, 4), seed=0).eval()
        >>> before, after = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 1, 2, 4]])
        >>> layer.retrieval(before, after, seed=0).log_probs.shape
        torch.Size([1, 3])

    Source: Gendron, Witbrock, Dobbie (2023), and the behaviour of their code.
    Cost: O(slots * codes * hidden + slots^2 * hidden) for each row and action.
    """

    def __init__(
        self,
        slots: int,
        codes: int,
        actions: int,
        *,
        hidden: Sequence[int] = (800, 100),
        cells: int = CELLS,
        seed: int = 0,
    ) -> None:
        if codes % 2 or slots > MOST_SLOTS:
            msg = (
                f"the published layer takes an even number of codes and at most {MOST_SLOTS} slots,"
                f" got {codes} codes and {slots} slots; RepairedCTLayer takes any"
            )
            raise ShapeError(msg)
        super().__init__(
            slots,
            codes,
            actions,
            hidden,
            weigh=edge_softmax,
            places=position_code(slots, codes),
            cells=cells,
            seed=seed,
        )

    def base(self, codes: Int[Tensor, "rows slots"], *, seed: Seed = None) -> BasePass:
        """Predicts the codes when nothing is done.

        Args:
            codes: Codes.
            seed: For the edges drawn and, in training, dropout.

        Returns:
            The law of the codes; logarithms are clamped at 1e-4 and not normalised again.
        """
        codes = self.check_codes(codes)
        generator = make_generator(seed, codes.device)
        rows = [codes, self._dropout(codes, generator), self._edge_noise(codes, generator)]
        return BasePass(*in_parts(self._base, rows, size=self.rows_at_once))

    def action(
        self, codes: Int[Tensor, "rows slots"], action: Int[Tensor, " rows"], *, seed: Seed = None
    ) -> ActionPass:
        """Predicts the codes after an action.

        Args:
            codes: Codes before.
            action: One for each row.
            seed: For the edges and slots drawn and, in training, dropout.

        Returns:
            The law of the codes after; logarithms are clamped at 1e-4 and not normalised again.
        """
        codes = self.check_codes(codes)
        action = self.check_action(action, len(codes))
        rows = [codes, action, *self._noise(codes, seed)]
        return ActionPass(*in_parts(self._action, rows, size=self.rows_at_once))

    def retrieval(
        self,
        before: Int[Tensor, "rows slots"],
        after: Int[Tensor, "rows slots"],
        *,
        seed: Seed = None,
    ) -> Retrieval:
        """Infers which action led from codes to codes, with fresh noise for every action.

        Args:
            before: Codes before.
            after: Codes after.
            seed: For the edges and slots drawn and, in training, dropout.

        Returns:
            A softmin of the scores; these are mean cross-entropies over the slots.
        """
        before, after = self.check_codes(before, "before"), self.check_codes(after, "after")
        pairs = [codes.repeat_interleave(self.actions, 0) for codes in (before, after)]
        action = torch.arange(self.actions, device=before.device).repeat(len(before))
        rows = [*pairs, action, *self._noise(pairs[0], seed)]
        (scores,) = in_parts(self._score, rows, size=self.rows_at_once)
        scores = scores.unflatten(0, (len(before), self.actions))
        return Retrieval((-scores).log_softmax(-1), scores)

    def _base(self, codes: Tensor, dropout: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        nodes = self._nodes(codes, dropout)
        probs = self.edges(nodes, 0).sigmoid()
        graph = sample_logits(clamped_logit(probs), noise)
        laws = []
        for weight in (probs * graph, torch.zeros_like(probs)):  # loops are added to either
            edges = with_self_loops(weight)
            scores = self.attention.read(self.attention(nodes, edges), edges, 0)
            laws.append(_clamped_log(scores))
        return (*laws, probs, graph)

    def _action(
        self, codes: Tensor, action: Tensor, dropout: Tensor, target_noise: Tensor, noise: Tensor
    ) -> tuple[Tensor, ...]:
        nodes = self._nodes(codes, dropout)
        own, acted = self.edges(nodes, 0).sigmoid(), self.edges(nodes, 1 + action).sigmoid()
        target = self.targets(codes, action, self.places).sigmoid()
        mask = sample_logits(clamped_logit(target), target_noise)
        row = mask[:, :, None]  # fault 1: rows, which attention reads as edges out of the slot
        probs = own * (1 - row) + acted * row
        graph = sample_logits(clamped_logit(probs), noise)
        weight = torch.cat([probs * graph, row], 2)  # fault 1: the action's column receives
        edges = with_self_loops(pad(weight, (0, 0, 0, 1)))
        hidden = self.attention(torch.cat([nodes, self.act(action)], 1), edges)
        plain = self.attention.read(hidden, edges, 0)[:, :-1]
        replaced = self.attention.read(hidden, edges, 1 + action)[:, :-1]
        scores = torch.where(row.bool(), replaced, plain)  # no gradient to the mask from here
        return _clamped_log(scores), probs, graph, mask

    def _score(
        self, before: Tensor, after: Tensor, action: Tensor, *noise: Tensor
    ) -> tuple[Tensor]:
        log_probs = self._action(before, action, *noise)[0]
        return (code_cross_entropy(log_probs, after).mean(-1),)

    def _nodes(self, codes: Tensor, dropout: Tensor) -> Tensor:
        return (one_hot(codes, self.codes) + self.places) * dropout

    def _dropout(self, codes: Tensor, generator: torch.Generator) -> Float[Tensor, "rows ..."]:
        shape = (*codes.shape, self.codes)
        if not self.training:
            return self.places.new_ones(shape)
        unit = torch.rand(shape, generator=generator, device=codes.device)
        return (unit >= DROPOUT) / (1 - DROPOUT)

    def _edge_noise(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        return draw_noise((*codes.shape, self.slots), generator)

    def _noise(self, codes: Tensor, seed: Seed) -> list[Tensor]:
        generator = make_generator(seed, codes.device)
        return [
            self._dropout(codes, generator),
            draw_noise(tuple(codes.shape), generator),
            self._edge_noise(codes, generator),
        ]


def _clamped_log(scores: Tensor) -> Tensor:
    """Fault 15: the logarithm of a probability, with no gradient below 1e-4."""
    return scores.softmax(-1).clamp(min=CLAMP).log()
