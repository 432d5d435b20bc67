"""Data: rendered worlds, files of the field, tables of codes, and transition pairs."""

from ctvae.code_tables import read_columns, read_csv
from ctvae.data.files import read_dsprites, read_image_file, read_lpc_sprites
from ctvae.data.images import ImageSet, pool_images, split_groups
from ctvae.data.label_sharing import share_labels
from ctvae.data.linking import LinkedCodes, link_codes
from ctvae.data.pair_algebra import find_targets
from ctvae.data.render import mini_sprites
from ctvae.data.transitions import (
    ComposedPairs,
    PairRule,
    SetTo,
    StepAround,
    StepBy,
    Transitions,
    composed_pairs,
    transition_pairs,
)
from ctvae.data.worlds import ColourWorld, colour_world

__all__ = [
    "ColourWorld",
    "ComposedPairs",
    "ImageSet",
    "LinkedCodes",
    "PairRule",
    "SetTo",
    "StepAround",
    "StepBy",
    "Transitions",
    "colour_world",
    "composed_pairs",
    "find_targets",
    "link_codes",
    "mini_sprites",
    "pool_images",
    "read_columns",
    "read_csv",
    "read_dsprites",
    "read_image_file",
    "read_lpc_sprites",
    "share_labels",
    "split_groups",
    "transition_pairs",
]
