"""Discovery methods by name, with settings written as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args, get_type_hints

from ctvae.errors import DataError, did_you_mean
from ctvae.graph import (
    BOSS,
    CDNOD,
    FCI,
    GES,
    PC,
    DifferentiableDiscovery,
    DiscoveryMethod,
    GRaSP,
    InterventionalBDeu,
    OrderMCMC,
)
from ctvae.graph.independence import ChiSquared, GSquared, IndependenceTest
from ctvae.graph.local_scores import BIC, BDeu, LocalScore
from ctvae.graph.residual_tests import ResidualTest

__all__ = ["METHODS", "make_method"]

METHODS: dict[str, type] = {
    "pc": PC,
    "fci": FCI,
    "cd-nod": CDNOD,
    "ges": GES,
    "boss": BOSS,
    "grasp": GRaSP,
    "order-mcmc": OrderMCMC,
    "interventional-bdeu": InterventionalBDeu,
    "differentiable": DifferentiableDiscovery,
}
TESTS: dict[str, type] = {"g2": GSquared, "chi2": ChiSquared, "residual": ResidualTest}
SCORES: dict[str, type] = {"bdeu": BDeu, "bic": BIC}
CHOICES: dict[type, tuple[str, dict[str, type]]] = {
    IndependenceTest: ("test", TESTS),
    LocalScore: ("score", SCORES),
}


def make_method(name: str, settings: Sequence[str] = ()) -> DiscoveryMethod:
    """Makes a method from its name and settings.

    Args:
        name: One of ``METHODS``.
        settings: ``"name=value"`` each: a number, ``none``, for ``test`` one of ``TESTS`` or for
            ``score`` one of ``SCORES``.

    Returns:
        The method.

    Raises:
        DataError: On an unknown method or setting, or a value that does not fit.

    Example:
        >>> make_method("pc", ["alpha=0.05", "test=chi2"])
        PC(alpha=0.05, max_conditioning=None, test=ChiSquared())
    """
    if name not in METHODS:
        msg = f"no method is called {name!r}{did_you_mean(name, METHODS)}; known: "
        raise DataError(msg + ", ".join(METHODS))
    kind = METHODS[name]
    hints = get_type_hints(kind)
    known = {field.name: hints[field.name] for field in fields(kind)}
    given: dict[str, Any] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        if key not in known:
            msg = f"{name} has no setting {key!r}{did_you_mean(key, known)}; it has "
            raise DataError(msg + ", ".join(known))
        if not equals:
            msg = (
                f"--set takes NAME=VALUE, as in --set {key}={_default(kind, key)}; got {setting!r}"
            )
            raise DataError(msg)
        given[key] = _read(key, text, known[key])
    method: DiscoveryMethod = kind(**given)
    return method


def _default(kind: type, key: str) -> str:
    value = getattr(kind, key, "VALUE")
    return "none" if value is None else str(value)


def _read(key: str, text: str, hint: Any) -> object:  # noqa: ANN401  # a type, as annotated
    kinds = get_args(hint) or (hint,)
    for kind, (what, choices) in CHOICES.items():
        if kind in kinds:
            if text not in choices:
                msg = f"{key}={text} names no {what}{did_you_mean(text, choices)}; known: "
                raise DataError(msg + ", ".join(choices))
            return choices[text]()
    if type(None) in kinds and text.lower() == "none":
        return None
    for kind in (int, float):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                continue
    if not {int, float} & set(kinds):
        msg = f"{key} is no number; set it in Python"
        raise DataError(msg)
    wanted = "an integer" if float not in kinds else "a number"
    msg = f"{key} takes {wanted}{' or none' if type(None) in kinds else ''}, got {text!r}"
    raise DataError(msg)
