"""Data: rendered worlds, files of the field, and transition pairs."""

from ctvae.code_tables import read_columns, read_csv
from ctvae.data.canvas import Renderer
from ctvae.data.causal_worlds import CausalPairs, CausalWorld
from ctvae.data.contact_sheet import factor_sheet, pair_sheet
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
from ctvae.data.imbalance import (
    correlated_factors,
    correlated_rows,
    skewed_factors,
    skewed_law,
    skewed_rows,
)
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
from ctvae.data.paper_pairs import PaperPairs, attribute_pairs, paper_pairs
from ctvae.data.ray_scene import RayScene
from ctvae.data.render import mini_sprites
from ctvae.data.rule_sets import JointEdits, OnFactors, SeveralRules
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
    "CausalPairs",
    "CausalWorld",
    "Change",
    "ColourWorld",
    "ComposedPairs",
    "FactorGrid",
    "ImageSet",
    "JointEdits",
    "LabelledImages",
    "LinkedCodes",
    "Move",
    "NoOps",
    "OnFactors",
    "PairRule",
    "PaperPairs",
    "PermuteValues",
    "RayScene",
    "Renderer",
    "SceneJudge",
    "SetAtRandom",
    "SetTo",
    "SeveralRules",
    "SpriteScene",
    "StepAround",
    "StepBy",
    "StoredImages",
    "Transitions",
    "attribute_pairs",
    "chain_graph",
    "check_sha256",
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
    "open_cars3d",
    "open_celeba",
    "open_dsprites",
    "open_image_file",
    "open_lpc_sprites",
    "open_mnist",
    "open_mpi3d",
    "open_shapes3d",
    "open_smallnorb",
    "pair_sheet",
    "paper_pairs",
    "pool_images",
    "preference_scm",
    "random_dag",
    "read_columns",
    "read_csv",
    "read_dsprites",
    "read_image_file",
    "read_lpc_sprites",
    "share_labels",
    "skewed_factors",
    "skewed_law",
    "skewed_rows",
    "split_groups",
    "transition_pairs",
    "with_renderings",
]
