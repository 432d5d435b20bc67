"""How far the slots of a model are the factors of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.metrics import align_codes, information_matrix, match_slots, transition_sparsity

if TYPE_CHECKING:
    from ctvae.data.images import ImageSet
    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE

__all__ = ["SlotScores", "score_slots"]


class SlotScores(NamedTuple):
    """How far slots are the factors.

    Attributes:
        matched_information: ``(factors,)`` share of each factor's entropy told by its slot.
        slot_of_factor: The slot of each factor.
        value_of_code: For each factor, the value that each code of its slot stands for.
        wrong_codes: For each factor, the share of images whose code stands for another value.
        changed: Mean number of slots that change under one action.
        changed_exactly_one: Share of pairs in which exactly one slot changes.
    """

    matched_information: Float[Tensor, " factors"]
    slot_of_factor: list[int]
    value_of_code: list[Int[Tensor, " codes"]]
    wrong_codes: list[float]
    changed: float
    changed_exactly_one: float


def score_slots(model: CTVAE, named: ImageSet, judged: ImageSet, pairs: Transitions) -> SlotScores:
    """Matches slots with factors and measures what they tell.

    Args:
        model: A fitted model.
        named: Images that say what each code stands for (training images).
        judged: Images that the scores are taken on.
        pairs: Pairs that the changes of slots are counted on.

    Returns:
        The scores.
    """
    codes, truth = model.encode(named.images).cpu(), named.moved_factors
    slot_of_factor = match_slots(information_matrix(truth, codes))
    unseen, unseen_truth = model.encode(judged.images).cpu(), judged.moved_factors
    information = information_matrix(unseen_truth, unseen)
    values, wrong = [], []
    for factor, slot in enumerate(slot_of_factor):
        size, used = named.moved[factor].cardinality, model.slots[slot].cardinality
        found = align_codes(truth[:, factor], codes[:, slot], size, used).value_of_code
        values.append(found)
        wrong.append(float((found[unseen[:, slot]] != unseen_truth[:, factor]).double().mean()))
    rows = pairs.used_images()
    place = torch.zeros(len(pairs.images), len(model.slots), dtype=torch.long)
    place[rows] = model.encode(pairs.images[rows]).cpu()
    sparsity = transition_sparsity(place[pairs.before], place[pairs.after])
    matched = information[torch.arange(len(slot_of_factor)), slot_of_factor]
    return SlotScores(
        matched,
        slot_of_factor,
        values,
        wrong,
        sparsity.mean_changed,
        sparsity.exactly_one,
    )
