"""Categorical slots of which one changes in a pair: weak supervision without labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ctvae.models.baselines.base import Budget, LabelledPairs
from ctvae.models.baselines.coded import CodedAutoencoder, TrainedCodes, VectorDecoder, pixel_loss
from ctvae.models.baselines.learning import batch_of, descend, draw_rows
from ctvae.nn import ImageEncoder, recompute_batch_norm
from ctvae.quant import CategoricalSlots
from ctvae.quant.base import straight_through
from ctvae.randomness import scoped_seed

__all__ = ["BinScores", "CategoricalSparse", "sparse_change_log_prob"]

SPREAD = 0.25
"""Squared distance to a bin's centre that costs one nat, in widths of a bin."""
LEAST = 1e-6


def sparse_change_log_prob(
    before: Float[Tensor, "batch slots codes"],
    after: Float[Tensor, "batch slots codes"],
    *,
    flip: float,
) -> Float[Tensor, " batch"]:
    r"""Gives the log-probability that one slot changed and all others were copied.

    .. math::
        \log \frac1M \sum_k (1 - c_k) \prod_{m \ne k}
        \bigl[(1 - \varepsilon) c_m + \varepsilon (1 - c_m)\bigr], \qquad
        c_m = \sum_v q_m(v)\, q'_m(v)

    exact over the slot that changed and over the soft codes of both images.

    Args:
        before: Probabilities :math:`q` of the codes of each slot.
        after: The same after.
        flip: :math:`\varepsilon`, the chance that a copied slot reads otherwise; above 0, or a
            second changed slot would cost without bound and nothing would ever change.

    Returns:
        Nats.

    Example:
        >>> q = torch.tensor([[[1.0, 0.0], [1.0, 0.0]]])
        >>> one = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
        >>> round(sparse_change_log_prob(q, one, flip=0.1).exp().item(), 4)  # (1 - .1) / 2
        0.45

    Source: Locatello et al. (2020), Weakly-supervised disentanglement without compromises, whose
    averaging of unchanged latents this replaces by their law.
    """
    same = (before * after).sum(-1)
    changed = (1 - same).clamp(min=LEAST).log()
    copied = ((1 - flip) * same + flip * (1 - same)).clamp(min=LEAST).log()
    others = copied.sum(1, keepdim=True) - copied
    return (changed + others).logsumexp(1) - math.log(before.shape[1])


class BinScores(nn.Module):
    r"""Scores bins of equal probability, for numbers brought to a standard normal law.

    .. math:: s_k = -\bigl(K\,\Phi(h) - k - \tfrac12\bigr)^2 / \text{spread}

    Batch normalisation and the normal distribution function spread the features over all bins, so
    that no slot can hold still by using one.

    Args:
        slots: The number of slots.
        codes: Bins of each.
    """

    centres: Tensor

    def __init__(self, slots: int, codes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(slots, affine=False)
        self.register_buffer("centres", torch.arange(codes) + 0.5, persistent=False)

    def forward(self, numbers: Float[Tensor, "batch slots"]) -> Float[Tensor, "batch scores"]:
        """Scores a batch.

        Args:
            numbers: One per slot.

        Returns:
            The scores of all bins of a slot, slot after slot.
        """
        place = len(self.centres) * torch.special.ndtr(self.norm(numbers))
        return -((place[..., None] - self.centres).square() / SPREAD).flatten(1)


@dataclass(frozen=True)
class CategoricalSparse:
    """Categorical slots, pairs without labels, exactly one slot changes.

    No published system: the idea of Ada-GVAE (what a pair shares stays) on categorical slots, with
    the likelihood summed exactly over the slot that changed. As the sparse law alone is best
    satisfied by codes that never change, three things hold against that: bins of equal probability,
    a start on pictures alone, and a bounded chance of flips.

    Attributes:
        slots: The number of slots.
        codes: Codes of each.
        flip: The chance that a copied slot reads otherwise.
        sparse_weight: Of the law of changes, against nats of pixels.
        start: The share of steps that learn pictures alone.
        learning_rate: At its peak.

    Source: Locatello et al. (2020), Weakly-supervised disentanglement without compromises.
    """

    slots: int = 8
    codes: int = 8
    flip: float = 0.05
    sparse_weight: float = 1.0
    start: float = 0.15
    learning_rate: float = 2e-3

    def train(  # noqa: D102
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedCodes:
        place = torch.device(device)
        channels, size = pairs.images.shape[1:3]
        scores = BinScores(self.slots, self.codes)
        quantizer = CategoricalSlots([self.codes] * self.slots)
        with scoped_seed(seed):
            model = CodedAutoencoder(
                nn.Sequential(ImageEncoder(channels, size, self.slots), scores),
                quantizer,
                VectorDecoder(self.slots * self.codes, channels, size),
            )
        model.to(place)
        steps = count()

        def loss(generator: torch.Generator) -> Tensor:
            rows = draw_rows(len(pairs.before), budget.pairs_per_step, generator)
            images = batch_of(
                pairs.images, torch.cat([pairs.before[rows], pairs.after[rows]]), place
            )
            soft = quantizer.log_probs(model.features(images)).exp()
            hard = straight_through(soft, quantizer.lookup(soft.argmax(-1)))
            drawn = pixel_loss(model.decoder(hard.flatten(1)), images)
            if next(steps) < self.start * budget.steps:
                return drawn
            law = sparse_change_log_prob(*soft.chunk(2), flip=self.flip)
            return drawn - self.sparse_weight * law.mean()

        descend(model, loss, budget=budget, seed=seed, learning_rate=self.learning_rate)
        recompute_batch_norm(model.encoder, pairs.images[pairs.used_images()])
        return TrainedCodes.fit(model, pairs, validation, place)
