"""``fit``: the one call that trains a CTVAE, in place."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ctvae.data.imposing import imposed_codes
from ctvae.data.label_sharing import share_labels
from ctvae.errors import RegimeError, UnknownActionError
from ctvae.nn import check_images
from ctvae.regimes import Regime
from ctvae.training.checks import Alarm, TrainingStatus, check_training
from ctvae.training.config import TrainingConfig
from ctvae.training.judging import judge_training
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
            pairs (validation where given, else training). Where descendants respond, here and
            below, of the codes that actions have set in the place of the actions.
        continuous_accuracy: Of its mode, on the same pairs.
        discrete_accuracy: Of the posterior on codes, on the same pairs; ties are split.
        separation: For each slot, how far its modes are apart (see ``Modes``); empty where the
            pairs implied the codes.
        held: For each slot, the share of the judging pairs in which its code is what it must be:
            it stays, where it is no target; it is the value set, where descendants respond.
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
    of those numbers. Where descendants respond (the counterfactual regime), set actions say what
    the images after them show, and a reader is taught that. The decoder is trained on frozen codes,
    so the encoder gets no gradient of the reconstruction; its pictures then teach a reader the
    combinations of codes that no image showed. Last, the tables of actions are counted.

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
        RegimeError: When the pairs are no edits, nor set slots to values while others respond.
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
    pairs = _labelled(share_labels(pairs) if pairs.regime is Regime.EDIT else pairs)
    model.autoencoder = copy.deepcopy(model.autoencoder)  # older copies of the model keep theirs
    run = Run(model, pairs, config, checkpoint, progress)
    judge, moves = validation or pairs, None
    separation: tuple[float, ...] = ()
    run.find_targets()
    linked = usable_links(run.pairs, config.reading) if config.reading else None
    if linked is not None:
        linked = run.read(linked)
    else:
        moves = run.warm_up()
        quantizer, separation = find_codebooks(model, moves.spacing(), pairs, config.codebook)
        model.autoencoder.quantizer = quantizer
    run.train_decoder()
    if linked is not None:
        run.recombine(linked)
    law = count_law(model, pairs, validation, config.codebook)
    model.transition = law.transition
    temperature = 1.0
    if linked is not None and config.reading:
        temperature = calibrate_reader(model, judge, config.reading)
    model.scm = model.coupling = None  # those of older codes would be wrong
    judgement = judge_training(model, judge, moves)
    alarms = check_training(
        **judgement._asdict(),
        separation=separation,
        cardinalities=model.autoencoder.cardinalities,
        slots=model.slot_names,
    )
    return History(
        run.records,
        alarms,
        judgement.cross_entropy,
        judgement.continuous_accuracy,
        judgement.discrete_accuracy,
        separation,
        judgement.held,
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
    imposed = pairs.regime is Regime.COUNTERFACTUAL and imposed_codes(pairs) is not None
    if pairs.regime is not Regime.EDIT and not imposed:
        msg = (
            "slots are learned from edit pairs (all but the target held), or from pairs in which "
            "descendants respond to actions that set slots to values; got "
            f"{pairs.regime.value} pairs of other actions: what responds downstream would be "
            "booked as misreading"
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
