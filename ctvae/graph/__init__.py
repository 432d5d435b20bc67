"""Causal graphs: the value, how it is learned from codes, and how two of them compare."""

from ctvae.graph.causal_graph import CausalGraph, GraphKind
from ctvae.graph.discovery import (
    DiscoveryMethod,
    DiscoveryResult,
    DiscoveryStatus,
    EdgeEvidence,
    learn_graph,
)
from ctvae.graph.interventional import InterventionalBDeu
from ctvae.graph.scores import BDeuScores, bdeu_from_counts

__all__ = [
    "BDeuScores",
    "CausalGraph",
    "DiscoveryMethod",
    "DiscoveryResult",
    "DiscoveryStatus",
    "EdgeEvidence",
    "GraphKind",
    "InterventionalBDeu",
    "bdeu_from_counts",
    "learn_graph",
]
