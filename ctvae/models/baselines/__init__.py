"""Baselines under equal labels, pairs, steps and images: settings that train to capabilities."""

from ctvae.models.baselines.ada_gvae import AdaGVAE
from ctvae.models.baselines.base import (
    Baseline,
    Budget,
    HasCodes,
    HasLatents,
    LabelledPairs,
    Reconstructs,
    RetrievesActions,
    TrainedBaseline,
)
from ctvae.models.baselines.beta_tcvae import BetaTCVAE
from ctvae.models.baselines.categorical_sparse import CategoricalSparse
from ctvae.models.baselines.copying import Copying
from ctvae.models.baselines.counted import CountedActions, count_transitions
from ctvae.models.baselines.fsq import FSQ
from ctvae.models.baselines.inverse_dynamics import InverseDynamics
from ctvae.models.baselines.qlae import QLAE
from ctvae.models.baselines.spatial import SpatialCounting
from ctvae.models.baselines.supervised import SupervisedSlots

__all__ = [
    "FSQ",
    "QLAE",
    "AdaGVAE",
    "Baseline",
    "BetaTCVAE",
    "Budget",
    "CategoricalSparse",
    "Copying",
    "CountedActions",
    "HasCodes",
    "HasLatents",
    "InverseDynamics",
    "LabelledPairs",
    "Reconstructs",
    "RetrievesActions",
    "SpatialCounting",
    "SupervisedSlots",
    "TrainedBaseline",
    "count_transitions",
]
