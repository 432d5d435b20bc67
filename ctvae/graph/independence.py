"""Tests of conditional independence: what a search asks of one, and the plain tests on tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor

from ctvae.graph.table_tests import IndependenceResults, TableTests, chi_squared, g_squared
from ctvae.randomness import Seed

__all__ = ["BoundTest", "ChiSquared", "GSquared", "IndependenceTest"]


class BoundTest(Protocol):
    """A test with its data: asks many questions "is x independent of y given S?" at once."""

    def __call__(
        self, x: Int[Tensor, " tests"], y: Int[Tensor, " tests"], given: Int[Tensor, "tests size"]
    ) -> IndependenceResults:
        """Runs tests whose conditioning sets have one size.

        Args:
            x: A column each.
            y: Another column each.
            given: The columns conditioned on.

        Returns:
            The results in the order given.
        """
        ...


class IndependenceTest(Protocol):
    """What a search asks of a test: an object that holds only its own settings."""

    def bind(
        self,
        codes: Int[Tensor, "rows slots"],
        *,
        weights: Float[Tensor, " rows"] | None = None,
        seed: Seed = 0,
    ) -> BoundTest:
        """Takes the data that are to be tested.

        Args:
            codes: Codes ``(rows, slots)``.
            weights: How often each row counts, whole numbers; once each where ``None``.
            seed: The seed of a test that draws.

        Returns:
            The test on these data.
        """
        ...


@dataclass(frozen=True)
class GSquared:
    r"""The likelihood-ratio test, :math:`G^2 = 2 \sum n \log(n / e)`.

    That is twice the rows times the conditional mutual information of the counts. Under
    independence it is nearly chi-squared distributed, where every cell holds 5 rows or more.

    Example:
        >>> import torch
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(50, 1)
        >>> none = torch.zeros(1, 0, dtype=torch.long)
        >>> float(GSquared().bind(codes)(torch.tensor([0]), torch.tensor([1]), none).p_value) < 0.01
        True

    Source: Agresti (2013), Categorical data analysis, section 3.2.
    """

    def bind(
        self,
        codes: Int[Tensor, "rows slots"],
        *,
        weights: Float[Tensor, " rows"] | None = None,
        seed: Seed = 0,
    ) -> BoundTest:
        """Takes the data that are to be tested; nothing is drawn.

        Args:
            codes: Codes ``(rows, slots)``.
            weights: How often each row counts; once each where ``None``.
            seed: Unused.

        Returns:
            The test on these data, on their device.
        """
        del seed
        return TableTests(codes, g_squared, weights=weights)


@dataclass(frozen=True)
class ChiSquared:
    r"""Pearson's test, :math:`\chi^2 = \sum (n - e)^2 / e`.

    Nearer to its limiting law than ``GSquared`` where cells hold few rows.

    Example:
        >>> import torch
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(50, 1)
        >>> none = torch.zeros(1, 0, dtype=torch.long)
        >>> found = ChiSquared().bind(codes)(torch.tensor([0]), torch.tensor([1]), none)
        >>> float(found.statistic)  # perfectly dependent: one for each row
        100.0

    Source: Agresti (2013), Categorical data analysis, section 3.2.
    """

    def bind(
        self,
        codes: Int[Tensor, "rows slots"],
        *,
        weights: Float[Tensor, " rows"] | None = None,
        seed: Seed = 0,
    ) -> BoundTest:
        """Takes the data that are to be tested; nothing is drawn.

        Args:
            codes: Codes ``(rows, slots)``.
            weights: How often each row counts; once each where ``None``.
            seed: Unused.

        Returns:
            The test on these data, on their device.
        """
        del seed
        return TableTests(codes, chi_squared, weights=weights)
