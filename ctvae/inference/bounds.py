"""Bounds on counterfactual probabilities that hold whatever the coupling is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError, MechanismError, ShapeError

__all__ = [
    "CausationBounds",
    "Interval",
    "causation_bounds",
    "causation_exogenous",
    "causation_monotone",
    "frechet_bounds",
    "kernel_bounds",
]

TOLERANCE = 1e-6
"""Laws may miss their sum, and one law another, by so much: the rounding of single precision."""


class Interval(NamedTuple):
    """What is known of a probability.

    Attributes:
        lower: The least value that the data allow, ``(*batch,)``.
        upper: The largest.
    """

    lower: Float[Tensor, "*batch"]
    upper: Float[Tensor, "*batch"]


class CausationBounds(NamedTuple):
    """What is known of three probabilities of causation, for a cause x and an effect y.

    Attributes:
        necessity: PN: without x, y would not have been; of units with x and y.
        sufficiency: PS: with x, y would have been; of units without x and without y.
        both: PNS: y with x and no y without it; of all units.
    """

    necessity: Interval
    sufficiency: Interval
    both: Interval


def frechet_bounds(first: Float[Tensor, "*batch"], second: Float[Tensor, "*batch"]) -> Interval:
    r"""Bounds the probability that two events both happen, from the probability of each.

    .. math:: \max(0, P(A) + P(B) - 1) \le P(A, B) \le \min(P(A), P(B))

    For an event A of a unit's code in one world and B of its code in another the bounds are sharp:
    some coupling of the two laws reaches each end.

    Args:
        first: P(A).
        second: P(B).

    Returns:
        The bounds on P(A, B).

    Raises:
        MechanismError: When a number is no probability.

    Example:
        >>> lower, upper = frechet_bounds(torch.tensor(0.75), torch.tensor(0.5))
        >>> float(lower), float(upper)
        (0.25, 0.5)

    Source: Frechet (1951), Sur les tableaux de correlation dont les marges sont donnees.
    """
    for name, chance in (("first", first), ("second", second)):
        _check_probabilities(name, chance)
    return Interval((first + second - 1).clamp(min=0), torch.minimum(first, second))


def kernel_bounds(
    before: Float[Tensor, "*batch codes"], after: Float[Tensor, "*batch codes"]
) -> Interval:
    r"""Bounds each entry of a coupling's kernel, from the two laws alone.

    .. math:: \max(0, p_i + q_j - 1) / p_i \le K_{ij} \le \min(p_i, q_j) / p_i

    Args:
        before: The slot's law p in the world where the unit was seen.
        after: Its law q in the other world.

    Returns:
        ``(*batch, codes, codes)``; 0 and 1 in rows of codes that cannot be seen.

    Raises:
        ShapeError: When the laws are not of one shape.
        MechanismError: When a row is not a law.

    Example:
        >>> p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
        >>> kernel_bounds(p, q).lower
        tensor([[0.0000, 0.5000],
                [0.0000, 0.5000]])
    """
    if before.shape != after.shape:
        msg = f"laws of one shape expected, got {tuple(before.shape)} and {tuple(after.shape)}"
        raise ShapeError(msg)
    for name, law in (("before", before), ("after", after)):
        check_law(name, law, 1)
    p, q = before[..., :, None], after[..., None, :]
    joint = frechet_bounds(*torch.broadcast_tensors(p, q))
    return Interval(_divided(joint.lower, p, 0), _divided(joint.upper, p, 1))


def causation_bounds(
    observed: Float[Tensor, "*batch 2 2"], done: Float[Tensor, "*batch 2"]
) -> CausationBounds:
    r"""Bounds the probabilities of causation from what was observed and what was tried.

    .. math::
        \max\{0, P(y_x) - P(y_{x'}), P(y) - P(y_{x'}), P(y_x) - P(y)\} \le \mathrm{PNS} \le
        \min\{P(y_x), P(y'_{x'}), P(x, y) + P(x', y'), P(y_x) - P(y_{x'}) + P(x, y') + P(x', y)\}

    .. math::
        \max\Big\{0, \frac{P(y) - P(y_{x'})}{P(x, y)}\Big\} \le \mathrm{PN} \le
        \min\Big\{1, \frac{P(y'_{x'}) - P(x', y')}{P(x, y)}\Big\}, \qquad
        \max\Big\{0, \frac{P(y_x) - P(y)}{P(x', y')}\Big\} \le \mathrm{PS} \le
        \min\Big\{1, \frac{P(y_x) - P(x, y)}{P(x', y')}\Big\}

    No assumption on the unit's noise or on confounding; the bounds are sharp.

    Args:
        observed: P(x, y), the cause first; code 1 means present.
        done: P(y = 1 | do(x)) for x = 0 and x = 1.

    Returns:
        The bounds; 0 and 1 where no unit is asked about.

    Raises:
        ShapeError: When the shapes do not match.
        MechanismError: When a table is not a law.
        DataError: When no model observes the one and gives the other under ``do``.

    Example:
        >>> observed = torch.tensor([[0.5, 0.0], [0.25, 0.25]])
        >>> bounds = causation_bounds(observed, torch.tensor([0.0, 0.5]))
        >>> [float(end) for end in bounds.necessity], [float(end) for end in bounds.sufficiency]
        ([1.0, 1.0], [0.5, 0.5])

    Source: Tian and Pearl (2000), Probabilities of causation: bounds and identification; Pearl
    (2009), Causality, section 9.2.
    """
    tried, untried, present = _check_causation(observed, done)
    both_no, only_effect = observed[..., 0, 0], observed[..., 0, 1]
    only_cause, both_yes = observed[..., 1, 0], observed[..., 1, 1]
    lower = _largest(tried - untried, present - untried, tried - present)
    upper = torch.stack([
        tried,
        1 - untried,
        both_yes + both_no,
        tried - untried + only_cause + only_effect,
    ])
    return CausationBounds(
        _ratio(present - untried, 1 - untried - both_no, both_yes),
        _ratio(tried - present, tried - both_yes, both_no),
        _ordered(lower, upper.amin(0)),
    )


def causation_exogenous(given: Float[Tensor, "*batch 2"]) -> CausationBounds:
    r"""Bounds the probabilities of causation where nothing confounds cause and effect.

    .. math::
        \max\{0, P(y|x) - P(y|x')\} \le \mathrm{PNS} \le \min\{P(y|x), P(y'|x')\}, \qquad
        \mathrm{PN} = \frac{\mathrm{PNS}}{P(y|x)}, \quad \mathrm{PS} = \frac{\mathrm{PNS}}{P(y'|x')}

    Args:
        given: P(y = 1 | x) for x = 0 and x = 1.

    Returns:
        The bounds, sharp; 0 and 1 where no unit is asked about.

    Raises:
        ShapeError: When the last axis is not the two codes of the cause.
        MechanismError: When a number is no probability.

    Example:
        >>> bounds = causation_exogenous(torch.tensor([0.25, 0.5]))
        >>> [float(end) for end in bounds.necessity]
        [0.5, 1.0]

    Source: Tian and Pearl (2000), bounds under exogeneity; Pearl (2009), Causality, section 9.2.2.
    """
    _check_pair("given", given)
    without, present = given[..., 0], given[..., 1]
    lower, upper = (present - without).clamp(min=0), torch.minimum(present, 1 - without)
    return CausationBounds(
        _ratio(lower, upper, present), _ratio(lower, upper, 1 - without), Interval(lower, upper)
    )


def causation_monotone(
    observed: Float[Tensor, "*batch 2 2"], done: Float[Tensor, "*batch 2"]
) -> CausationBounds:
    r"""Gives the probabilities of causation where the cause never prevents the effect.

    .. math::
        \mathrm{PNS} = P(y_x) - P(y_{x'}), \qquad
        \mathrm{PN} = \frac{P(y) - P(y_{x'})}{P(x, y)}, \qquad
        \mathrm{PS} = \frac{P(y_x) - P(y)}{P(x', y')}

    Monotonicity (no unit has y without x and not with it) is an assumption on units. Data can
    refute it, which raises, but not confirm it.

    Args:
        observed: P(x, y), the cause first; code 1 means present.
        done: P(y = 1 | do(x)) for x = 0 and x = 1.

    Returns:
        Intervals of one point; 0 and 1 where no unit is asked about.

    Raises:
        ShapeError: When the shapes do not match.
        MechanismError: When a table is not a law.
        DataError: When observed and tried contradict each other, or refute monotonicity.

    Example:
        >>> observed = torch.tensor([[0.375, 0.125], [0.25, 0.25]])
        >>> points = causation_monotone(observed, torch.tensor([0.25, 0.5]))
        >>> float(points.both.lower), float(points.necessity.lower)
        (0.25, 0.5)

    Source: Tian and Pearl (2000), identification under monotonicity; Pearl (2009), section 9.2.3.
    """
    tried, untried, present = _check_causation(observed, done)
    for name, gain in (("without", present - untried), ("with", tried - present)):
        worst = float(gain.detach().min()) if gain.numel() else 0.0
        if worst < -TOLERANCE:
            msg = (
                f"P(y | do) {name} the cause is {-worst:.3g} on the wrong side of P(y): the cause "
                "prevents the effect in some units; use causation_bounds, which assumes nothing"
            )
            raise DataError(msg)
    necessity = _ratio(present - untried, present - untried, observed[..., 1, 1])
    sufficiency = _ratio(tried - present, tried - present, observed[..., 0, 0])
    both = (tried - untried).clamp(min=0)
    return CausationBounds(necessity, sufficiency, Interval(both, both))


def moved_mass(
    observed: Float[Tensor, "*batch causes effects"], done: Float[Tensor, "*batch causes effects"]
) -> Float[Tensor, "*batch causes effects"]:
    """Gives the probability of an effect under each setting, in units seen under another.

    Args:
        observed: P(x, y), or P(c, x, y) of many c.
        done: P(y | do(x)) of the same shape.

    Returns:
        P(y under do(x), another cause than x seen), rounding errors removed.

    Raises:
        DataError: When one is negative: no model observes the one and gives the other.
    """
    total = observed.sum((-1, -2))[..., None, None]
    rest = done * total - observed
    least = float(rest.min()) if rest.numel() else 0.0
    if least < -TOLERANCE:
        where = [int(k) for k in (rest == rest.min()).nonzero()[0]]
        msg = (
            f"at (..., cause, effect) = {tuple(where)} P(y | do(x)) is {-least:.3g} below P(x, y), "
            "which no model gives: units seen with x do under do(x) what they did; take both from "
            "one population, or estimate them together"
        )
        raise DataError(msg)
    rest = rest.clamp(min=0)
    missing = total - observed.sum(-1, keepdim=True)
    mass = rest.sum(-1, keepdim=True)
    return rest * torch.where(mass > 0, missing / torch.where(mass > 0, mass, 1), 0)


def _check_causation(observed: Tensor, done: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """P(y under do(x)), P(y under do(x')), P(y)."""
    _check_pair("done", done)
    if observed.shape != (*done.shape, 2):
        msg = f"observed must be {(*done.shape, 2)}, got {tuple(observed.shape)}"
        raise ShapeError(msg)
    check_law("observed", observed, 2)
    moved_mass(observed.detach().double(), torch.stack([1 - done, done], -1).detach().double())
    return done[..., 1], done[..., 0], observed[..., 1].sum(-1)


def _check_pair(name: str, chance: Tensor) -> None:
    if not chance.ndim or chance.shape[-1] != 2:
        msg = f"{name} must be (*batch, 2), one number per code of the cause, got "
        raise ShapeError(msg + str(tuple(chance.shape)))
    _check_probabilities(name, chance)


def _check_probabilities(name: str, chance: Tensor) -> None:
    outside = ~((chance >= -TOLERANCE) & (chance <= 1 + TOLERANCE))
    if bool(outside.any()):
        msg = f"{name} must hold probabilities, got {float(chance[outside][0]):.6g}"
        raise MechanismError(msg)


def check_law(name: str, law: Tensor, axes: int) -> None:
    """Refuses a tensor whose last axes are not a law.

    Args:
        name: What the message calls it.
        law: Probabilities.
        axes: How many of the last axes sum to one together.

    Raises:
        MechanismError: When they do not, or hold a number that is no probability.
    """
    _check_probabilities(name, law)
    off = (law.sum(tuple(range(-axes, 0))) - 1).abs()
    if bool((off > TOLERANCE).any()):
        msg = f"{name} must sum to one over its last {axes} axes, off by {float(off.max()):.3g}"
        raise MechanismError(msg)


def _largest(*terms: Tensor) -> Tensor:
    return torch.stack(terms).amax(0).clamp(min=0)


def _ordered(lower: Tensor, upper: Tensor) -> Interval:
    lower = lower.clamp(0, 1)
    return Interval(lower, torch.maximum(lower, upper.clamp(0, 1)))


def _divided(part: Tensor, whole: Tensor, otherwise: float) -> Tensor:
    known = whole > 0
    return torch.where(known, part / torch.where(known, whole, 1), otherwise)


def _ratio(lower: Tensor, upper: Tensor, whole: Tensor) -> Interval:
    return _ordered(_divided(lower, whole, 0), _divided(upper, whole, 1))
