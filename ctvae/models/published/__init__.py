"""The published CT-VAE beside its repair: MCQ-VAE and the causal transition layer."""

from ctvae.models.published.autoencoder import MCQVAE, PublishedMCQVAE
from ctvae.models.published.layer import ActionPass, BasePass, CTLayer, Retrieval
from ctvae.models.published.objectives import (
    PublishedObjective,
    PublishedWeights,
    RepairedObjective,
    RepairedWeights,
)
from ctvae.models.published.published_layer import PublishedCTLayer
from ctvae.models.published.repaired_layer import RepairedCTLayer

__all__ = [
    "MCQVAE",
    "ActionPass",
    "BasePass",
    "CTLayer",
    "PublishedCTLayer",
    "PublishedMCQVAE",
    "PublishedObjective",
    "PublishedWeights",
    "RepairedCTLayer",
    "RepairedObjective",
    "RepairedWeights",
    "Retrieval",
]
