"""Settings of training: one object per stage, each with only the fields it uses."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from ctvae.config import Settings

__all__ = [
    "CodebookStage",
    "DecoderStage",
    "ReadingStage",
    "RecombiningStage",
    "TrainingConfig",
    "WarmUpStage",
]


class WarmUpStage(Settings):
    """The continuous two-slice model that teaches the encoder its slots.

    Attributes:
        steps: Optimizer steps.
        pairs_per_step: Pairs in a batch, drawn at random.
        learning_rate: Of the encoder, at its peak.
        likelihood_weight: The weight of the mean score of the true action.
        displacement_weight: The weight of the mean log displacement of each slot (shift actions).
        matching_steps: Steps with free shifts before inverse actions are matched; used only where
            targets are to be learned.
        matching_slots: Scalars of the encoder in that phase.
    """

    steps: int = Field(1100, ge=1)
    pairs_per_step: int = Field(75, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    likelihood_weight: float = Field(0.2, ge=0)
    displacement_weight: float = Field(0.1, ge=0)
    matching_steps: int = Field(500, ge=1)
    matching_slots: int = Field(8, ge=1)


class ReadingStage(Settings):
    """Readers of codes that pairs imply, where images recur in several pairs.

    Attributes:
        steps: Optimizer steps.
        images_per_step: Images in a batch.
        learning_rate: At its peak.
        alignment_steps: Steps of a first reader, where contexts are to be brought together: it is
            taught those that are known, and reads the others.
        least_known: The least share of images all of whose codes are implied, up to one number for
            each context; below it, slots are taught by the warm-up.
        temperatures: Of the reader's scores, tried once the tables are counted; the best on
            validation pairs is kept.
    """

    steps: int = Field(1100, ge=1)
    images_per_step: int = Field(128, ge=2)
    learning_rate: float = Field(2e-3, gt=0)
    alignment_steps: int = Field(400, ge=1)
    least_known: float = Field(0.5, gt=0, le=1)
    temperatures: tuple[PositiveFloat, ...] = Field((0.25, 0.35, 0.5, 0.7, 1.0, 1.4), min_length=1)


class CodebookStage(Settings):
    """Codes at the modes of each slot, and the tables counted over them.

    Attributes:
        bandwidth: Of the density of a slot, in units of the spacing of its values.
        prominence: The least prominence of a mode, as a share of the highest density.
        max_codes: At most so many codes in a slot.
        smoothing: Prior counts tried for the tables; the best on validation pairs is kept.
    """

    bandwidth: float = Field(0.18, gt=0)
    prominence: float = Field(0.04, gt=0, lt=1)
    max_codes: int = Field(32, ge=2)
    smoothing: tuple[PositiveFloat, ...] = Field((0.01, 0.03, 0.1, 0.3, 1.0), min_length=1)


class DecoderStage(Settings):
    """The decoder, trained on frozen codes.

    Attributes:
        steps: Optimizer steps.
        images_per_step: Images in a batch.
        learning_rate: At its peak.
    """

    steps: int = Field(3000, ge=1)
    images_per_step: int = Field(64, ge=2)
    learning_rate: float = Field(4e-3, gt=0)


class RecombiningStage(Settings):
    """Combinations of codes that no image showed, learned from the decoder's pictures.

    Attributes:
        steps: Optimizer steps.
        images_per_step: True images in a batch, and as many pictures of drawn codes.
        learning_rate: Of the reader, at its peak.
        least_read: The least share of codes that the reader must read right off the decoder's
            pictures of training images, in every slot; below it the pictures teach nothing and the
            stage is left out.
    """

    steps: int = Field(600, ge=1)
    images_per_step: int = Field(64, ge=2)
    learning_rate: float = Field(1e-3, gt=0)
    least_read: float = Field(0.95, gt=0, le=1)


class TrainingConfig(Settings):
    """Settings of ``fit``.

    Attributes:
        seed: For batches and fresh weights.
        device: ``auto`` takes an accelerator where there is one; otherwise ``cpu``, ``cuda``, ...
        reading: The first stage where pairs imply codes; ``None`` to leave that to the warm-up.
        warm_up: The first stage elsewhere.
        codebook: The second stage.
        decoder: The third stage.
        recombining: The last stage, where a reader was taught codes; ``None`` to leave it out.
        checkpoint_every: Steps between checkpoints, where ``fit`` is given a folder for them.
    """

    seed: int = Field(0, ge=0, le=2**62)
    device: str = "auto"
    reading: ReadingStage | None = ReadingStage()
    warm_up: WarmUpStage = WarmUpStage()
    codebook: CodebookStage = CodebookStage()
    decoder: DecoderStage = DecoderStage()
    recombining: RecombiningStage | None = RecombiningStage()
    checkpoint_every: int = Field(250, ge=1)
