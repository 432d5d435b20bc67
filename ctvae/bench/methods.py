"""The methods of the comparison by name, and those that were not run, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import TypeAlias

from ctvae.bench.problems import Problem
from ctvae.bench.slots import LearnedSlots
from ctvae.errors import DataError, did_you_mean
from ctvae.models.baselines import (
    FSQ,
    QLAE,
    AdaGVAE,
    Baseline,
    BetaTCVAE,
    CategoricalSparse,
    Copying,
    InverseDynamics,
    SpatialCounting,
    SupervisedSlots,
)

__all__ = ["METHODS", "NOT_RUN", "check_methods", "settings_of"]

Make: TypeAlias = Callable[[Problem], Baseline]

METHODS: dict[str, Make] = {
    "slots": lambda problem: LearnedSlots(problem.train.actions),
    "copying": lambda _: Copying(),
    "inverse-dynamics": lambda _: InverseDynamics(),
    "spatial-counting": lambda _: SpatialCounting(),
    "qlae": lambda _: QLAE(),
    "fsq": lambda _: FSQ(),
    "categorical-sparse": lambda _: CategoricalSparse(),
    "beta-tcvae": lambda _: BetaTCVAE(),
    "ada-gvae": lambda _: AdaGVAE(),
    "supervised-slots": lambda problem: SupervisedSlots(
        problem.images.moved_factors,
        problem.images.moved.cardinalities,
    ),
}
"""Each makes a method's settings for a problem."""

NOT_RUN: dict[str, str] = {
    "ilcm": "not written: a continuous causal model of the pairs (ILCM, CITRIS)",
    "latent-actions": "not written: actions inferred from pairs without labels",
    "image-editor": "not written: p(x' | x, a) drawn without codes",
}
"""What a reader would look for, and why it has no figures."""


def check_methods(names: tuple[str, ...]) -> None:
    """Refuses names that are no method.

    Args:
        names: As the caller wrote them.

    Raises:
        DataError: When there is none, or one is not known or was not written.
    """
    if not names:
        msg = f"no method named; choose among {', '.join(METHODS)}"
        raise DataError(msg)
    for name in names:
        if name in NOT_RUN:
            msg = f"method {name!r} cannot be run: {NOT_RUN[name]}"
            raise DataError(msg)
        if name not in METHODS:
            msg = f"no method {name!r}; there are {', '.join(METHODS)}{did_you_mean(name, METHODS)}"
            raise DataError(msg)


def settings_of(method: Baseline) -> dict[str, float | str]:
    """Gives a method's settings as they stand in its record.

    Args:
        method: A dataclass of settings.

    Returns:
        Its numbers and texts; what it took from the data is left out.

    Example:
        >>> settings_of(SpatialCounting())
        {'codes': 32, 'learning_rate': 0.001}
    """
    if not is_dataclass(method):
        return {}
    values = {field.name: getattr(method, field.name) for field in fields(method)}
    return {name: v for name, v in values.items() if isinstance(v, int | float | str)}
