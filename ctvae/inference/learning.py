"""Laws of all slots learned from rows, by any kind of mechanism that can be fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from jaxtyping import Int
from torch import Tensor

from ctvae.errors import MechanismError, StateSpaceError
from ctvae.inference.svi import Amortised, Enumerated, fit_svi
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.mechanisms.table import check_independent
from ctvae.randomness import Seed, spawn
from ctvae.regimes import Samples

__all__ = ["Learner", "fit_laws"]


class Learner(Protocol):
    """A kind of mechanism that learns from rows, such as ``NeuralMechanism``."""

    def fit(
        self,
        codes: Int[Tensor, " rows"],
        parents: Int[Tensor, "rows parents"],
        *,
        cardinality: int,
        parent_cardinalities: Sequence[int],
        seed: Seed = None,
    ) -> Mechanism:
        """Learns the law of one slot.

        Args:
            codes: The slot's codes.
            parents: Its parents' codes, in the order of the slots' columns.
            cardinality: The number of codes of the slot.
            parent_cardinalities: The number of codes of each parent.
            seed: For what is random in it.

        Returns:
            The law.
        """
        ...


def fit_laws(
    rows: Samples, parents: Mapping[str, Sequence[int]], learner: Learner, *, seed: Seed = None
) -> dict[str, Mechanism]:
    """Learns the law of every slot from rows.

    A row in which a slot was set by ``do`` is left out for that slot, and for no other. Where
    entries are missing, networks are trained together by ``fit_svi``: missing entries are summed
    out exactly where a table of the default budget holds them, and proposed by a guide otherwise.

    Args:
        rows: Rows of codes with their regime.
        parents: Slot name to the columns of its parents, increasing.
        learner: The kind of mechanism.
        seed: For what is random; every slot has a stream of its own.

    Returns:
        Slot name to law.

    Raises:
        MechanismError: When a slot was set in every row, or entries are missing and the kind is
            not ``NeuralMechanism``.
    """
    if not callable(getattr(learner, "fit", None)):
        msg = f"mechanism= takes a kind of law such as ct.NeuralMechanism, got {learner!r}"
        raise MechanismError(msg)
    check_independent(rows)
    seeds = spawn(seed, len(parents))
    for name in parents:
        if rows.targets is not None and bool(rows.targets[:, rows.slots.index(name)].all()):
            msg = f"slot {name!r} was set in every row: nothing tells its own law; fit tables, or"
            msg += " add rows in which it was not set"
            raise MechanismError(msg)
    if rows.observed is not None and not bool(rows.observed.all()):
        return _fit_incomplete(rows, parents, learner, seeds)
    sizes = rows.slots.cardinalities
    laws = {}
    for (name, causes), child in zip(parents.items(), seeds, strict=True):
        column = rows.slots.index(name)
        natural = rows.codes if rows.targets is None else rows.codes[~rows.targets[:, column]]
        laws[name] = learner.fit(
            natural[:, column],
            natural[:, list(causes)],
            cardinality=sizes[column],
            parent_cardinalities=[sizes[cause] for cause in causes],
            seed=child,
        )
    return laws


def _fit_incomplete(
    rows: Samples, parents: Mapping[str, Sequence[int]], learner: Learner, seeds: Sequence[Seed]
) -> dict[str, Mechanism]:
    if learner is not NeuralMechanism:
        msg = (
            "this kind of mechanism is fitted to complete rows, and some entries are missing; "
            "TableMechanism and NeuralMechanism take them, or keep the rows that are complete"
        )
        raise MechanismError(msg)
    if not len(rows):
        msg = "networks are learned from rows, got none"
        raise MechanismError(msg)
    sizes = rows.slots.cardinalities
    networks = {
        name: NeuralMechanism(
            sizes[rows.slots.index(name)], [sizes[cause] for cause in causes], seed=child
        )
        for (name, causes), child in zip(parents.items(), seeds, strict=True)
    }
    shared = seeds[0]
    try:
        return fit_svi(networks, rows, parents, posterior=Enumerated(), seed=shared).mechanisms
    except StateSpaceError:
        return fit_svi(networks, rows, parents, posterior=Amortised(), seed=shared).mechanisms
