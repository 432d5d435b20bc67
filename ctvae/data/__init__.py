"""Data: rendered worlds, files of the field, and transition pairs."""

from ctvae.data.images import ImageSet, pool_images, split_groups
from ctvae.data.render import mini_sprites
from ctvae.data.transitions import PairRule, SetTo, StepBy, Transitions, transition_pairs

__all__ = [
    "ImageSet",
    "PairRule",
    "SetTo",
    "StepBy",
    "Transitions",
    "mini_sprites",
    "pool_images",
    "split_groups",
    "transition_pairs",
]
