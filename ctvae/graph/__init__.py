"""Causal graphs: the value, how it is learned from codes, and how two of them compare."""

from ctvae.graph.acyclicity import Acyclicity, LogDet, Order, Spectral
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.classical import PC, IndependenceTest
from ctvae.graph.compare import GraphComparison, compare_graphs
from ctvae.graph.continuous import ScaledGraph, ScaledGraphs, learn_continuous_graph
from ctvae.graph.dagma import DAGMAMLP, CentralPath, DAGMALinear
from ctvae.graph.differentiable import GraphPosterior
from ctvae.graph.discovery import (
    DiscoveryMethod,
    DiscoveryResult,
    DiscoveryStatus,
    EdgeEvidence,
    learn_graph,
)
from ctvae.graph.distances import ComparisonRow, EdgeState, shd
from ctvae.graph.ges import GES
from ctvae.graph.graph_learner import GraphLearner
from ctvae.graph.interventional import InterventionalBDeu
from ctvae.graph.kinds import GraphKind
from ctvae.graph.masked_conditionals import MaskedConditionals
from ctvae.graph.neural_discovery import DifferentiableDiscovery
from ctvae.graph.order_mcmc import OrderMCMC
from ctvae.graph.projection import latent_projection
from ctvae.graph.scores import BDeuScores, bdeu_from_counts
from ctvae.graph.target_scores import UnknownTargetScores

__all__ = [
    "DAGMAMLP",
    "GES",
    "PC",
    "Acyclicity",
    "BDeuScores",
    "CausalGraph",
    "CentralPath",
    "ComparisonRow",
    "DAGMALinear",
    "DifferentiableDiscovery",
    "DiscoveryMethod",
    "DiscoveryResult",
    "DiscoveryStatus",
    "EdgeEvidence",
    "EdgeState",
    "GraphComparison",
    "GraphKind",
    "GraphLearner",
    "GraphPosterior",
    "IndependenceTest",
    "InterventionalBDeu",
    "LogDet",
    "MaskedConditionals",
    "Order",
    "OrderMCMC",
    "ScaledGraph",
    "ScaledGraphs",
    "Spectral",
    "UnknownTargetScores",
    "bdeu_from_counts",
    "compare_graphs",
    "latent_projection",
    "learn_continuous_graph",
    "learn_graph",
    "shd",
]
