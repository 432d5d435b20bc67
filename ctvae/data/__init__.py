"""Data: rendered worlds, files of the field, and transition pairs."""

from ctvae.data.canvas import Renderer
from ctvae.data.causal_worlds import CausalPairs, CausalWorld
from ctvae.data.contact_sheet import factor_sheet, pair_sheet
from ctvae.data.files import read_dsprites, read_image_file, read_lpc_sprites
from ctvae.data.images import ImageSet, pool_images, split_groups
from ctvae.data.imbalance import (
    correlated_factors,
    correlated_rows,
    skewed_factors,
    skewed_law,
    skewed_rows,
)
from ctvae.data.label_sharing import share_labels
from ctvae.data.linking import LinkedCodes, link_codes
from ctvae.data.pair_algebra import find_targets
from ctvae.data.ray_scene import RayScene
from ctvae.data.render import mini_sprites
from ctvae.data.scene_judge import SceneJudge
from ctvae.data.sprite_scene import SpriteScene
from ctvae.data.structures import (
    chain_graph,
    collider_graph,
    edge_strengths,
    fork_graph,
    preference_scm,
    random_dag,
)
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
    "CausalPairs",
    "CausalWorld",
    "ColourWorld",
    "ComposedPairs",
    "ImageSet",
    "LinkedCodes",
    "PairRule",
    "RayScene",
    "Renderer",
    "SceneJudge",
    "SetTo",
    "SpriteScene",
    "StepAround",
    "StepBy",
    "Transitions",
    "chain_graph",
    "collider_graph",
    "colour_world",
    "composed_pairs",
    "correlated_factors",
    "correlated_rows",
    "edge_strengths",
    "factor_sheet",
    "find_targets",
    "fork_graph",
    "link_codes",
    "mini_sprites",
    "pair_sheet",
    "pool_images",
    "preference_scm",
    "random_dag",
    "read_dsprites",
    "read_image_file",
    "read_lpc_sprites",
    "share_labels",
    "skewed_factors",
    "skewed_law",
    "skewed_rows",
    "split_groups",
    "transition_pairs",
]
