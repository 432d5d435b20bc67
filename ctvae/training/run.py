"""The stages of one training, run in turn on one runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctvae.data.alignment import align_contexts
from ctvae.data.cells import OPEN
from ctvae.data.targets import find_targets
from ctvae.errors import UnknownSlotError
from ctvae.mechanisms.actions import Action, ShiftAction, targets_of
from ctvae.models.autoencoder import fitted
from ctvae.models.readers import CodeReader, SlotReader
from ctvae.models.warm_up import ActionMoves, FreeMoves
from ctvae.nn import recompute_batch_norm
from ctvae.quant import CategoricalSlots
from ctvae.randomness import make_generator, scoped_seed, spawn
from ctvae.training.config import ReadingStage, RecombiningStage, TrainingConfig
from ctvae.training.fabric import make_fabric
from ctvae.training.loop import Loop, Progress
from ctvae.training.reading import ReadingObjective
from ctvae.training.recombining import RecombiningObjective, draw_combinations
from ctvae.training.resume import Checkpoint
from ctvae.training.stages import (
    SPARE_BANK,
    DecoderObjective,
    WarmUpObjective,
    make_decoder,
    resolve_targets,
)

if TYPE_CHECKING:
    from ctvae.data.linking import LinkedCodes
    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE

__all__ = ["Run"]

SEEDED = (
    *("matching", "warm_up", "decoder", "weights", "spare", "reading", "alignment"),
    "recombining",
)
"""What has a seed of its own; a new one comes last, so that the others stay."""
JUDGED = 1024
"""Training images whose drawings are read, before their decoder teaches anything."""


class Run:
    """One call of ``fit``: the stages share runtime, seeds and checkpoints.

    Args:
        model: The model; trained in place, and moved to the device.
        pairs: Labelled pairs.
        config: Settings.
        checkpoint: A folder to write snapshots to and to resume from.
        progress: Called as training goes on.
    """

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
        seeds = spawn(config.seed, len(SEEDED))
        self.seeds = dict(zip(SEEDED, seeds, strict=True))
        self.images = pairs.images.to(self.device)

    def unit(self, rows: Tensor) -> Tensor:
        """Images of the pool as floats in [0, 1], on the device."""
        images = self.images[rows.to(self.device)]
        return images.float() / 255 if images.dtype == torch.uint8 else images.float()

    def optimise(
        self,
        stage: str,
        objective: WarmUpObjective | ReadingObjective | DecoderObjective | RecombiningObjective,
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

    def find_targets(self) -> None:
        """Gives actions without targets those that the pairs imply, where they do.

        Raises:
            UnknownSlotError: When they do not, and the actions are not such that the warm-up could.
        """
        model = self.model
        if any(action.targets is None for action in model.actions):
            found, slots = find_targets(self.pairs), len(model.slot_names)
            count = len({slot for a in found for slot in targets_of(a)}) if found else None
            if found and count == slots:
                model.actions = found
            elif not _in_pairs(model.actions, slots):
                says = "do not say what moves" if found is None else f"speak of {count} slots, not"
                msg = (
                    f"the pairs {says} {slots} slots: images must occur in several pairs; "
                    "otherwise give every action its target"
                )
                raise UnknownSlotError(msg)
        self.pairs = replace(self.pairs, actions=model.actions)

    def read(self, linked: LinkedCodes) -> LinkedCodes:
        """Teaches a reader the codes that the pairs imply, contexts brought together first.

        Args:
            linked: The codes.

        Returns:
            The codes, those of contexts that were brought together included.
        """
        model, stage = self.model, self.config.reading or ReadingStage()
        used, coder = self.pairs.used_images(), model.autoencoder
        if linked.known(used) < linked.placed(used):
            self._teach("alignment", linked, stage.alignment_steps)
            log_probs = torch.zeros(*linked.codes.shape, max(linked.cardinalities))
            log_probs[used] = coder.encode_log_probs(self.pairs.images[used]).cpu()
            linked = align_contexts(linked, log_probs)
        self._teach("reading", linked, stage.steps)
        return linked

    def _teach(self, name: str, linked: LinkedCodes, steps: int) -> None:
        model, stage = self.model, self.config.reading or ReadingStage()
        sizes, used = linked.cardinalities, self.pairs.used_images()
        with scoped_seed(self.seeds["weights"]):
            reader = CodeReader(model.config.channels, model.config.image_size, sizes)
        known = used[(linked.codes[used] != OPEN).any(1)]
        codes = linked.codes.to(self.device)

        def draw(generator: torch.Generator) -> tuple[Tensor, ...]:
            rows = known[torch.randint(len(known), (stage.images_per_step,), generator=generator)]
            return self.unit(rows), codes[rows]

        objective = ReadingObjective(reader, stage)
        self.optimise(name, objective, objective.groups(), draw, steps)
        model.autoencoder.reader = reader.to(self.device)
        model.autoencoder.quantizer = CategoricalSlots(sizes).to(self.device)
        recompute_batch_norm(reader, self.pairs.images[used])

    def warm_up(self) -> ActionMoves:
        """Teaches the reader its slots; matches actions to slots first where targets are free."""
        model, stage = self.model, self.config.warm_up
        if any(action.targets is None for action in model.actions):
            self._match()
        moves = ActionMoves(model.actions, len(model.slot_names))
        reader = self.slot_reader()
        objective = WarmUpObjective(reader, moves, stage)
        self.optimise("warm_up", objective, objective.groups(), self.draw_pairs, stage.steps)
        recompute_batch_norm(reader, self.pairs.images[self.pairs.used_images()])
        return moves

    def slot_reader(self) -> SlotReader:
        """The model's reader of one number per slot; a fresh one where it reads codes."""
        model = self.model
        if not isinstance(model.autoencoder.reader, SlotReader):
            size, slots = model.config.image_size, len(model.slot_names)
            with scoped_seed(self.seeds["weights"]):
                reader = SlotReader(model.config.channels, size, slots)
            model.autoencoder.reader = reader.to(self.device)
        return model.autoencoder.reader

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
            recompute_batch_norm(model.autoencoder.spare_reader, pairs.images[used])
            generator = make_generator(self.seeds["spare"])
            pick = torch.randperm(len(used), generator=generator)[:SPARE_BANK]
            model.autoencoder.spare_bank = model.autoencoder.encode_spare(pairs.images[used[pick]])

    def recombine(self, linked: LinkedCodes) -> bool:
        """Teaches the reader combinations of codes that no image showed.

        Args:
            linked: What the pairs imply of the codes of true images.

        Returns:
            Whether it did: the decoder must draw training images so that they are read right.
        """
        model, stage, used = self.model, self.config.recombining, self.pairs.used_images()
        coder = model.autoencoder
        reader, decoder = coder.reader, fitted(coder.decoder)
        if stage is None or not isinstance(reader, CodeReader) or self._misdrawn(stage):
            return False
        sizes, bank = coder.cardinalities, coder.spare_bank
        known = used[(linked.codes[used] != OPEN).any(1)]
        codes = linked.codes.to(self.device)

        def draw(generator: torch.Generator) -> tuple[Tensor, ...]:
            count = stage.images_per_step
            rows = known[torch.randint(len(known), (count,), generator=generator)]
            drawn = draw_combinations(sizes, count, generator).to(self.device)
            spare = bank[torch.randint(len(bank), (count,), generator=generator).to(self.device)]
            return self.unit(rows), codes[rows], drawn, spare

        reading = self.config.reading or ReadingStage()
        objective = RecombiningObjective(reader, decoder, reading, stage)
        self.optimise("recombining", objective, objective.groups(), draw, stage.steps)
        recompute_batch_norm(reader, self.pairs.images[used])
        return True

    def _misdrawn(self, stage: RecombiningStage) -> bool:
        """Whether a slot is read wrongly off the decoder's pictures of training images."""
        images = self.pairs.images[self.pairs.used_images()[:JUDGED]]
        coder = self.model.autoencoder
        codes = coder.encode(images)
        pictures = coder.decode(codes, spare=coder.encode_spare(images))
        right = (coder.encode(pictures) == codes).double().mean(0)
        return bool((right < stage.least_read).any())


def _in_pairs(actions: Sequence[Action], slots: int) -> bool:
    """Whether actions can be matched in inverse pairs, two per slot."""
    return len(actions) == 2 * slots and all(isinstance(a, ShiftAction) for a in actions)
