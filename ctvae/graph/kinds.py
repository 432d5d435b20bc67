"""What the marks of a graph mean."""

from __future__ import annotations

from enum import Enum

__all__ = ["GraphKind"]


class GraphKind(Enum):
    """What the marks of a graph mean."""

    DAG = "DAG"
    """Directed edges without a cycle: one causal structure."""
    CPDAG = "CPDAG"
    """A whole Markov equivalence class: ``a - b`` where its members disagree."""
    MPDAG = "MPDAG"
    """Part of a Markov equivalence class, as far as it can be directed: the members that agree with
    some knowledge, or with what interventions showed (an I-CPDAG)."""
    PDAG = "PDAG"
    """Directed and undirected edges that contradict each other, or of which more could be
    directed."""
    ADMG = "ADMG"
    """Directed edges without a cycle, and ``a <-> b`` where a hidden common cause acts."""
    PAG = "PAG"
    """What all ancestral graphs share that hidden causes and selection leave possible: a circle
    is an end that may be a tail or an arrow head."""
