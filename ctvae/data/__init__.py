"""Data: rendered worlds, files of the field, and transition pairs."""

from ctvae.data.files import read_dsprites, read_image_file, read_lpc_sprites
from ctvae.data.images import ImageSet, pool_images, split_groups
from ctvae.data.label_sharing import share_labels
from ctvae.data.linking import LinkedCodes, link_codes
from ctvae.data.pair_rules import (
    Change,
    Move,
    NoOps,
    PairRule,
    PermuteValues,
    SetAtRandom,
    SetTo,
    StepAround,
    StepBy,
)
from ctvae.data.render import mini_sprites
from ctvae.data.rule_sets import JointEdits, OnFactors, SeveralRules
from ctvae.data.targets import find_targets
from ctvae.data.transitions import (
    ComposedPairs,
    Transitions,
    composed_pairs,
    transition_pairs,
    with_renderings,
)
from ctvae.data.worlds import ColourWorld, colour_world

__all__ = [
    "Change",
    "ColourWorld",
    "ComposedPairs",
    "ImageSet",
    "JointEdits",
    "LinkedCodes",
    "Move",
    "NoOps",
    "OnFactors",
    "PairRule",
    "PermuteValues",
    "SetAtRandom",
    "SetTo",
    "SeveralRules",
    "StepAround",
    "StepBy",
    "Transitions",
    "colour_world",
    "composed_pairs",
    "find_targets",
    "link_codes",
    "mini_sprites",
    "pool_images",
    "read_dsprites",
    "read_image_file",
    "read_lpc_sprites",
    "share_labels",
    "split_groups",
    "transition_pairs",
    "with_renderings",
]
