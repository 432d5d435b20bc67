"""Conditional laws, interventions and actions, and the programs packed from them."""

from ctvae.mechanisms.actions import Action, SetAction, ShiftAction
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.interventions import Hard, Intervention, LocalLaw
from ctvae.mechanisms.program import Program
from ctvae.mechanisms.table import TableMechanism
from ctvae.mechanisms.transition import TransitionProgram

__all__ = [
    "Action",
    "Hard",
    "Intervention",
    "LocalLaw",
    "Mechanism",
    "Program",
    "SetAction",
    "ShiftAction",
    "TableMechanism",
    "TransitionProgram",
]
