"""What baselines share: labelled pairs in, one budget for all, capabilities out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError
from ctvae.randomness import check_count

__all__ = [
    "Baseline",
    "Budget",
    "HasCodes",
    "HasLatents",
    "LabelledPairs",
    "Reconstructs",
    "RetrievesActions",
    "TrainedBaseline",
    "labelled",
]

CHUNK = 1024
"""Images read at a time, once a baseline is trained."""


class LabelledPairs(Protocol):
    """Pairs of images that point into a pool, as ``ctvae.data.Transitions`` holds them."""

    @property
    def images(self) -> Tensor:
        """The pool ``(n, channels, size, size)``, uint8 or floats in [0, 1]."""
        ...

    @property
    def before(self) -> Int[Tensor, " pairs"]:
        """Rows of the pool."""
        ...

    @property
    def action(self) -> Int[Tensor, " pairs"]:
        """Labels, -1 where the action is not known."""
        ...

    @property
    def after(self) -> Int[Tensor, " pairs"]:
        """Rows of the pool."""
        ...

    @property
    def actions(self) -> Sequence[object]:
        """What the labels mean."""
        ...

    def used_images(self) -> Int[Tensor, " used"]:
        """Lists the rows of the pool that occur in a pair."""
        ...


@dataclass(frozen=True)
class Budget:
    """What every method of a comparison may spend: as many steps over as many images.

    Attributes:
        steps: Optimizer steps, at least 4 (the learning rate rises, then falls).
        images_per_step: Images in a batch, even; a method that learns from pairs draws half as many
            pairs.

    Raises:
        ShapeError: When one is no integer, or too small.
        DataError: When ``images_per_step`` is odd.

    Example:
        >>> Budget(steps=1100, images_per_step=150).pairs_per_step
        75
    """

    steps: int = 1100
    images_per_step: int = 150

    def __post_init__(self) -> None:
        check_count(self.steps, "steps", least=4)
        check_count(self.images_per_step, "images_per_step", least=4)
        if self.images_per_step % 2:
            msg = f"images_per_step= must be even (pairs have two), got {self.images_per_step}"
            raise DataError(msg)

    @property
    def pairs_per_step(self) -> int:
        """Pairs in a batch."""
        return self.images_per_step // 2


@runtime_checkable
class TrainedBaseline(Protocol):
    """What every trained baseline tells; what else it can do, the other protocols say."""

    @property
    def num_parameters(self) -> int:
        """How many numbers were learned, tables and codebooks included."""
        ...


@runtime_checkable
class RetrievesActions(Protocol):
    """Names the action between two images."""

    def action_log_probs(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Gives the posterior over actions.

        Args:
            before: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].
            after: The same.

        Returns:
            Normalised log-probabilities, nats, on the baseline's device.
        """
        ...


@runtime_checkable
class HasCodes(Protocol):
    """Reads an integer in each slot."""

    def encode(self, images: Tensor) -> Int[Tensor, "batch slots"]:
        """Reads codes.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Codes, on the baseline's device.
        """
        ...


@runtime_checkable
class HasLatents(Protocol):
    """Reads numbers."""

    def represent(self, images: Tensor) -> Float[Tensor, "batch dims"]:
        """Reads latents.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Latents, on the baseline's device.
        """
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """Draws what it read."""

    def reconstruct(self, images: Tensor) -> Float[Tensor, "batch channels size size"]:
        """Reads images and draws them again.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Pictures in [0, 1], on the baseline's device.
        """
        ...


class Baseline(Protocol):
    """A method of a comparison: settings that train to something with capabilities."""

    def train(
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedBaseline:
        """Trains on pairs; the pairs themselves are not changed.

        Args:
            pairs: Training pairs; methods that need no label or no pair take less of them.
            validation: Pairs that settings may be chosen on.
            budget: Steps and images per step.
            seed: For weights and batches.
            device: Where to train.

        Returns:
            The trained baseline.
        """
        ...


def labelled(pairs: LabelledPairs) -> tuple[Tensor, Tensor, Tensor]:
    """Takes the pairs whose action is known.

    Args:
        pairs: Pairs, some of them with labels.

    Returns:
        Rows before, labels, rows after.

    Raises:
        DataError: When no pair has a label.
    """
    known = pairs.action >= 0
    if not bool(known.any()):
        msg = "no pair has a label; this baseline learns from labelled pairs"
        raise DataError(msg)
    return pairs.before[known], pairs.action[known], pairs.after[known]
