"""How surprising the codes after an unknown action are, given those before."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import pair_tables
from ctvae.errors import ShapeError
from ctvae.inference.actions import ActionPosterior, action_posterior
from ctvae.inference.targets import targeted_slots
from ctvae.mechanisms.transition import TransitionProgram

__all__ = ["ActionPrior", "Surprise", "code_surprise"]

UNSEEN_COUNT = 0.1
"""Prior count of an action at a code from which it was never seen: possible, but hardly so."""


@dataclass(frozen=True)
class ActionPrior:
    r"""How probable each action is, given the codes before it.

    .. math:: p(a \mid z) \propto p(a) \prod_{k \text{ targeted by } a} \frac{p(z_k \mid a)}{p(z_k)}

    An action that cannot be taken at a code, such as a step beyond the last value, is improbable
    there. A uniform prior would let it explain pairs in which nothing happens.

    Attributes:
        weights: ``(actions, slots, codes)`` the ratios, 1 where an action does not target a slot.
        shares: ``(actions,)`` p(a).
    """

    weights: Float[Tensor, "actions slots codes"]
    shares: Float[Tensor, " actions"]

    def __repr__(self) -> str:
        return f"ActionPrior({len(self.shares)} actions)"

    @classmethod
    def fit(
        cls,
        program: TransitionProgram,
        before: Int[Tensor, "pairs slots"],
        action: Int[Tensor, " pairs"],
    ) -> ActionPrior:
        """Counts where actions start.

        Args:
            program: The law of transitions.
            before: Codes before, of labelled pairs.
            action: Their actions.

        Returns:
            The prior.

        Raises:
            ShapeError: When there is not one action per row of codes.

        Cost: O(pairs * slots).
        """
        if len(before) != len(action) or len(action) == 0:
            msg = f"need one action per pair, got {len(action)} for codes {tuple(before.shape)}"
            raise ShapeError(msg)
        count, _, codes, _ = program.kernels.shape
        width = max(count, codes)
        label = action[:, None].expand_as(before)
        seen = pair_tables(label, before, width)[:, :count, :codes].transpose(0, 1)
        sizes = torch.tensor(program.cardinalities, device=before.device)
        real = (torch.arange(codes, device=before.device) < sizes[:, None]).double()
        seen = seen + UNSEEN_COUNT * real
        of_action = seen / seen.sum(-1, keepdim=True)
        overall = seen.sum(0)
        overall = overall / overall.sum(-1, keepdim=True)
        ratio = of_action / overall.clamp(min=1e-300)
        weights = torch.where(targeted_slots(program)[..., None], ratio, torch.ones_like(ratio))
        shares = torch.bincount(action, minlength=count).double()
        return cls(weights, shares / shares.sum())

    def probs(self, before: Float[Tensor, "batch slots codes"]) -> Float[Tensor, "batch actions"]:
        """Gives the prior at codes that are known up to probabilities.

        Args:
            before: Probabilities of the codes before.

        Returns:
            Rows sum to one.
        """
        each = torch.einsum("bku,aku->bak", before.double(), self.weights)
        joint = each.prod(2) * self.shares
        return joint / joint.sum(1, keepdim=True)


@dataclass(frozen=True)
class Surprise:
    """How surprising pairs are.

    Attributes:
        excess: ``(batch,)`` nats above what a pair from these codes has on average; high where no
            action explains the codes after.
        posterior: Over the single action between the two.
    """

    excess: Float[Tensor, " batch"]
    posterior: ActionPosterior


def code_surprise(
    program: TransitionProgram,
    prior: ActionPrior,
    before: Float[Tensor, "batch slots codes"],
    after: Float[Tensor, "batch slots codes"],
) -> Surprise:
    r"""Measures how far codes after an action are from what any action would make of those before.

    .. math:: -\log p(z' \mid z) - \sum_a p(a \mid z) \Bigl[ -\log p(a \mid z)
        + \sum_k H(T_{a,k}(\cdot \mid z_k)) \Bigr]

    The first term alone is no measure: where many actions can be taken, or where they lead is
    uncertain, every pair has little evidence. The second is what the first would be on average if
    the action were seen beside the codes, so that pairs from different codes can be compared.

    Args:
        program: The law of transitions.
        prior: How probable each action is.
        before: Probabilities of the codes before.
        after: The same for the codes after.

    Returns:
        The surprise, with the posterior over actions.

    Cost: O(batch * actions * slots * codes^2).
    """
    chances = prior.probs(before)
    posterior = action_posterior(program, before, after, prior=chances)
    blur = torch.special.entr(program.kernels).sum(-1)  # actions, slots, codes
    rows = torch.einsum("bku,aku->ba", before.double(), blur)
    usual = torch.special.entr(chances).sum(1) + (chances * rows).sum(1)
    return Surprise(-posterior.log_evidence - usual, posterior)
