"""Data: rendered worlds, files of the field, and transition pairs."""

from ctvae.data.images import ImageSet, pool_images, split_groups
from ctvae.data.render import mini_sprites
from ctvae.data.transitions import (
    ComposedPairs,
    PairRule,
    SetTo,
    StepBy,
    Transitions,
    composed_pairs,
    transition_pairs,
)

__all__ = [
    "ComposedPairs",
    "ImageSet",
    "PairRule",
    "SetTo",
    "StepBy",
    "Transitions",
    "composed_pairs",
    "mini_sprites",
    "pool_images",
    "split_groups",
    "transition_pairs",
]
