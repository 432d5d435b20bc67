"""``fit``: the one call that trains a CTVAE, in place."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ctvae.data.label_sharing import share_labels
from ctvae.errors import RegimeError, UnknownActionError
from ctvae.inference.actions import action_posterior
from ctvae.mechanisms.actions import target_mask
from ctvae.models.autoencoder import fitted
from ctvae.models.warm_up import ActionMoves
from ctvae.nn import check_images
from ctvae.regimes import Regime
from ctvae.training.checks import Alarm, TrainingStatus, check_training
from ctvae.training.config import TrainingConfig
from ctvae.training.loop import Progress
from ctvae.training.reading import calibrate_reader, usable_links
from ctvae.training.run import Run
from ctvae.training.stages import count_law, find_codebooks

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE

__all__ = ["History", "fit"]


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes:
        records: Stage to the figures logged.
        alarms: What is wrong; empty when all is well.
        cross_entropy: Of the action posterior before rounding to codes (of the warm-up's numbers,
            or with codes as probabilities; there up to equivalence), nats per pair, on the judging
            pairs (validation where given, else training).
        continuous_accuracy: Of its mode, on the same pairs.
        discrete_accuracy: Of the posterior on codes, on the same pairs; ties are split.
        separation: For each slot, how far its modes are apart (see ``Modes``); empty where the
            pairs implied the codes.
        held: For each slot, the share of the judging pairs with another target in which its code
            stays.
        cardinalities: The codes found in each slot.
        smoothing: The prior count chosen for the tables.
        temperature: Of a reader's scores, chosen likewise; 1 where codes are modes.
        pairs: How many pairs had a label, or were given one by the others.
        cpu_seconds: Processor time of the whole training.
    """

    records: dict[str, list[dict[str, float]]]
    alarms: tuple[Alarm, ...]
    cross_entropy: float
    continuous_accuracy: float
    discrete_accuracy: float
    separation: tuple[float, ...]
    held: tuple[float, ...]
    cardinalities: tuple[int, ...]
    smoothing: float
    temperature: float
    pairs: int
    cpu_seconds: float

    @property
    def status(self) -> TrainingStatus:
        """The first alarm, or ``DONE``."""
        return self.alarms[0].status if self.alarms else TrainingStatus.DONE

    def __repr__(self) -> str:
        return (
            f"History({self.status.name}, codes {self.cardinalities}, accuracy "
            f"{self.discrete_accuracy:.3f} on codes, {self.cpu_seconds:.0f} CPU s)"
        )


