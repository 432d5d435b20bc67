"""Laws and interventions in float64."""

from __future__ import annotations

from dataclasses import replace

import torch

from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.interventions import Intervention, Stochastic
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.per_row import PerRow
from ctvae.mechanisms.replacements import Soft
from ctvae.mechanisms.table import TableMechanism

__all__ = ["intervention_in_double", "law_in_double"]


def law_in_double(mechanism: Mechanism) -> Mechanism:
    """Gives a law in float64, the rows of its table summing to one as float64 numbers do.

    Args:
        mechanism: The law.

    Returns:
        The law itself where it is in float64, or too large for a table.
    """
    law = LocalLaw((), mechanism)
    if law.dtype == torch.float64 or not law.is_small:
        return mechanism
    return TableMechanism(law.natural_table.double())


def intervention_in_double(what: Intervention) -> Intervention:
    """Gives an intervention whose laws are in float64.

    Args:
        what: A checked intervention.

    Returns:
        The intervention itself where it brings no law in float32.
    """
    match what:
        case Soft(Mechanism() as law, parents):
            finer = law_in_double(law)
            return what if finer is law else Soft(finer, parents)
        case Stochastic(torch.Tensor() as probs) if probs.dtype != torch.float64:
            return Stochastic(TableMechanism(probs.double()).table())
        case PerRow(choices, _):
            done = [
                intervention_in_double(choice) if isinstance(choice, Intervention) else choice
                for choice in choices
            ]
            kept = all(one is other for one, other in zip(done, choices, strict=True))
            return what if kept else replace(what, choices=done)
    return what
