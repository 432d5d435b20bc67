"""The CT layer with its faults repaired, and nothing else changed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot, pad

from ctvae.errors import ShapeError
from ctvae.models.published.attention import Edges, open_softmax
from ctvae.models.published.layer import CELLS, ActionPass, BasePass, CTLayer, Retrieval
from ctvae.models.published.losses import code_cross_entropy
from ctvae.models.published.parts import in_parts
from ctvae.models.published.sampling import draw_noise, position_code, sample_logits
from ctvae.randomness import Seed, make_generator

__all__ = ["RepairedCTLayer"]


class RepairedCTLayer(CTLayer):
    r"""The causal transition layer as it was meant, as far as can be told.

    Repaired, by the number of the fault in *Differences from the paper*:

    - 1: entry ``[i, j]`` is the edge ``i -> j`` everywhere. The mask replaces the edges *into* a
      slot, and the action's node sends to the slots that it replaces.
    - 2: a loop is an edge like any other. A slot without parents reads nothing.
    - 7, 8: Bayes' rule with *summed* log-likelihoods and any prior.
    - 9: in evaluation the likelier of edge and no edge is taken, so answers are deterministic; in
      training all actions of a pair are scored under the same noise.
    - 11, 12: an edge's probability is held near a prior, with a gradient everywhere
      (``edge_prior``). Since a slot may read nothing, no term needs to give it a parent.
    - 13: gates multiply attention, so the gradient reaches edges drawn as 0.
    - 15: one log-softmax, no clamp.
    - 16: the code of a place has length 1, as the one-hot code has; no dropout; any number of
      codes and slots.

    The mask also gets gradient from the choice of the head. Width, depth, number of parameters and
    the kind of attention are those of ``PublishedCTLayer``.

    Args:
        slots: How many slots, the places of a grid times codebooks.
        codes: How many codes each slot has.
        actions: How many actions.
        hidden: The width of the edge networks, then that of a head of each inner attention layer.
        cells: Numbers of a hidden layer held at a time, about. Changes no result.
        seed: For the first weights.

    Example:
        >>> layer = RepairedCTLayer(4, 7, 3, hidden=(16, 4), seed=0).eval()
        >>> before, after = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[0, 1, 2, 4]])
        >>> layer.retrieval(before, after).log_probs.exp().sum().round(decimals=4).item()
        1.0

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
        places = position_code(slots, codes)
        super().__init__(
            slots,
            codes,
            actions,
            hidden,
            weigh=open_softmax,
            places=places / places.norm(dim=-1, keepdim=True).clamp(min=1e-6),
            cells=cells,
            seed=seed,
        )

    def base(self, codes: Int[Tensor, "rows slots"], *, seed: Seed = None) -> BasePass:
        """Predicts the codes when nothing is done.

        Args:
            codes: Codes.
            seed: For the edges drawn in training.

        Returns:
            The law of the codes, normalised.
        """
        codes = self.check_codes(codes)
        noise = self._noise(codes, (*codes.shape, self.slots), make_generator(seed, codes.device))
        return BasePass(*in_parts(self._base, [codes, noise], size=self.rows_at_once))

    def action(
        self, codes: Int[Tensor, "rows slots"], action: Int[Tensor, " rows"], *, seed: Seed = None
    ) -> ActionPass:
        """Predicts the codes after an action.

        Args:
            codes: Codes before.
            action: One for each row.
            seed: For the edges and slots drawn in training.

        Returns:
            The law of the codes after, normalised.
        """
        codes = self.check_codes(codes)
        action = self.check_action(action, len(codes))
        rows = [codes, action, *self._action_noise(codes, seed)]
        return ActionPass(*in_parts(self._action, rows, size=self.rows_at_once))

    def retrieval(
        self,
        before: Int[Tensor, "rows slots"],
        after: Int[Tensor, "rows slots"],
        *,
        seed: Seed = None,
        prior: Tensor | None = None,
    ) -> Retrieval:
        r"""Infers which action led from codes to codes, by Bayes' rule.

        .. math:: p(a \mid z, z') \propto p(a) \prod_i p(z'_i \mid z, a)

        Args:
            before: Codes before.
            after: Codes after.
            seed: For the edges and slots drawn in training, the same for all actions of a row.
            prior: Probabilities ``(actions,)`` or ``(rows, actions)``; uniform where ``None``.

        Returns:
            The posterior; its scores are log-likelihoods, summed over the slots.

        Raises:
            ShapeError: When the prior has another shape.
        """
        before, after = self.check_codes(before, "before"), self.check_codes(after, "after")
        shapes = {(self.actions,), (len(before), self.actions)}
        if prior is not None and tuple(prior.shape) not in shapes:
            msg = f"prior must be one of {sorted(shapes)}, got {tuple(prior.shape)}"
            raise ShapeError(msg)
        rows = [before, after, *self._action_noise(before, seed)]
        before_rows, after_rows, *noise = (x.repeat_interleave(self.actions, 0) for x in rows)
        action = torch.arange(self.actions, device=before.device).repeat(len(before))
        spread = [before_rows, after_rows, action, *noise]
        (scores,) = in_parts(self._score, spread, size=self.rows_at_once)
        scores = scores.unflatten(0, (len(before), self.actions))
        joint = scores if prior is None else scores + prior.to(scores).log()
        return Retrieval(joint.log_softmax(-1), scores)

    def _base(self, codes: Tensor, noise: Tensor) -> tuple[Tensor, ...]:
        nodes = one_hot(codes, self.codes) + self.places
        logits = self.edges(nodes, 0)
        graph = sample_logits(logits, noise)
        loops = torch.eye(self.slots, dtype=graph.dtype, device=graph.device).expand_as(graph)
        laws = []
        for edges in (Edges(graph, graph * logits.sigmoid()), Edges(loops, loops)):
            scores = self.attention.read(self.attention(nodes, edges), edges, 0)
            laws.append(scores.log_softmax(-1))
        return (*laws, logits.sigmoid(), graph)

    def _action(
        self, codes: Tensor, action: Tensor, target_noise: Tensor, noise: Tensor
    ) -> tuple[Tensor, ...]:
        nodes = one_hot(codes, self.codes) + self.places
        mask = sample_logits(self.targets(codes, action, self.places), target_noise)
        column = mask[:, None]  # edges into the slot
        logits = self.edges(nodes, 0) * (1 - column) + self.edges(nodes, 1 + action) * column
        graph, probs = sample_logits(logits, noise), logits.sigmoid()
        gate, weight = (pad(torch.cat([m, column], 1), (0, 1)) for m in (graph, graph * probs))
        edges = Edges(gate, weight)  # the action's row sends to the slots it replaces
        hidden = self.attention(torch.cat([nodes, self.act(action)], 1), edges)
        plain = self.attention.read(hidden, edges, 0)[:, :-1]
        replaced = self.attention.read(hidden, edges, 1 + action)[:, :-1]
        chosen = mask[..., None]
        scores = plain * (1 - chosen) + replaced * chosen
        return scores.log_softmax(-1), probs, graph, mask

    def _score(
        self, before: Tensor, after: Tensor, action: Tensor, *noise: Tensor
    ) -> tuple[Tensor]:
        log_probs = self._action(before, action, *noise)[0]
        return (-code_cross_entropy(log_probs, after).sum(-1),)

    def _noise(
        self, codes: Tensor, shape: tuple[int, ...], generator: torch.Generator
    ) -> Float[Tensor, "rows ..."]:
        if self.training:
            return draw_noise(shape, generator)
        return self.places.new_zeros(shape)

    def _action_noise(self, codes: Tensor, seed: Seed) -> list[Tensor]:
        generator = make_generator(seed, codes.device)
        shapes = (tuple(codes.shape), (*codes.shape, self.slots))
        return [self._noise(codes, shape, generator) for shape in shapes]
