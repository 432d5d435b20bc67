"""Bounds on any event of a unit's responses, by linear programming over response functions."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import ShapeError, StateSpaceError
from ctvae.inference.bounds import Interval, check_law, moved_mass

__all__ = ["response_bounds"]

LARGEST_PROGRAM = 2**15
"""The most variables of a linear programme; at this size it takes seconds."""


def response_bounds(
    observed: Float[Tensor, "covariates causes effects"],
    done: Float[Tensor, "covariates causes effects"] | None,
    event: Float[Tensor, "covariates causes *responses"],
    *,
    given: float = 1.0,
) -> Interval:
    r"""Bounds the probability of any event of a unit's responses, by linear programming.

    .. math::
        \min / \max_\pi \; \frac{1}{g} \sum_{c, x, r} e_{c,x,r} \, \pi(c, x, r) \quad \text{with} \quad
        \sum_{r: r_x = y} \pi(c, x, r) = P(c, x, y), \quad
        \sum_{x, r: r_{x'} = y} \pi(c, x, r) = P(y | \mathrm{do}(x'), c) \, P(c)

    A unit is a covariate c, a cause x, and its response :math:`r = (y_0, \dots, y_{m-1})` to each
    code of the cause. Covariates can only tighten the bounds. The bounds are sharp.

    Args:
        observed: P(c, x, y); one code of c where there is no covariate.
        done: P(y | do(x), c), or ``None`` where nothing was tried.
        event: For each c, x, and response ``y_0 .. y_{m-1}`` (one axis each) whether the event
            holds, 0 or 1; other numbers give the bounds of a mean.
        given: The known probability g of the event's condition, for a conditional probability; the
            condition must hold wherever the event does.

    Returns:
        The bounds, ``()`` float64.

    Raises:
        ShapeError: When the shapes do not match, or ``given`` is not above 0.
        MechanismError: When a table is not a law.
        DataError: When no model observes the one and gives the other under ``do``.
        StateSpaceError: When the programme has more than 32,768 variables.

    Example:
        >>> observed = torch.tensor([[[0.5, 0.0], [0.25, 0.25]]])
        >>> done = torch.tensor([[[1.0, 0.0], [0.5, 0.5]]])
        >>> event = torch.zeros(1, 2, 2, 2)
        >>> event[:, 1, 0, 1] = 1  # with the cause, and the effect because of it
        >>> [round(float(end), 6) for end in response_bounds(observed, done, event, given=0.25)]
        [1.0, 1.0]

    Source: Balke and Pearl (1994), Counterfactual probabilities: computational methods, bounds and
    applications; many codes, Li and Pearl (2022), Unit selection with nonbinary treatment and
    effect; covariates, Mueller, Li and Pearl (2022), Causes of effects: learning individual
    responses from population data.

    Cost: two linear programmes in ``covariates * causes * effects^causes`` variables.
    """  # noqa: E501
    slack = _check_programme(observed, done, event, given)
    matrix = _constraints(observed.shape, with_done=slack is not None)
    sides = [observed.detach().double().reshape(-1)]
    if slack is not None:
        sides.append(slack[..., :-1].reshape(-1))  # the last code follows from the others
    target = torch.cat(sides).cpu().numpy()
    weight = event.detach().double().reshape(-1).cpu().numpy()
    ends = [sign * _minimum(sign * weight, matrix, target) / given for sign in (1.0, -1.0)]
    lower, upper = torch.tensor(ends, dtype=torch.float64, device=observed.device)
    return Interval(lower, upper)


def _constraints(shape: torch.Size, *, with_done: bool) -> Any:  # noqa: ANN401 (scipy)
    """Which variables each known probability sums."""
    import numpy as np
    from scipy import sparse

    covariates, causes, effects = shape
    c, x, *responses = (
        axis.reshape(-1) for axis in np.indices((covariates, causes, *[effects] * causes))
    )
    column = np.arange(x.size)
    own = np.stack(responses)[x, column]
    rows, columns = [(c * causes + x) * effects + own], [column]
    count = covariates * causes * effects
    for other in range(causes if with_done else 0):
        used = (x != other) & (responses[other] < effects - 1)
        rows.append(count + ((c * causes + other) * (effects - 1) + responses[other])[used])
        columns.append(column[used])
    if with_done:
        count += covariates * causes * (effects - 1)
    row, place = np.concatenate(rows), np.concatenate(columns)
    return sparse.csr_matrix((np.ones(row.size), (row, place)), (count, x.size))


def _minimum(weight: Any, matrix: Any, target: Any) -> float:  # noqa: ANN401 (numpy, scipy)
    from scipy.optimize import linprog

    options = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    found = linprog(weight, A_eq=matrix, b_eq=target, method="highs", options=options)
    assert found.status == 0, found.message  # consistent laws always have a model
    return float(found.fun)


def _check_programme(
    observed: Tensor, done: Tensor | None, event: Tensor, given: float
) -> Tensor | None:
    if observed.ndim != 3:
        msg = f"observed must be (covariates, causes, effects), got {tuple(observed.shape)}"
        raise ShapeError(msg)
    covariates, causes, effects = observed.shape
    cells = covariates * causes * effects**causes
    if cells > LARGEST_PROGRAM:
        msg = (
            f"{covariates} x {causes} x {effects}^{causes} = {cells:,} variables, more than "
            f"{LARGEST_PROGRAM:,}; merge codes, drop causes that the event does not name, or use "
            "the closed form causation_bounds for two events"
        )
        raise StateSpaceError(msg, entries=cells)
    expected = (covariates, causes, *[effects] * causes)
    if event.shape != expected:
        msg = f"event must be {expected}, got {tuple(event.shape)}"
        raise ShapeError(msg)
    if not given > 0:
        msg = f"given must be a probability above 0, got {given}"
        raise ShapeError(msg)
    check_law("observed", observed, 3)
    if done is None:
        return None
    if done.shape != observed.shape:
        msg = f"done must be {tuple(observed.shape)} as observed, got {tuple(done.shape)}"
        raise ShapeError(msg)
    check_law("done", done, 1)
    return moved_mass(observed.detach().double(), done.detach().double())
