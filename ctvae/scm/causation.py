"""Necessity and sufficiency of a cause: a point under a coupling, beside what holds under all."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.inference.response_bounds import response_bounds

__all__ = ["Causation", "PointAndBounds", "bounded"]

ROUNDING = 1e-9
"""What linear programmes leave; a point that is further outside is shown as it is."""


class PointAndBounds(NamedTuple):
    """A counterfactual probability.

    Attributes:
        value: What it is under the coupling that was chosen; ``nan`` where no unit is asked about.
        lower: The least value that any model with the same observational and interventional laws
            gives; zero where no unit is asked about.
        upper: The largest.
    """

    value: float
    lower: float
    upper: float


class Causation(NamedTuple):
    """Three probabilities of causation, of a cause against another code of the same slot.

    Attributes:
        necessity: PN: with the other code the effect would not have been; of units with the cause
            and the effect.
        sufficiency: PS: with the cause the effect would have been; of units with the other code
            and without the effect.
        both: PNS: the effect with the cause, and none with the other code; of all units.
    """

    necessity: PointAndBounds
    sufficiency: PointAndBounds
    both: PointAndBounds


def bounded(
    points: tuple[float, float, float],
    observed: Float[Tensor, "covariates causes 2"],
    done: Float[Tensor, "covariates causes 2"],
    cause: int,
    other: int,
) -> Causation:
    """Puts the assumption-free bounds beside three points.

    Args:
        points: PN, PS and PNS under a coupling.
        observed: P(c, x, y), the effect's presence last.
        done: P(y | do(x), c).
        cause: The code x that is the cause.
        other: The code that it is compared with.

    Returns:
        Points and bounds.

    Source: Tian and Pearl (2000), which this is for a cause of two codes without covariates;
        Mueller, Li and Pearl (2022) for covariates.
    Cost: two linear programmes for each, in ``covariates * causes * 2^causes`` variables.
    """
    codes = observed.shape[1]
    event = torch.zeros(*observed.shape[:2], *(2,) * codes, dtype=torch.float64)
    swapped = event.movedim((2 + cause, 2 + other), (2, 3))  # a view: y with the cause, y without
    swapped[:, :, 1, 0] = 1
    seen = observed.sum(0)
    with_both = torch.zeros_like(event)
    with_both[:, cause] = event[:, cause]
    with_none = torch.zeros_like(event)
    with_none[:, other] = event[:, other]
    asked = (
        (with_both, float(seen[cause, 1])),
        (with_none, float(seen[other, 0])),
        (event, 1.0),
    )
    found = []
    for value, (what, given) in zip(points, asked, strict=True):
        if given <= 0:
            found.append(PointAndBounds(float("nan"), 0.0, 1.0))
            continue
        lower, upper = response_bounds(observed, done, what.to(observed.device), given=given)
        ends = float(lower), float(upper)
        if ends[0] - ROUNDING <= value <= ends[1] + ROUNDING:  # a bound may be met exactly
            ends = min(ends[0], value), max(ends[1], value)
        found.append(PointAndBounds(value, *ends))
    return Causation(*found)
