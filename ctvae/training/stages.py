"""The three stages of a CTVAE: warm-up of the slots, codebooks and tables, decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.inference.actions import action_posterior
from ctvae.mechanisms.actions import Action, ShiftAction
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.models.readers import SlotReader, SpareReader
from ctvae.models.warm_up import ActionMoves, FreeMoves, match_inverse_actions
from ctvae.nn import SlotDecoder
from ctvae.quant.modes import find_modes
from ctvae.quant.scalar import ScalarBins
from ctvae.randomness import scoped_seed
from ctvae.training.loop import StepLoss

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE
    from ctvae.training.config import CodebookStage, WarmUpStage

__all__ = [
    "CountedLaw",
    "DecoderObjective",
    "WarmUpObjective",
    "count_law",
    "find_codebooks",
    "make_decoder",
    "resolve_targets",
]

WEIGHT_DECAY = 1e-3
MOVES_RATE = 3.0
"""The learning rate of shifts and scales, in units of the encoder's."""
SPARE_BANK = 2048
"""Spare vectors of training images kept for drawing."""


class WarmUpObjective(nn.Module):
    """Pairs through the reader, scored by the moves of actions.

    Args:
        reader: The encoder to slots.
        moves: ``ActionMoves``, or ``FreeMoves`` where targets are not known yet.
        stage: The weights of the loss.
    """

    def __init__(
        self, reader: SlotReader, moves: ActionMoves | FreeMoves, stage: WarmUpStage
    ) -> None:
        super().__init__()
        self.reader, self.moves, self.stage = reader, moves, stage

    def forward(self, before: Tensor, action: Int[Tensor, " batch"], after: Tensor) -> StepLoss:
        """Scores a batch of pairs.

        Args:
            before: Images before, floats in [0, 1].
            action: True actions.
            after: Images after.

        Returns:
            The loss, with cross-entropy and accuracy of the action posterior.
        """
        slots = self.reader(torch.cat([before, after]))[..., 0]
        h, h_after = slots.chunk(2)
        if isinstance(self.moves, ActionMoves):
            loss = self.moves(
                h,
                action,
                h_after,
                likelihood_weight=self.stage.likelihood_weight,
                displacement_weight=self.stage.displacement_weight,
            )
        else:
            loss = self.moves(h, action, h_after, likelihood_weight=self.stage.likelihood_weight)
        return StepLoss(
            loss.total, {"cross_entropy": loss.cross_entropy, "accuracy": loss.accuracy}
        )

    def groups(self) -> list[dict[str, Any]]:
        """Gives the parameter groups of AdamW.

        Returns:
            The encoder with weight decay; shifts and scales faster and without.
        """
        rate = self.stage.learning_rate
        return [
            {"params": list(self.reader.parameters()), "lr": rate, "weight_decay": WEIGHT_DECAY},
            {"params": list(self.moves.parameters()), "lr": MOVES_RATE * rate, "weight_decay": 0.0},
        ]


def resolve_targets(actions: tuple[Action, ...], moves: FreeMoves) -> tuple[Action, ...]:
    """Gives every action the slot that its learned shift points to.

    Args:
        actions: Shift actions without targets, in inverse pairs.
        moves: Their learned shifts.

    Returns:
        The actions with targets and directions.
    """
    found = match_inverse_actions(moves.directions())
    return tuple(
        replace(action, target=slot, direction=direction)
        for action, slot, direction in zip(actions, found.slot, found.direction, strict=True)
        if isinstance(action, ShiftAction)
    )


def find_codebooks(
    model: CTVAE, spacing: Float[Tensor, " slots"], pairs: Transitions, stage: CodebookStage
) -> tuple[ScalarBins, tuple[float, ...]]:
    """Reads the codes off the modes of each slot.

    Args:
        model: A model whose reader is trained.
        spacing: How far apart the values of each slot lie.
        pairs: Training pairs.
        stage: Settings.

    Returns:
        One codebook per slot, and how well each slot's modes are apart.
    """
    values = model.autoencoder.read(pairs.images[pairs.used_images()])[..., 0]
    modes = [
        find_modes(
            column,
            bandwidth=stage.bandwidth * float(width),
            prominence=stage.prominence,
            max_codes=stage.max_codes,
        )
        for column, width in zip(values.unbind(1), spacing, strict=True)
    ]
    quantizer = ScalarBins.from_modes(modes).to(model.device)
    return quantizer, tuple(float(m.separation) for m in modes)


