"""The first stage where pairs imply the codes: a reader is taught them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from ctvae.data.cells import OPEN
from ctvae.data.imposing import imposed_codes
from ctvae.data.linking import LinkedCodes, link_codes
from ctvae.inference.actions import action_posterior
from ctvae.models.autoencoder import fitted
from ctvae.models.readers import CodeReader
from ctvae.quant import CategoricalSlots
from ctvae.regimes import Regime
from ctvae.training.loop import StepLoss

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE
    from ctvae.training.config import ReadingStage

__all__ = ["ReadingObjective", "calibrate_reader", "usable_links"]

WEIGHT_DECAY = 1e-3


def usable_links(pairs: Transitions, stage: ReadingStage) -> LinkedCodes | None:
    """Links the codes of pairs, where that says enough to teach a reader.

    Where descendants respond, nothing is linked: set actions alone say what the images after them
    show.

    Args:
        pairs: Training pairs.
        stage: How much is enough.

    Returns:
        The codes; ``None`` where a target is not known, pairs contradict each other, a slot would
        have a single code, or too few images are linked.
    """
    if any(action.targets is None for action in pairs.actions):
        return None
    if pairs.regime is Regime.COUNTERFACTUAL:
        return imposed_codes(pairs)
    linked = link_codes(pairs)
    if linked.contradictions or min(linked.cardinalities) < 2:
        return None
    return linked if linked.placed(pairs.used_images()) >= stage.least_known else None


def calibrate_reader(model: CTVAE, judge: Transitions, stage: ReadingStage) -> float:
    """Gives a reader's scores the temperature under which actions are foretold best.

    Args:
        model: A model with a categorical reader and counted tables; its quantizer is replaced.
        judge: Pairs that choose, best those of validation.
        stage: The temperatures tried.

    Returns:
        The temperature.
    """
    coder, law = model.autoencoder, fitted(model.transition)
    seen, action = judge.used_images(), judge.action.to(model.device)
    read = coder.read(judge.images[seen])
    tried = []
    for temperature in stage.temperatures:
        quantizer = CategoricalSlots(coder.cardinalities, temperature=temperature).to(model.device)
        probs = quantizer.log_probs(read).exp()
        whole = probs.new_zeros(len(judge.images), *probs.shape[1:])
        whole[seen] = probs
        posterior = action_posterior(law, whole[judge.before], whole[judge.after])
        tried.append((-float(posterior.log_prob(action).mean()), temperature, quantizer))
    _, temperature, coder.quantizer = min(tried, key=lambda entry: entry[0])
    return temperature


class ReadingObjective(nn.Module):
    """Images and the codes that their pairs imply.

    Args:
        reader: Scores the codes of each slot.
        stage: Settings.
    """

    def __init__(self, reader: CodeReader, stage: ReadingStage) -> None:
        super().__init__()
        self.reader, self.stage = reader, stage

    def forward(self, images: Tensor, codes: Int[Tensor, "batch slots"]) -> StepLoss:
        """Scores a batch.

        Args:
            images: Floats in [0, 1].
            codes: Codes, -1 where open.

        Returns:
            The cross-entropy, summed over slots, with the share of codes read right.
        """
        scores = self.reader(images)
        sizes = torch.tensor(self.reader.cardinalities, device=scores.device)
        absent = torch.arange(scores.shape[-1], device=scores.device) >= sizes[:, None]
        real = scores.masked_fill(absent, -torch.inf)
        flat = nn.functional.cross_entropy(
            real.flatten(0, 1), codes.flatten(), ignore_index=OPEN, reduction="sum"
        )
        known = codes != OPEN
        right = (real.argmax(-1) == codes)[known].float().mean()
        return StepLoss(flat / len(images), {"codes_right": right.detach()})

    def groups(self) -> list[dict[str, Any]]:
        """Gives the parameter groups of AdamW.

        Returns:
            The reader, with weight decay.
        """
        rate = self.stage.learning_rate
        return [{"params": list(self.parameters()), "lr": rate, "weight_decay": WEIGHT_DECAY}]
