"""``fit``: the one call that trains a CTVAE, in place."""

from __future__ import annotations

import copy
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctvae.errors import DataError, RegimeError, UnknownActionError
from ctvae.inference.actions import action_posterior
from ctvae.models.readers import SlotReader
from ctvae.models.warm_up import ActionMoves, FreeMoves
from ctvae.nn import check_images
from ctvae.randomness import make_generator, scoped_seed, spawn
from ctvae.regimes import Regime
from ctvae.training.checks import Alarm, TrainingStatus, check_training
from ctvae.training.config import TrainingConfig
from ctvae.training.loop import Loop, Progress
from ctvae.training.resume import Checkpoint
from ctvae.training.stages import (
    SPARE_BANK,
    DecoderObjective,
    WarmUpObjective,
    learn_codebooks,
    make_decoder,
    resolve_targets,
    settle,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE

__all__ = ["History", "fit"]


@dataclass(frozen=True)
class History:
    """How a training went.

    Attributes:
        records: Stage to the figures logged.
        alarms: What is wrong; empty when all is well.
        cross_entropy: Of the continuous action posterior, nats per pair, on the judging pairs
            (validation where given, else training).
        continuous_accuracy: Of its mode, on the same pairs.
        discrete_accuracy: Of the posterior on codes, on the same pairs; ties are split.
        separation: For each slot, how far its modes are apart (see ``Modes``).
        cardinalities: The codes found in each slot.
        smoothing: The prior count chosen for the tables.
        cpu_seconds: Processor time of the whole training.
    """

    records: dict[str, list[dict[str, float]]]
    alarms: tuple[Alarm, ...]
    cross_entropy: float
    continuous_accuracy: float
    discrete_accuracy: float
    separation: tuple[float, ...]
    cardinalities: tuple[int, ...]
    smoothing: float
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
    """Trains a model on labelled pairs, in place, in three stages of fixed length.

    A continuous two-slice model teaches the encoder one number per slot (after a search for the
    targets where they are not known); codes are read off the modes of those numbers and the tables
    of actions are counted; the decoder is trained on frozen codes. The encoder gets no gradient of
    the reconstruction.

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
    begun = time.process_time()
    model.autoencoder = copy.deepcopy(model.autoencoder)  # older copies of the model keep theirs
    run = _Run(model, pairs, config, checkpoint, progress)
    moves = run.warm_up()
    settle(model, model.autoencoder.reader, pairs.images[pairs.used_images()])
    judge = validation or pairs
    cross_entropy, continuous = _judge_moves(model, moves, judge)
    found = learn_codebooks(model, moves.spacing(), pairs, validation, config.codebook)
    model.autoencoder.quantizer, model.transition = found.quantizer, found.transition
    run.train_decoder()
    model.scm = None  # an SCM over older codes would be wrong
    codes = [model.encode(judge.images[rows]) for rows in (judge.before, judge.after)]
    posterior = action_posterior(model.transition, *codes)
    discrete = float(posterior.accuracy_credit(judge.action.to(model.device)).mean())
    separation = tuple(found.separation.tolist())
    alarms = check_training(
        cross_entropy=cross_entropy,
        continuous_accuracy=continuous,
        discrete_accuracy=discrete,
        separation=separation,
        cardinalities=found.quantizer.cardinalities,
        slots=model.slot_names,
    )
    return History(
        run.records,
        alarms,
        cross_entropy,
        continuous,
        discrete,
        separation,
        found.quantizer.cardinalities,
        found.smoothing,
        time.process_time() - begun,
    )


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


def make_fabric(device: str) -> Fabric:
    """Makes the runtime: one device, or those that a launcher has set up.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Returns:
        The runtime, launched.

    Raises:
        DataError: When there is no such device.
    """
    from lightning_fabric import Fabric

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    known = re.fullmatch(r"cpu|cuda(:\d+)?", device)
    if known is None or (kind == "cuda" and int(number or 0) >= torch.cuda.device_count()):
        msg = (
            f"device {device!r} asked for, but there are {torch.cuda.device_count()} CUDA devices; "
            "use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        )
        raise DataError(msg)
    launched = "WORLD_SIZE" in os.environ
    devices: int | list[int] = [int(number)] if number else 1
    fabric = Fabric(
        accelerator=kind,
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if launched else devices,
        strategy="ddp" if launched else "auto",
    )
    fabric.launch()
    return fabric


class _Run:
    """One call of ``fit``: the stages share runtime, seeds and checkpoints."""

    def __init__(
        self,
        model: CTVAE,
        pairs: Transitions,
        config: TrainingConfig,
        checkpoint: str | Path | None,
        progress: Progress | None,
    ) -> None:
        self.model, self.pairs, self.config, self.progress = model, pairs, config, progress
        self.fabric = make_fabric(config.device)
        self.device = self.fabric.device
        model.to(self.device)
        run = f"{config.model_dump_json()} {model.config.model_dump_json()} {pairs!r}"
        self.checkpoint = None if checkpoint is None else Checkpoint(Path(checkpoint), run)
        self.records: dict[str, list[dict[str, float]]] = {}
        seeds = spawn(config.seed, 5)
        self.seeds = dict(
            zip(("matching", "warm_up", "decoder", "weights", "spare"), seeds, strict=True)
        )
        self.images = pairs.images.to(self.device)

    def unit(self, rows: Tensor) -> Tensor:
        """Images of the pool as floats in [0, 1], on the device."""
        images = self.images[rows.to(self.device)]
        return images.float() / 255 if images.dtype == torch.uint8 else images.float()

    def optimise(
        self,
        stage: str,
        objective: WarmUpObjective | DecoderObjective,
        groups: list[dict[str, object]],
        draw: Callable[[torch.Generator], tuple[Tensor, ...]],
        steps: int,
    ) -> None:
        """Runs one optimisation, resuming where a checkpoint has it."""
        objective.to(self.device)
        loop = Loop(stage, objective, groups, draw, steps, self.seeds[stage])
        store = self.checkpoint
        self.records[stage] = loop.run(
            self.fabric,
            resume=None if store is None else store.load(stage),
            save=None if store is None else lambda snapshot: store.save(stage, snapshot),
            save_every=self.config.checkpoint_every,
            progress=self.progress,
        )

    def draw_pairs(self, generator: torch.Generator) -> tuple[Tensor, ...]:
        """A random batch of pairs."""
        count = self.config.warm_up.pairs_per_step
        rows = torch.randint(len(self.pairs), (count,), generator=generator)
        pairs = self.pairs
        before, after = self.unit(pairs.before[rows]), self.unit(pairs.after[rows])
        return before, pairs.action[rows].to(self.device), after

    def warm_up(self) -> ActionMoves:
        """Teaches the reader its slots; matches actions to slots first where targets are free."""
        model, stage = self.model, self.config.warm_up
        if any(action.target is None for action in model.actions):
            self._match()
        moves = ActionMoves(model.actions, len(model.slot_names))
        objective = WarmUpObjective(model.autoencoder.reader, moves, stage)
        self.optimise("warm_up", objective, objective.groups(), self.draw_pairs, stage.steps)
        return moves

    def _match(self) -> None:
        model, stage = self.model, self.config.warm_up
        wide = max(stage.matching_slots, len(model.slot_names))
        with scoped_seed(self.seeds["weights"]):
            reader = SlotReader(model.config.channels, model.config.image_size, wide)
        start = torch.randn(
            len(model.actions), wide, generator=make_generator(self.seeds["matching"])
        )
        free = FreeMoves(len(model.actions), wide, start)
        objective = WarmUpObjective(reader, free, stage)
        self.optimise(
            "matching", objective, objective.groups(), self.draw_pairs, stage.matching_steps
        )
        model.actions = resolve_targets(model.actions, free)
        with scoped_seed(self.seeds["weights"]):
            model.autoencoder.reader = reader.with_slots(len(model.slot_names)).to(self.device)

    def train_decoder(self) -> None:
        """Trains a fresh decoder on the frozen codes."""
        model, stage, pairs = self.model, self.config.decoder, self.pairs
        decoder = model.autoencoder.decoder = make_decoder(model, self.seeds["weights"])
        used = pairs.used_images()
        codes = torch.zeros(len(pairs.images), len(model.slots), dtype=torch.long)
        codes = codes.to(self.device)
        codes[used] = model.encode(pairs.images[used])

        def draw_single(generator: torch.Generator) -> tuple[Tensor, ...]:
            pick = torch.randint(len(used), (stage.images_per_step,), generator=generator)
            images = self.unit(used[pick])
            return images, codes[used[pick]], images

        def draw_swap(generator: torch.Generator) -> tuple[Tensor, ...]:
            rows = torch.randint(len(pairs), (stage.images_per_step,), generator=generator)
            drawn, other = pairs.after[rows], pairs.before[rows]
            return self.unit(drawn), codes[drawn], self.unit(other)

        objective = DecoderObjective(decoder, model.autoencoder.spare_reader)
        draw = draw_single if model.autoencoder.spare_reader is None else draw_swap
        groups = objective.groups(stage.learning_rate)
        self.optimise("decoder", objective, groups, draw, stage.steps)
        if model.autoencoder.spare_reader is not None:
            settle(model, model.autoencoder.spare_reader, pairs.images[used])
            generator = make_generator(self.seeds["spare"])
            pick = torch.randperm(len(used), generator=generator)[:SPARE_BANK]
            model.autoencoder.spare_bank = model.autoencoder.encode_spare(pairs.images[used[pick]])


@torch.no_grad()
def _judge_moves(model: CTVAE, moves: ActionMoves, pairs: Transitions) -> tuple[float, float]:
    used = pairs.used_images()
    slots = torch.zeros(len(pairs.images), len(model.slot_names), device=model.device)
    slots[used] = model.autoencoder.read(pairs.images[used])
    action = pairs.action.to(model.device)
    scores = moves.scores(slots[pairs.before], slots[pairs.after])
    loss = torch.nn.functional.cross_entropy(scores, action)
    return float(loss), float((scores.argmax(1) == action).float().mean())
