"""What methods are compared on: images with factors, split whole, and their pairs."""

from __future__ import annotations

from dataclasses import dataclass

from ctvae.data.images import ImageSet, split_groups
from ctvae.data.pair_rules import PairRule, StepBy
from ctvae.data.transitions import Transitions, transition_pairs
from ctvae.randomness import Seed

__all__ = ["Problem"]


@dataclass(frozen=True, eq=False)
class Problem:
    """One split of a data set.

    Attributes:
        images: All images with their factors.
        judged: Held-out images that codes are scored on.
        train: Training pairs.
        validation: Pairs that settings are chosen on.
        test: Pairs that actions are retrieved from; they share no image with the others.
    """

    images: ImageSet
    judged: ImageSet
    train: Transitions
    validation: Transitions
    test: Transitions

    @classmethod
    def split(cls, images: ImageSet, *, rule: PairRule | None = None, seed: Seed) -> Problem:
        """Splits the units of images 70/15/15 and pairs the images of each part.

        Args:
            images: Images with factors.
            rule: Which changes are actions; ``StepBy()`` where ``None``.
            seed: For the split.

        Returns:
            The problem.

        Example:
            >>> from ctvae.data import mini_sprites
            >>> len(Problem.split(mini_sprites(), seed=42).judged)
            461
        """
        rows = split_groups(images.units, seed=seed)
        rule = StepBy() if rule is None else rule
        pairs = [transition_pairs(images, rule, rows=part) for part in rows]
        return cls(images, images.subset(rows[2]), *pairs)