class CountedLaw(NamedTuple):
    """The tables of actions.

    Attributes:
        transition: The counted law.
        smoothing: The prior count chosen.
    """

    transition: TransitionProgram
    smoothing: float


def count_law(
    model: CTVAE, pairs: Transitions, validation: Transitions | None, stage: CodebookStage
) -> CountedLaw:
    """Counts the tables of actions over the codes of a model.

    Args:
        model: A model with codebooks.
        pairs: Training pairs.
        validation: Pairs that choose the smoothing; the training pairs where ``None``.
        stage: Settings.

    Returns:
        The law.
    """
    coder = model.autoencoder
    used = pairs.used_images()
    codes = torch.zeros(len(pairs.images), len(coder.cardinalities), dtype=torch.long)
    codes = codes.to(model.device)
    codes[used] = coder.encode(pairs.images[used])
    judge = validation or pairs
    seen = judge.used_images()
    read = coder.encode_log_probs(judge.images[seen]).exp()
    probs = torch.zeros(len(judge.images), *read.shape[1:], device=model.device)
    probs[seen] = read
    tried: list[tuple[float, float, TransitionProgram]] = []
    action = pairs.action.to(model.device)
    for smoothing in stage.smoothing:
        law = TransitionProgram.fit(
            codes[pairs.before],
            action,
            codes[pairs.after],
            actions=model.actions,
            cardinalities=coder.cardinalities,
            smoothing=smoothing,
        )
        posterior = action_posterior(law, probs[judge.before], probs[judge.after])
        nll = -float(posterior.log_prob(judge.action.to(model.device)).mean())
        tried.append((nll, smoothing, law))
    _, smoothing, law = min(tried, key=lambda entry: entry[0])
    return CountedLaw(law, smoothing)


class DecoderObjective(nn.Module):
    """The decoder on frozen codes, with the spare reader where there is one.

    With a spare vector, the codes are those of the image drawn and the spare vector is read from
    the *other* image of its pair: what an action changes can then come through the codes alone.

    Args:
        decoder: The decoder.
        spare_reader: Reads what no slot holds; ``None`` where there is nothing of the kind.
    """

    def __init__(self, decoder: SlotDecoder, spare_reader: SpareReader | None) -> None:
        super().__init__()
        self.decoder, self.spare_reader = decoder, spare_reader

    def forward(self, images: Tensor, codes: Int[Tensor, "batch slots"], other: Tensor) -> StepLoss:
        """Scores a batch of drawings.

        Args:
            images: What is to be drawn.
            codes: Its codes.
            other: The other image of its pair.

        Returns:
            Cross-entropy of the pixels, nats per image, with the mean squared error.
        """
        spare = None if self.spare_reader is None else self.spare_reader(other)
        logits = self.decoder(codes, spare)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, images, reduction="sum")
        error = (logits.detach().sigmoid() - images).square().mean()
        return StepLoss(loss / len(images), {"squared_error": error})

    def groups(self, rate: float) -> list[dict[str, Any]]:
        """Gives the parameter groups of AdamW.

        Args:
            rate: The peak learning rate of the decoder.

        Returns:
            One group for the decoder, and one at half the rate for the spare reader.
        """
        groups = [
            {"params": list(self.decoder.parameters()), "lr": rate, "weight_decay": WEIGHT_DECAY}
        ]
        if self.spare_reader is not None:
            spare = list(self.spare_reader.parameters())
            groups.append({"params": spare, "lr": rate / 2, "weight_decay": WEIGHT_DECAY})
        return groups


def make_decoder(model: CTVAE, seed: int) -> SlotDecoder:
    """Makes a fresh decoder for a model's codebooks.

    Args:
        model: A model with codebooks.
        seed: For its weights.

    Returns:
        The decoder, on the model's device.
    """
    config = model.config
    with scoped_seed(seed):
        decoder = SlotDecoder(
            model.slots.cardinalities, config.channels, config.image_size, spare=config.spare
        )
    return decoder.to(model.device)
