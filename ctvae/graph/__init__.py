"""Causal graphs: the value, how it is learned from codes, and how two of them compare."""

from ctvae.graph.acyclicity import Acyclicity, LogDet, Order, Spectral
from ctvae.graph.adjustment import AdjustmentDistance, ancestor_aid, oset_aid, parent_aid, sid
from ctvae.graph.baselines import SortKey, empty_graph, random_graph, sort_and_regress
from ctvae.graph.bic_scores import BICScores
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.cd_nod import CDNOD
from ctvae.graph.classical import FCI
from ctvae.graph.code_noise import NoiseCorrected, confusion_matrices
from ctvae.graph.compare import compare_graphs
from ctvae.graph.comparison import GraphComparison
from ctvae.graph.comparison_rows import ComparisonRow, Interval
from ctvae.graph.continuous import ScaledGraph, ScaledGraphs, learn_continuous_graph
from ctvae.graph.dagma import DAGMAMLP, CentralPath, DAGMALinear
from ctvae.graph.differentiable import GraphPosterior
from ctvae.graph.discovery import (
    DiscoveryMethod,
    DiscoveryResult,
    DiscoveryStatus,
    EdgeEvidence,
    ThinTables,
    learn_graph,
)
from ctvae.graph.distances import EdgeState, shd
from ctvae.graph.edge_scores import (
    edge_average_precision,
    edge_brier_score,
    edge_calibration_error,
    edge_precision_recall,
    expected_shd,
)
from ctvae.graph.endpoint_marks import endpoint_confusion
from ctvae.graph.equivalence_class import class_members, class_size, sample_member
from ctvae.graph.gaussian_scores import GaussianBIC
from ctvae.graph.gaussian_tests import FisherZ
from ctvae.graph.ges import GES
from ctvae.graph.graph_learner import GraphLearner
from ctvae.graph.graph_scores import GraphScore
from ctvae.graph.held_out import HeldOutCalibration, held_out_calibration
from ctvae.graph.independence import BoundTest, ChiSquared, GSquared, IndependenceTest
from ctvae.graph.interventional import InterventionalBDeu
from ctvae.graph.kinds import GraphKind
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.lingam import DirectLiNGAM
from ctvae.graph.local_scores import BIC, BDeu, LocalScore
from ctvae.graph.masked_conditionals import MaskedConditionals
from ctvae.graph.neural_discovery import DifferentiableDiscovery
from ctvae.graph.order_mcmc import OrderMCMC
from ctvae.graph.outcomes import Failure
from ctvae.graph.pc import PC
from ctvae.graph.permutations import BOSS, GRaSP
from ctvae.graph.projection import latent_projection
from ctvae.graph.residual_tests import ResidualTest
from ctvae.graph.scores import BDeuScores, bdeu_from_counts
from ctvae.graph.separation import all_separations, mutilate, separated
from ctvae.graph.separation_distance import separation_distance
from ctvae.graph.sortability import r2_sortability, varsortability
from ctvae.graph.stability import Stability, bootstrap, permute_columns
from ctvae.graph.table_tests import IndependenceResults
from ctvae.graph.target_scores import UnknownTargetScores

__all__ = [
    "BIC",
    "BOSS",
    "CDNOD",
    "DAGMAMLP",
    "FCI",
    "GES",
    "PC",
    "Acyclicity",
    "AdjustmentDistance",
    "BDeu",
    "BDeuScores",
    "BICScores",
    "BoundTest",
    "CausalGraph",
    "CentralPath",
    "ChiSquared",
    "ComparisonRow",
    "DAGMALinear",
    "DifferentiableDiscovery",
    "DirectLiNGAM",
    "DiscoveryMethod",
    "DiscoveryResult",
    "DiscoveryStatus",
    "EdgeEvidence",
    "EdgeState",
    "Failure",
    "FisherZ",
    "GRaSP",
    "GSquared",
    "GaussianBIC",
    "GraphComparison",
    "GraphKind",
    "GraphLearner",
    "GraphPosterior",
    "GraphScore",
    "HeldOutCalibration",
    "IndependenceResults",
    "IndependenceTest",
    "Interval",
    "InterventionalBDeu",
    "Knowledge",
    "LocalScore",
    "LogDet",
    "MaskedConditionals",
    "NoiseCorrected",
    "Order",
    "OrderMCMC",
    "ResidualTest",
    "ScaledGraph",
    "ScaledGraphs",
    "SortKey",
    "Spectral",
    "Stability",
    "ThinTables",
    "UnknownTargetScores",
    "all_separations",
    "ancestor_aid",
    "bdeu_from_counts",
    "bootstrap",
    "class_members",
    "class_size",
    "compare_graphs",
    "confusion_matrices",
    "edge_average_precision",
    "edge_brier_score",
    "edge_calibration_error",
    "edge_precision_recall",
    "empty_graph",
    "endpoint_confusion",
    "expected_shd",
    "held_out_calibration",
    "latent_projection",
    "learn_continuous_graph",
    "learn_graph",
    "mutilate",
    "oset_aid",
    "parent_aid",
    "permute_columns",
    "r2_sortability",
    "random_graph",
    "sample_member",
    "separated",
    "separation_distance",
    "shd",
    "sid",
    "sort_and_regress",
    "varsortability",
]
