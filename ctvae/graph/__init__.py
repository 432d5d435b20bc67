"""Causal graphs: the value, how it is learned from codes, and how two of them compare."""

from ctvae.graph.causal_graph import CausalGraph, GraphKind

__all__ = ["CausalGraph", "GraphKind"]
