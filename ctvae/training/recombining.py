"""The reader learns combinations of codes that no image showed, from the decoder's pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from ctvae.models.readers import CodeReader
from ctvae.nn import SlotDecoder
from ctvae.training.loop import StepLoss
from ctvae.training.reading import ReadingObjective

if TYPE_CHECKING:
    from ctvae.training.config import ReadingStage, RecombiningStage

__all__ = ["RecombiningObjective", "draw_combinations"]


class RecombiningObjective(nn.Module):
    r"""True images with the codes that their pairs imply, and drawn ones with the codes drawn.

    .. math:: L = -\tfrac12 \sum_k \log q_k(z_k \mid x)
        - \tfrac12 \sum_k \log q_k(\tilde z_k \mid d(\tilde z)),
        \qquad \tilde z_k \sim \text{uniform, independent}

    The reader becomes an inverse of the decoder d on all combinations of codes, not only on those
    that training images show. That serves where the decoder draws unseen combinations better than
    the reader reads them; the decoder stays as it is.

    Args:
        reader: Scores the codes of each slot; trained.
        decoder: Draws codes; frozen.
        reading: Settings of the reading stage.
        stage: Settings of this stage.

    Source: the compositional consistency of Wiedemer, Brady, Panfilov, Juhos, Bethge, Brendel
    (ICLR 2024), here for codes and after the decoder instead of beside it.
    """

    def __init__(
        self,
        reader: CodeReader,
        decoder: SlotDecoder,
        reading: ReadingStage,
        stage: RecombiningStage,
    ) -> None:
        super().__init__()
        self.reading, self.stage = ReadingObjective(reader, reading), stage
        self._decoder = (decoder,)  # not a part: its weights are not this objective's

    def forward(
        self,
        images: Tensor,
        codes: Int[Tensor, "batch slots"],
        drawn: Int[Tensor, "batch slots"],
        spare: Tensor,
    ) -> StepLoss:
        """Scores a batch.

        Args:
            images: True images, floats in [0, 1].
            codes: Their codes, -1 where open.
            drawn: Codes of the pictures to draw.
            spare: What no slot holds in them, ``(batch, spare)``.

        Returns:
            The cross-entropy, summed over slots, with the share of codes read right.
        """
        decoder = self._decoder[0].eval()
        with torch.no_grad():
            pictures = decoder(drawn, spare if spare.shape[1] else None).sigmoid()
        loss: StepLoss = self.reading(torch.cat([images, pictures]), torch.cat([codes, drawn]))
        return loss

    def groups(self) -> list[dict[str, Any]]:
        """Gives the parameter groups of AdamW.

        Returns:
            The reader, with weight decay.
        """
        return [{**group, "lr": self.stage.learning_rate} for group in self.reading.groups()]


def draw_combinations(
    cardinalities: tuple[int, ...], count: int, generator: torch.Generator
) -> Int[Tensor, "count slots"]:
    """Draws codes, uniform and independent in every slot.

    Args:
        cardinalities: The number of codes of each slot.
        count: How many rows.
        generator: For the draws.

    Returns:
        ``(count, slots)``.

    Example:
        >>> draw_combinations((2, 3), 4, torch.Generator().manual_seed(0)).shape
        torch.Size([4, 2])
    """
    share = torch.rand(count, len(cardinalities), generator=generator)
    sizes = torch.tensor(cardinalities)
    return (share * sizes).long().minimum(sizes - 1)
