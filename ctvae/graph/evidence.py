"""Why a graph looks as it does: evidence for pairs, and a warning of thin tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ctvae.graph.marks import Edge
from ctvae.graph.skeleton import Skeleton

__all__ = ["EdgeEvidence", "ThinTables"]


@dataclass(frozen=True)
class EdgeEvidence:
    """What a method found out about one ordered pair of slots.

    Attributes:
        source: The first slot.
        target: The second slot.
        mark: ``"->"``, ``"<-"``, ``"-"``, or ``"none"`` as in the graph.
        probability: The posterior probability of ``source -> target``, or ``None``.
        score_gain: Log Bayes factor in nats of ``source`` as a further parent of ``target``
            given its other parents in the graph; positive speaks for the edge. ``None`` where
            the method scores nothing.
        p_value: The largest p-value among the tests of this pair, or ``None``.
        separating_set: The slots conditioned on in that test, or ``None``.
    """

    source: str
    target: str
    mark: str
    probability: float | None = None
    score_gain: float | None = None
    p_value: float | None = None
    separating_set: tuple[str, ...] | None = None

    def __str__(self) -> str:
        between = {"none": "no edge to"}.get(self.mark, self.mark)
        parts = []
        if self.probability is not None:
            parts.append(f"P({self.source} -> {self.target}) = {self.probability:.3f}")
        if self.score_gain is not None:
            parts.append(f"score gain {self.score_gain:+.2f} nats")
        if self.p_value is not None:
            given = ", ".join(self.separating_set or ()) or "nothing"
            parts.append(f"largest p-value {self.p_value:.2g}, given {given}")
        return f"{self.source} {between} {self.target}: " + ("; ".join(parts) or "no evidence kept")


@dataclass(frozen=True)
class ThinTables:
    """A warning: edges were removed by tests whose tables have too few rows to see a dependence.

    Attributes:
        pairs: The pairs parted by such tests alone.
        rows_per_cell: The fewest rows per cell among the tests reported for them.
    """

    pairs: tuple[Edge, ...]
    rows_per_cell: float

    @classmethod
    def of(cls, skeleton: Skeleton, names: Sequence[str]) -> ThinTables | None:
        """Reads the record of a search.

        Args:
            skeleton: What the search found.
            names: The names of the columns.

        Returns:
            The warning, or ``None`` where no pair calls for it.
        """
        thin = skeleton.thin_pairs
        if not thin:
            return None
        fewest = min(skeleton.records[pair].rows_per_cell for pair in thin)
        return cls(tuple((names[x], names[y]) for x, y in thin), fewest)

    def __str__(self) -> str:
        shown = ", ".join(f"{a} and {b}" for a, b in self.pairs[:3])
        more = f" and {len(self.pairs) - 3} more" if len(self.pairs) > 3 else ""
        return (
            f"{len(self.pairs)} pairs were parted by tables with as few as "
            f"{self.rows_per_cell:.2g} rows per cell ({shown}{more}); a dependence may have gone "
            "unseen: merge codes, use more rows, limit max_conditioning, or take "
            "PC(test=ResidualTest())"
        )
