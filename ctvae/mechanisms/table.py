"""Conditional probability tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import contingency_table
from ctvae.errors import MechanismError
from ctvae.randomness import Seed, spawn

__all__ = ["TableMechanism"]

SUM_TOLERANCE = 1e-6


class TableMechanism:
    r"""A slot's law as a table, :math:`P(X = v \mid \mathrm{parents} = u) = T[u, v]`.

    Immutable. Rows are renormalised to the last bit after the check, in float64 unless float32 is
    given.

    Args:
        probs: ``(*parent_cardinalities, cardinality)``, rows summing to one within 1e-6. The
            parents' axes stand in the order of the slots' columns.

    Raises:
        MechanismError: When an entry is negative or not finite, or a row does not sum to one.

    Example:
        >>> m = TableMechanism(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
        >>> m.cardinality, m.parent_cardinalities
        (2, (2,))
    """

    __slots__ = ("_table",)

    def __init__(self, probs: Float[Tensor, "*parents codes"]) -> None:
        table = torch.as_tensor(probs)
        if not table.is_floating_point() or table.ndim == 0 or table.shape[-1] == 0:
            msg = (
                "a table must be floats (*parent_cardinalities, cardinality), got "
                f"{table.dtype} {tuple(table.shape)}"
            )
            raise MechanismError(msg)
        if not bool(torch.isfinite(table).all()) or bool((table < 0).any()):
            msg = "a table's entries must be probabilities: finite and not negative"
            raise MechanismError(msg)
        sums = table.sum(-1, keepdim=True)
        off = float((sums - 1).abs().max())
        if off > SUM_TOLERANCE:
            msg = f"a table's rows must sum to one along the last axis; one is off by {off:.3g}"
            raise MechanismError(msg)
        if table.dtype not in {torch.float32, torch.float64}:
            table = table.float()
        self._table = (table / sums.to(table.dtype)).detach()

    def __repr__(self) -> str:
        given = ", ".join(map(str, self.parent_cardinalities))
        return f"TableMechanism({self.cardinality} codes given ({given}))"

    @classmethod
    def from_counts(
        cls, counts: Float[Tensor, "*parents codes"], *, pseudocount: float = 1.0
    ) -> TableMechanism:
        r"""Estimates a table from counts with a symmetric Dirichlet prior.

        .. math:: T[u, v] = (n_{uv} + \alpha) / (n_u + K \alpha)

        Args:
            counts: How often each code was seen with each row of parents.
            pseudocount: The prior count :math:`\alpha` of every cell; rows never seen are uniform.

        Returns:
            The posterior mean.

        Raises:
            MechanismError: When the pseudocount is not positive.

        Example:
            >>> TableMechanism.from_counts(torch.tensor([3.0, 1.0]), pseudocount=1.0).table()
            tensor([0.6667, 0.3333], dtype=torch.float64)
        """
        if not pseudocount > 0:
            msg = f"pseudocount must be positive, got {pseudocount}; unseen rows need one"
            raise MechanismError(msg)
        smoothed = counts.double() + pseudocount
        return cls(smoothed / smoothed.sum(-1, keepdim=True))

    @classmethod
    def fit(
        cls,
        codes: Int[Tensor, " rows"],
        parents: Int[Tensor, "rows parents"],
        *,
        cardinality: int,
        parent_cardinalities: Sequence[int],
        pseudocount: float = 1.0,
    ) -> TableMechanism:
        """Counts a table.

        Args:
            codes: The slot's codes.
            parents: Its parents' codes, in the order of the slots' columns.
            cardinality: The number of codes of the slot.
            parent_cardinalities: The number of codes of each parent.
            pseudocount: The prior count of every cell.

        Returns:
            The posterior mean.

        Cost: one pass over the rows.
        """
        sizes = [*parent_cardinalities, cardinality]
        counts = contingency_table(torch.cat([parents, codes[:, None]], 1), sizes)
        return cls.from_counts(counts, pseudocount=pseudocount)

    @classmethod
    def random(
        cls,
        cardinality: int,
        parent_cardinalities: Sequence[int] = (),
        *,
        concentration: float = 0.5,
        seed: Seed = None,
    ) -> TableMechanism:
        """Draws a table, each row from a symmetric Dirichlet law.

        Args:
            cardinality: The number of codes of the slot.
            parent_cardinalities: The number of codes of each parent.
            concentration: Below 1 rows are peaked and edges strong.
            seed: For the draw.

        Returns:
            The table, float64.
        """
        shape = (*parent_cardinalities, cardinality)
        draws = np.random.default_rng(spawn(seed, 1)[0]).gamma(concentration, size=shape)
        probs = torch.from_numpy(draws).clamp(min=torch.finfo(torch.float64).tiny)
        return cls(probs / probs.sum(-1, keepdim=True))

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""
        return self._table.shape[-1]

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each parent, in the order of the slots' columns."""
        return tuple(self._table.shape[:-1])

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities.

        Returns:
            ``(*parent_cardinalities, cardinality)``.
        """
        return self._table

    def to(self, device: torch.device | str) -> TableMechanism:
        """Moves the table.

        Args:
            device: Where to.

        Returns:
            The same table on the device.
        """
        moved = object.__new__(TableMechanism)
        moved._table = self._table.to(device)
        return moved
