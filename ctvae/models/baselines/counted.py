"""Actions told from codes by counting: tables of transitions, exact Bayes."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.models.baselines.base import LabelledPairs, labelled

__all__ = ["PRIOR_COUNTS", "CountedActions", "count_transitions"]

PRIOR_COUNTS = (0.01, 0.03, 0.1, 0.3, 1.0)
"""Prior counts tried; the one with the least log loss on validation pairs is kept."""


def count_transitions(
    before: Int[Tensor, "pairs slots"],
    action: Int[Tensor, " pairs"],
    after: Int[Tensor, "pairs slots"],
    *,
    actions: int,
    codes: int,
) -> Float[Tensor, "actions slots codes codes"]:
    """Counts how often a slot went from a code to another under an action.

    Args:
        before: Codes before.
        action: Labels.
        after: Codes after.
        actions: The number of actions.
        codes: The number of codes of every slot.

    Returns:
        Counts, by action, slot, code before, code after.
    """
    slots = before.shape[1]
    index = (action[:, None] * slots + torch.arange(slots, device=action.device)) * codes + before
    counts = torch.bincount((index * codes + after).flatten(), minlength=actions * slots * codes**2)
    return counts.double().reshape(actions, slots, codes, codes)


class CountedActions:
    r"""Tables counted from labelled pairs of codes, slots independent given the action.

    .. math::
        p(a \mid z, z') \propto \prod_j p(z'_j \mid z_j, a), \qquad
        p(v \mid u, a) = \frac{n_{a j u v} + \alpha}{\sum_w n_{a j u w} + \alpha K}

    with equal prior probabilities of the actions.

    Args:
        counts: From ``count_transitions``.
        prior_count: :math:`\alpha > 0`.

    Example:
        >>> z = torch.tensor([[0], [1]])
        >>> counts = count_transitions(z, torch.tensor([0, 1]), z.flip(0), actions=2, codes=2)
        >>> CountedActions(counts, 0.1).log_probs(z, z.flip(0)).argmax(1).tolist()
        [0, 1]
    """

    def __init__(
        self, counts: Float[Tensor, "actions slots codes codes"], prior_count: float
    ) -> None:
        smoothed = counts + prior_count
        self.prior_count = prior_count
        self.tables = (smoothed / smoothed.sum(-1, keepdim=True)).log()

    @classmethod
    def fit(
        cls,
        codes: Int[Tensor, "images slots"],
        pairs: LabelledPairs,
        validation: LabelledPairs,
        validation_codes: Int[Tensor, "images slots"],
    ) -> CountedActions:
        """Counts training pairs, and chooses the prior count on validation pairs.

        Args:
            codes: Of all images of the training pool.
            pairs: Training pairs.
            validation: Validation pairs.
            validation_codes: Of all images of the validation pool.

        Returns:
            The tables.
        """
        num_codes = int(torch.maximum(codes.max(), validation_codes.max())) + 1
        before, action, after = (t.to(codes.device) for t in labelled(pairs))
        counts = count_transitions(
            codes[before], action, codes[after], actions=len(pairs.actions), codes=num_codes
        )
        held = [t.to(codes.device) for t in labelled(validation)]
        start, end = validation_codes[held[0]], validation_codes[held[2]]
        tried = [cls(counts, prior) for prior in PRIOR_COUNTS]
        losses = [-t.log_probs(start, end).gather(1, held[1][:, None]).mean() for t in tried]
        return tried[int(torch.stack(losses).argmin())]

    @property
    def num_parameters(self) -> int:
        """The free numbers of the tables: every row sums to one."""
        return self.tables[..., 1:].numel()

    def log_probs(
        self, before: Int[Tensor, "pairs slots"], after: Int[Tensor, "pairs slots"]
    ) -> Float[Tensor, "pairs actions"]:
        """Gives the posterior over actions.

        Args:
            before: Codes before; one that training did not show tells nothing.
            after: Codes after.

        Returns:
            Normalised log-probabilities, nats.
        """
        last = self.tables.shape[-1] - 1
        seen = (before <= last) & (after <= last)
        slot = torch.arange(before.shape[1], device=before.device)
        found = self.tables[:, slot, before.clamp(max=last), after.clamp(max=last)]
        return (found * seen).sum(-1).T.log_softmax(1)
