"""Causal models over quantized latents.

A slot is a named finite random variable. A structural causal model over slots is a distribution.
``do`` gives another distribution.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctvae import data, errors, graph, library, metrics, quant
    from ctvae.graph import CausalGraph, DiscoveryResult, compare_graphs, learn_graph
    from ctvae.mechanisms import (
        Conditional,
        FunctionMechanism,
        Hard,
        JointAction,
        NoAction,
        OpenAction,
        PermuteAction,
        PerRow,
        SetAction,
        Shift,
        ShiftAction,
        Soft,
        Stochastic,
        StochasticAction,
        TableMechanism,
    )
    from ctvae.mechanisms.couplings import Gumbel, Independent, Maximal, Monotone
    from ctvae.mechanisms.neural import NeuralMechanism
    from ctvae.models import CTVAE, CTVAEConfig
    from ctvae.regimes import Regime, Samples
    from ctvae.scm import SCM
    from ctvae.slots import Slot, SlotSpace
    from ctvae.training import TrainingConfig, fit

__version__ = "0.1.0"

__all__ = [
    "CTVAE",
    "SCM",
    "CTVAEConfig",
    "CausalGraph",
    "Conditional",
    "DiscoveryResult",
    "FunctionMechanism",
    "Gumbel",
    "Hard",
    "Independent",
    "JointAction",
    "Maximal",
    "Monotone",
    "NeuralMechanism",
    "NoAction",
    "OpenAction",
    "PerRow",
    "PermuteAction",
    "Regime",
    "Samples",
    "SetAction",
    "Shift",
    "ShiftAction",
    "Slot",
    "SlotSpace",
    "Soft",
    "Stochastic",
    "StochasticAction",
    "TableMechanism",
    "TrainingConfig",
    "compare_graphs",
    "data",
    "errors",
    "fit",
    "graph",
    "learn_graph",
    "library",
    "metrics",
    "quant",
]

# Each name is loaded when it is first asked for, so that the command line answers at once.
_HOMES = {
    "ctvae.graph": ("CausalGraph", "DiscoveryResult", "compare_graphs", "learn_graph"),
    "ctvae.mechanisms.couplings": ("Gumbel", "Independent", "Maximal", "Monotone"),
    "ctvae.mechanisms.neural": ("NeuralMechanism",),
    "ctvae.mechanisms": (
        "Conditional",
        "FunctionMechanism",
        "Hard",
        "JointAction",
        "NoAction",
        "OpenAction",
        "PerRow",
        "PermuteAction",
        "SetAction",
        "Shift",
        "ShiftAction",
        "Soft",
        "Stochastic",
        "StochasticAction",
        "TableMechanism",
    ),
    "ctvae.models": ("CTVAE", "CTVAEConfig"),
    "ctvae.regimes": ("Regime", "Samples"),
    "ctvae.scm": ("SCM",),
    "ctvae.slots": ("Slot", "SlotSpace"),
    "ctvae.training": ("TrainingConfig", "fit"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_SUBPACKAGES = frozenset({"data", "errors", "graph", "library", "metrics", "quant"})


def __getattr__(name: str) -> object:
    """Loads a public name."""
    if name in _SUBPACKAGES:
        return import_module(f"ctvae.{name}")
    if name in _HOME_OF:
        return getattr(import_module(_HOME_OF[name]), name)
    msg = f"module 'ctvae' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    """Lists the public names."""
    return sorted([*__all__, "__version__"])
