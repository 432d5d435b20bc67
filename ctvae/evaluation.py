"""Scores that need a model: retrieval, edits judged by the nearest true picture, names of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import DataError
from ctvae.metrics.disentanglement import (
    align_codes,
    exactly_one_changed,
    information_matrix,
    match_slots,
    slots_changed,
)
from ctvae.metrics.retrieval import calibration_band, calibration_error

if TYPE_CHECKING:
    from ctvae.data.images import ImageSet
    from ctvae.data.transitions import Transitions
    from ctvae.data.worlds import ColourWorld
    from ctvae.models.ctvae import CTVAE

__all__ = [
    "EditScores",
    "GridJudge",
    "Judge",
    "RetrievalScores",
    "SlotScores",
    "WorldJudge",
    "score_edits",
    "score_retrieval",
    "score_slots",
]


class RetrievalScores(NamedTuple):
    """How well actions are retrieved from pairs.

    Attributes:
        accuracy: Share of pairs whose most probable sequence is right, up to equivalence (orders
            that commute are one).
        accuracy_ties_split: The same with the credit of a pair divided by the size of its class:
            what a guess within the class would score. For single actions this is the figure to
            quote, because a collapsed slot makes all its actions one class.
        nll: Mean negative log-probability of the true sequence, nats.
        calibration_error: Expected calibration error, 15 bins.
        calibration_band: Its central 95 % interval for a perfectly calibrated model of these.
        confidence: ``(pairs,)`` probability of the answer, its equivalents included.
        correct: ``(pairs,)`` whether it was right.
        log_evidence: ``(pairs,)`` nats.
        mode: ``(pairs, length)`` the answers.
    """

    accuracy: float
    accuracy_ties_split: float
    nll: float
    calibration_error: float
    calibration_band: tuple[float, float]
    confidence: Float[Tensor, " pairs"]
    correct: Bool[Tensor, " pairs"]
    log_evidence: Float[Tensor, " pairs"]
    mode: Int[Tensor, "pairs length"]


def score_retrieval(
    model: CTVAE,
    images: Tensor,
    before: Int[Tensor, " pairs"],
    sequence: Int[Tensor, "pairs length"],
    after: Int[Tensor, " pairs"],
) -> RetrievalScores:
    """Retrieves the actions of pairs and scores the posterior.

    Args:
        model: A fitted model.
        images: A pool of images.
        before: Rows of the pool.
        sequence: True action indices.
        after: Rows of the pool.

    Returns:
        The scores.
    """
    posterior = model.retrieve_action(images[before], images[after], length=sequence.shape[1])
    sequence = sequence.to(posterior.probs.device)
    correct = posterior.same_class(sequence)
    classes = posterior.equivalence_class
    answer = classes.gather(1, posterior.probs.argmax(1, keepdim=True))
    confidence = (posterior.probs * (classes == answer)).sum(1).clamp(max=1.0)
    return RetrievalScores(
        float(correct.double().mean()),
        float(posterior.accuracy_credit(sequence).mean()),
        -float(posterior.log_prob(sequence).mean()),
        calibration_error(confidence, correct),
        calibration_band(confidence),
        confidence,
        correct,
        posterior.log_evidence,
        posterior.mode,
    )


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
    changed = slots_changed(place[pairs.before], place[pairs.after]).double()
    matched = information[torch.arange(len(slot_of_factor)), slot_of_factor]
    return SlotScores(
        matched,
        slot_of_factor,
        values,
        wrong,
        float(changed.mean()),
        float((changed == 1).double().mean()),
    )


class Judge(Protocol):
    """Reads the factors of drawn pictures by comparison with true ones."""

    def read(self, pictures: Tensor, rows: Int[Tensor, " n"]) -> Int[Tensor, "n factors"]:
        """Reads pictures.

        Args:
            pictures: ``(n, channels, size, size)`` in [0, 1].
            rows: The image of the judged set that each picture was made from.

        Returns:
            The moved factors of the nearest true picture with the same nuisances.
        """

    def exists(
        self, factors: Int[Tensor, "n factors"], rows: Int[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """Tells which moved factors have a true picture to be found.

        Args:
            factors: Moved factors.
            rows: The image each belongs to.

        Returns:
            ``(n,)`` booleans.
        """


def _nearest(pictures: Tensor, gallery: Tensor) -> Tensor:
    flat = gallery.flatten(1)
    norms = flat.square().sum(1)
    parts = [
        (norms - 2 * part @ flat.T).argmin(1) for part in pictures.flatten(1).float().split(2048)
    ]
    return torch.cat(parts)


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


class GridJudge:
    """Judges by the nearest existing image with the same nuisances (the same pose).

    Args:
        gallery: All existing images, held-out ones included.
        judged: The images that pictures are made from, a subset of the gallery.
    """

    def __init__(self, gallery: ImageSet, judged: ImageSet) -> None:
        self.gallery, self.judged = gallery, judged
        names = [s for s in gallery.space if s.name not in gallery.moves]
        columns = [gallery.space.index(slot.name) for slot in names]
        sizes = [slot.cardinality for slot in names]
        self._group = joint_index(gallery.factors[:, columns], sizes)
        self._judged_group = joint_index(judged.factors[:, columns], sizes)

    def read(self, pictures: Tensor, rows: Int[Tensor, " n"]) -> Int[Tensor, "n factors"]:
        """Reads pictures.

        Args:
            pictures: ``(n, channels, size, size)`` in [0, 1].
            rows: The judged image that each picture was made from.

        Returns:
            The moved factors of the nearest image.
        """
        found = torch.zeros(len(pictures), len(self.gallery.moved), dtype=torch.long)
        wanted = self._judged_group[rows]
        for group in wanted.unique():
            mine = wanted == group
            members = (self._group == group).nonzero()[:, 0]
            near = _nearest(pictures[mine].cpu(), _unit(self.gallery.images[members]))
            found[mine] = self.gallery.moved_factors[members[near]]
        return found

    def exists(
        self, factors: Int[Tensor, "n factors"], rows: Int[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """Tells which moved factors exist in the gallery.

        Args:
            factors: Moved factors.
            rows: The judged image each belongs to.

        Returns:
            ``(n,)`` booleans.
        """
        sizes = [*self.gallery.moved.cardinalities, int(self._group.max()) + 1]
        known = torch.cat([self.gallery.moved_factors, self._group[:, None]], 1)
        asked = torch.cat([factors, self._judged_group[rows][:, None]], 1)
        return torch.isin(joint_index(asked, sizes), joint_index(known, sizes))


class WorldJudge:
    """Judges by the nearest of all combinations of factors, rendered in the scene's nuisances.

    Args:
        world: The world.
        nuisances: ``(n, 4)`` the nuisances of each judged image.
    """

    def __init__(self, world: ColourWorld, nuisances: Float[Tensor, "n 4"]) -> None:
        self.world, self.nuisances = world, nuisances
        sizes = world.scm.slots.cardinalities
        self._all = torch.cartesian_prod(*[torch.arange(size) for size in sizes])

    def read(self, pictures: Tensor, rows: Int[Tensor, " n"]) -> Int[Tensor, "n factors"]:
        """Reads pictures.

        Args:
            pictures: ``(n, 3, size, size)`` in [0, 1].
            rows: The judged image that each picture was made from.

        Returns:
            The factors of the nearest rendering.
        """
        found = torch.zeros(len(pictures), self._all.shape[1], dtype=torch.long)
        for row in rows.unique():
            mine = rows == row
            scene = self.nuisances[row].expand(len(self._all), -1)
            gallery = _unit(self.world.render(self._all, scene))
            found[mine] = self._all[_nearest(pictures[mine].cpu(), gallery)]
        return found

    def exists(
        self, factors: Int[Tensor, "n factors"], rows: Int[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """Tells that every combination exists.

        Args:
            factors: Moved factors.
            rows: The judged image each belongs to.

        Returns:
            ``(n,)`` of true.
        """
        del rows
        return torch.ones(len(factors), dtype=torch.bool)


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
    error = float((plain.cpu() - _unit(images)).square().mean())
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
    one = exactly_one_changed(truth[source], seen, target)
    hit = (seen == wanted).all(1)
    none = (seen == truth[source]).all(1)
    table = torch.stack([one, hit, none], 1).double()
    atomicity, on_target, no_effect = table.mean(0).tolist()
    return EditScores(
        atomicity, on_target, no_effect, float(right.double().mean()), error, len(table)
    )
