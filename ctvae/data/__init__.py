"""Data: rendered worlds, files of the field, and transition pairs."""

from ctvae.data.files import (
    FactorGrid,
    LabelledImages,
    StoredImages,
    check_sha256,
    open_cars3d,
    open_celeba,
    open_dsprites,
    open_image_file,
    open_lpc_sprites,
    open_mnist,
    open_mpi3d,
    open_shapes3d,
    open_smallnorb,
    read_dsprites,
    read_image_file,
    read_lpc_sprites,
)
from ctvae.data.images import ImageSet, pool_images, split_groups
from ctvae.data.label_sharing import share_labels
from ctvae.data.linking import LinkedCodes, link_codes
from ctvae.data.pair_algebra import find_targets
from ctvae.data.paper_pairs import PaperPairs, attribute_pairs, paper_pairs
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
    "FactorGrid",
    "ImageSet",
    "LabelledImages",
    "LinkedCodes",
    "PairRule",
    "PaperPairs",
    "SetTo",
    "StepAround",
    "StepBy",
    "StoredImages",
    "Transitions",
    "attribute_pairs",
    "check_sha256",
    "colour_world",
    "composed_pairs",
    "find_targets",
    "link_codes",
    "mini_sprites",
    "open_cars3d",
    "open_celeba",
    "open_dsprites",
    "open_image_file",
    "open_lpc_sprites",
    "open_mnist",
    "open_mpi3d",
    "open_shapes3d",
    "open_smallnorb",
    "paper_pairs",
    "pool_images",
    "read_dsprites",
    "read_image_file",
    "read_lpc_sprites",
    "share_labels",
    "split_groups",
    "transition_pairs",
]
