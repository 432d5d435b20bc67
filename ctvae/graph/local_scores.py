"""Local scores of parent sets: what a search asks of one, and those of tables of codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from ctvae.counting import counted_rows
from ctvae.errors import DataError
from ctvae.graph.bic_scores import BICScores
from ctvae.graph.scores import BDeuScores, check_score_settings

__all__ = ["BIC", "BDeu", "BoundScore", "LocalScore", "LocalScores", "check_score"]


class LocalScores(Protocol):
    """Scores of any child and parent set on one data set, cached."""

    def batch(self, child: int, parent_sets: Sequence[Sequence[int]]) -> Float[Tensor, " sets"]:
        """Scores many parent sets of a child.

        Args:
            child: The child's column.
            parent_sets: Columns of each set, without the child.

        Returns:
            Nats, in the order given; the higher the better.
        """
        ...


class BoundScore(NamedTuple):
    """A score with its data.

    Attributes:
        scores: The scores.
        edge_penalty: Nats that a search takes off for every edge.
    """

    scores: LocalScores
    edge_penalty: float


class LocalScore(Protocol):
    """What a search asks of a score: an object that holds only its own settings."""

    def bind(self, data: Tensor, *, weights: Shaped[Tensor, " rows"] | None = None) -> BoundScore:
        """Takes the data that are to be scored.

        Args:
            data: ``(rows, variables)``: codes, or floats where the score is one of floats.
            weights: How often each row counts; once each where ``None``.

        Returns:
            The score on these data, on their device.
        """
        ...


@dataclass(frozen=True)
class BDeu:
    r"""The Bayesian Dirichlet score of tables, with a prior that spreads some rows evenly.

    Codes that never occur are not counted as codes. A larger equivalent sample size favours more
    edges.

    Args:
        equivalent_sample_size: The weight of the prior on each table, in rows, above 0.
        edge_penalty: Nats taken off for every edge, at least 0; ``None`` for :math:`\log(K - 2)`
            of K slots, an edge probability of 1 / (K - 1) as in causal-learn.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> codes = torch.tensor([[0, 0], [1, 1], [0, 0], [1, 1]])
        >>> without, with_parent = BDeu().bind(codes).scores.batch(1, [[], [0]]).tolist()
        >>> with_parent > without
        True

    Source: Heckerman, Geiger and Chickering (1995), Learning Bayesian networks.
    """

    equivalent_sample_size: float = 1.0
    edge_penalty: float | None = None

    def __post_init__(self) -> None:
        check_score_settings(self.equivalent_sample_size, self.edge_penalty or 0.0)

    def bind(
        self, data: Int[Tensor, "rows slots"], *, weights: Shaped[Tensor, " rows"] | None = None
    ) -> BoundScore:
        """Takes codes.

        Args:
            data: Codes ``(rows, slots)``.
            weights: How often each row counts; once each where ``None``.

        Returns:
            The score on these codes.

        Raises:
            DataError: When the data are floats, or a weight is negative or not finite.
        """
        codes, sizes, counts = _seen_codes(data, weights, self)
        scores = BDeuScores(
            codes, sizes, equivalent_sample_size=self.equivalent_sample_size, weights=counts
        )
        usual = log(max(1, len(sizes) - 2))
        return BoundScore(scores, usual if self.edge_penalty is None else self.edge_penalty)


@dataclass(frozen=True)
class BIC:
    """The Bayesian information criterion of tables: no prior, and fewer edges where rows are few.

    Codes that never occur are not counted as codes.

    Example:
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(20, 1)
        >>> without, with_parent = BIC().bind(codes).scores.batch(1, [[], [0]]).tolist()
        >>> with_parent > without
        True

    Source: Schwarz (1978), Estimating the dimension of a model.
    """

    def bind(
        self, data: Int[Tensor, "rows slots"], *, weights: Shaped[Tensor, " rows"] | None = None
    ) -> BoundScore:
        """Takes codes.

        Args:
            data: Codes ``(rows, slots)``.
            weights: How often each row counts; once each where ``None``.

        Returns:
            The score on these codes.

        Raises:
            DataError: When the data are floats, or a weight is negative or not finite.
        """
        codes, sizes, counts = _seen_codes(data, weights, self)
        return BoundScore(BICScores(codes, sizes, weights=counts), 0.0)


def check_score(score: LocalScore) -> None:
    """Checks what a search is given as its score.

    Args:
        score: The score.

    Raises:
        DataError: When it is a class or has no ``bind``.
    """
    if isinstance(score, type) or not hasattr(score, "bind"):
        msg = f"score must be an object with bind(), such as BDeu(), got {score!r}"
        raise DataError(msg)


def _seen_codes(
    data: Tensor, weights: Tensor | None, score: LocalScore
) -> tuple[Int[Tensor, "rows slots"], list[int], Float[Tensor, " rows"]]:
    """Numbers anew the codes of each slot that occur in rows that count."""
    if data.is_floating_point():
        msg = f"{type(score).__name__} scores codes, got {data.dtype}; take GaussianBIC for floats"
        raise DataError(msg)
    rows, counts = counted_rows(data, weights)
    columns = [column.unique(return_inverse=True) for column in rows.T]
    codes = torch.stack([place for _, place in columns], 1)
    return codes, [len(seen) for seen, _ in columns], counts