def fit(
    model: CTVAE,
    pairs: Transitions,
    config: TrainingConfig | None = None,
    *,
    validation: Transitions | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> History:
    """Trains a model on pairs, in place, in three stages of fixed length.

    What the data leave open is found first, where images recur in several pairs: labels of pairs
    that have none (``share_labels``) and targets of actions (``find_targets``). Pairs that stay
    without a label are left out.

    Where images recur in several pairs, the pairs alone imply the codes (``link_codes``), and a
    reader is taught them. Elsewhere a continuous two-slice model teaches the encoder one number per
    slot (after a search for the targets where they are not known), and codes are read off the modes
    of those numbers. Then the tables of actions are counted, and the decoder is trained on frozen
    codes. The encoder gets no gradient of the reconstruction.

    Args:
        model: The model; trained, and moved to the device.
        pairs: Training pairs.
        config: Settings; the defaults where ``None``.
        validation: Pairs that choose the tables' smoothing and that the checks look at; the
            training pairs serve where ``None``.
        checkpoint: A folder to write snapshots to and to resume from.
        progress: Called as training goes on.

    Returns:
        Figures and alarms. Read ``history.status`` before trusting the slots.

    Raises:
        UnknownActionError: When the pairs' actions are not the model's.
        RegimeError: When the pairs are no edits.
        ShapeError: When images do not fit the model, or hold NaN.
        FormatError: When the checkpoint folder is of another run.

    Cost: about 100 CPU seconds for 32x32 images at the default steps.
    """
    config = config or TrainingConfig()
    _check(model, pairs)
    if validation is not None:
        _check(model, validation)
        validation = _labelled(validation)
    begun = time.process_time()
    pairs = _labelled(share_labels(pairs))
    model.autoencoder = copy.deepcopy(model.autoencoder)  # older copies of the model keep theirs
    run = Run(model, pairs, config, checkpoint, progress)
    judge, moves = validation or pairs, None
    separation: tuple[float, ...] = ()
    run.find_targets()
    linked = usable_links(run.pairs, config.reading) if config.reading else None
    if linked is not None:
        run.read(linked)
    else:
        moves = run.warm_up()
        quantizer, separation = find_codebooks(model, moves.spacing(), pairs, config.codebook)
        model.autoencoder.quantizer = quantizer
    law = count_law(model, pairs, validation, config.codebook)
    model.transition = law.transition
    temperature = 1.0
    if linked is not None and config.reading:
        temperature = calibrate_reader(model, judge, config.reading)
    run.train_decoder()
    model.scm = None  # an SCM over older codes would be wrong
    cross_entropy, continuous = _judge_soft(model, judge, moves)
    discrete, held = _judge_codes(model, judge)
    alarms = check_training(
        cross_entropy=cross_entropy,
        continuous_accuracy=continuous,
        discrete_accuracy=discrete,
        separation=separation,
        held=held,
        cardinalities=model.autoencoder.cardinalities,
        slots=model.slot_names,
    )
    return History(
        run.records,
        alarms,
        cross_entropy,
        continuous,
        discrete,
        separation,
        held,
        model.autoencoder.cardinalities,
        law.smoothing,
        temperature,
        len(pairs),
        time.process_time() - begun,
    )


def _labelled(pairs: Transitions) -> Transitions:
    known = pairs.action >= 0
    return pairs if bool(known.all()) else pairs.subset(known.nonzero()[:, 0])


def _check(model: CTVAE, pairs: Transitions) -> None:
    if pairs.regime is not Regime.EDIT:
        msg = (
            "slots are learned from edit pairs (all but the target held), got "
            f"{pairs.regime.value} pairs: what responds downstream would be booked as misreading"
        )
        raise RegimeError(msg)
    names = tuple(action.name for action in pairs.actions)
    own = tuple(action.name for action in model.actions)
    if names != own:
        msg = f"the pairs have actions {names}, the model {own}; make the model with pairs.actions"
        raise UnknownActionError(msg)
    config = model.config
    for part in pairs.images.split(4096):
        check_images(part, channels=config.channels, size=config.image_size)


@torch.no_grad()
def _judge_soft(model: CTVAE, pairs: Transitions, moves: ActionMoves | None) -> tuple[float, float]:
    """Cross-entropy and accuracy of the action posterior before codes are rounded."""
    action = pairs.action.to(model.device)
    used, coder = pairs.used_images(), model.autoencoder
    read = coder.encode_log_probs if moves is None else coder.read
    values = read(pairs.images[used])
    slots = values.new_zeros(len(pairs.images), *values.shape[1:])
    slots[used] = values
    before, after = slots[pairs.before], slots[pairs.after]
    if moves is None:
        posterior = action_posterior(fitted(model.transition), before.exp(), after.exp())
        right = posterior.accuracy_credit(action)
        classes = posterior.equivalence_class
        mine = classes == classes.gather(1, action[:, None])
        surprise = -(posterior.probs * mine).sum(1).log()
        return float(surprise.mean()), float(right.mean())
    scores = moves.scores(before[..., 0], after[..., 0])
    loss = torch.nn.functional.cross_entropy(scores, action)
    return float(loss), float((scores.argmax(1) == action).float().mean())


def _judge_codes(model: CTVAE, pairs: Transitions) -> tuple[float, tuple[float, ...]]:
    """Accuracy of the posterior on codes, and how often each slot is held when it should be."""
    before, after = (model.encode(pairs.images[rows]) for rows in (pairs.before, pairs.after))
    action = pairs.action.to(model.device)
    posterior = action_posterior(fitted(model.transition), before, after)
    others = ~target_mask(model.actions, before.shape[1], model.device)[action]
    stays = ((before == after) & others).sum(0) / others.sum(0).clamp(min=1)
    alone = others.sum(0) == 0
    return float(posterior.accuracy_credit(action).mean()), tuple((stays + alone.float()).tolist())
