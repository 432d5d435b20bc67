"""Conditional laws, interventions and actions, and the programs packed from them."""

from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    PermuteAction,
    SetAction,
    ShiftAction,
    StochasticAction,
)
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.function import FunctionMechanism
from ctvae.mechanisms.interventions import Hard, Intervention, Shift, Stochastic
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.per_row import PerRow
from ctvae.mechanisms.program import Program
from ctvae.mechanisms.replacements import Conditional, Soft
from ctvae.mechanisms.table import TableMechanism
from ctvae.mechanisms.transition import TransitionProgram

__all__ = [
    "Action",
    "Conditional",
    "FunctionMechanism",
    "Hard",
    "Intervention",
    "JointAction",
    "LocalLaw",
    "Mechanism",
    "NoAction",
    "OpenAction",
    "PerRow",
    "PermuteAction",
    "Program",
    "SetAction",
    "Shift",
    "ShiftAction",
    "Soft",
    "Stochastic",
    "StochasticAction",
    "TableMechanism",
    "TransitionProgram",
]
