"""Causal graphs: the value, how it is learned from codes, and how two of them compare."""

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.compare import GraphComparison, compare_graphs
from ctvae.graph.discovery import (
    DiscoveryMethod,
    DiscoveryResult,
    DiscoveryStatus,
    EdgeEvidence,
    ThinTables,
    learn_graph,
)
from ctvae.graph.distances import ComparisonRow, EdgeState, shd
from ctvae.graph.ges import GES
from ctvae.graph.independence import BoundTest, ChiSquared, GSquared, IndependenceTest
from ctvae.graph.interventional import InterventionalBDeu
from ctvae.graph.kinds import GraphKind
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.order_mcmc import OrderMCMC
from ctvae.graph.pc import PC
from ctvae.graph.permutations import BOSS, GRaSP
from ctvae.graph.projection import latent_projection
from ctvae.graph.residual_tests import ResidualTest
from ctvae.graph.scores import BDeuScores, bdeu_from_counts
from ctvae.graph.table_tests import IndependenceResults
from ctvae.graph.target_scores import UnknownTargetScores

__all__ = [
    "BOSS",
    "GES",
    "PC",
    "BDeuScores",
    "BoundTest",
    "CausalGraph",
    "ChiSquared",
    "ComparisonRow",
    "DiscoveryMethod",
    "DiscoveryResult",
    "DiscoveryStatus",
    "EdgeEvidence",
    "EdgeState",
    "GRaSP",
    "GSquared",
    "GraphComparison",
    "GraphKind",
    "IndependenceResults",
    "IndependenceTest",
    "InterventionalBDeu",
    "Knowledge",
    "OrderMCMC",
    "ResidualTest",
    "ThinTables",
    "UnknownTargetScores",
    "bdeu_from_counts",
    "compare_graphs",
    "latent_projection",
    "learn_graph",
    "shd",
]
