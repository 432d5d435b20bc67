"""Causal models over quantized latents.

A slot is a named finite random variable. A structural causal model over slots is a distribution.
``do`` gives another distribution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctvae import data, errors, graph, metrics, quant
from ctvae.graph import CausalGraph, DiscoveryResult, compare_graphs, learn_graph
from ctvae.mechanisms import Hard, SetAction, ShiftAction, TableMechanism
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.regimes import Regime, Samples
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotSpace

if TYPE_CHECKING:
    from ctvae.training import TrainingConfig, fit

__version__ = "0.1.0"

__all__ = [
    "CTVAE",
    "SCM",
    "CTVAEConfig",
    "CausalGraph",
    "DiscoveryResult",
    "Hard",
    "Regime",
    "Samples",
    "SetAction",
    "ShiftAction",
    "Slot",
    "SlotSpace",
    "TableMechanism",
    "TrainingConfig",
    "compare_graphs",
    "data",
    "errors",
    "fit",
    "graph",
    "learn_graph",
    "metrics",
    "quant",
]


def __getattr__(name: str) -> object:
    """Loads the trainer when it is first asked for."""
    if name in {"TrainingConfig", "fit"}:
        from ctvae import training

        return getattr(training, name)
    msg = f"module 'ctvae' has no attribute {name!r}"
    raise AttributeError(msg)
