"""What edits of a model do to pictures: whether one factor changes, and no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ctvae.errors import DataError
from ctvae.evaluation.judges import unit_pixels
from ctvae.metrics import edit_atomicity

if TYPE_CHECKING:
    from ctvae.data.images import ImageSet
    from ctvae.evaluation.judges import Judge
    from ctvae.evaluation.slots import SlotScores
    from ctvae.models.ctvae import CTVAE

__all__ = ["EditScores", "score_edits"]


class EditScores(NamedTuple):
    """What edits do to pictures, judged against the true factors of the image edited.

    Attributes:
        atomicity: Share of edits after which exactly the edited factor differs from the truth.
        on_target: Share after which it has the value asked for, and no other factor differs.
        no_effect: Share after which nothing differs.
        reconstruction: Share of images whose decoded codes show all true factors.
        squared_error: Mean squared error of the reconstructions.
        num_edits: How many edits were judged.
    """

    atomicity: float
    on_target: float
    no_effect: float
    reconstruction: float
    squared_error: float
    num_edits: int


def score_edits(
    model: CTVAE,
    judged: ImageSet,
    judge: Judge,
    slots: SlotScores,
    *,
    max_images: int = 500,
) -> EditScores:
    """Sets every slot of images to every other code, one at a time, and judges the pictures.

    Edits whose true picture does not exist are left out, because the nearest existing one would
    have to differ in another factor.

    Args:
        model: A fitted model.
        judged: Held-out images with their factors.
        judge: Reads the pictures.
        slots: Which slot and code stands for which factor and value.
        max_images: Judge at most so many images, evenly spread.

    Returns:
        The scores.

    Raises:
        DataError: When no edit can be judged.

    Cost: (images * codes) decodings and as many nearest-neighbour searches.
    """
    rows = torch.linspace(0, len(judged) - 1, min(max_images, len(judged))).long().unique()
    images, truth = judged.images[rows], judged.moved_factors[rows]
    codes, spare = model.encode(images).cpu(), model.autoencoder.encode_spare(images).cpu()
    plain = model.decode(codes, spare=spare)
    right = (judge.read(plain.cpu(), rows) == truth).all(1)
    error = float((plain.cpu() - unit_pixels(images)).square().mean())
    asked: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []  # source, factor, wanted, codes
    for factor, (slot, values) in enumerate(
        zip(slots.slot_of_factor, slots.value_of_code, strict=True)
    ):
        for code, value in enumerate(values.tolist()):
            wanted = truth.clone()
            wanted[:, factor] = value
            chosen = (truth[:, factor] != value) & (codes[:, slot] != code)
            if value < 0:  # a code that stands for no value asks for nothing
                continue
            source = (chosen & judge.exists(wanted, rows)).nonzero()[:, 0]
            edited = codes[source].clone()
            edited[:, slot] = code
            asked.append((source, torch.full_like(source, factor), wanted[source], edited))
    source, target, wanted, edited = (torch.cat(column) for column in zip(*asked, strict=True))
    if not len(source):
        msg = "no edit can be judged: no true picture of any edit exists"
        raise DataError(msg)
    seen = judge.read(model.decode(edited, spare=spare[source]).cpu(), rows[source])
    effect = edit_atomicity(truth[source], seen, target)
    hit = (seen == wanted).all(1).double().mean()
    return EditScores(
        effect.atomic,
        float(hit),
        effect.no_effect,
        float(right.double().mean()),
        error,
        len(source),
    )
