"""Deterministic laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import MechanismError, StateSpaceError
from ctvae.mechanisms.base import TABLE_BUDGET

__all__ = ["FunctionMechanism"]


class FunctionMechanism:
    r"""A slot that is a function of its parents, :math:`x = f(\mathrm{parents})`.

    Immutable: the function is called once, on the grid of all parents' codes, and only its table
    of codes is kept.

    Args:
        function: Takes one int64 tensor of codes per parent, all of one shape, in the order of the
            slots' columns, and returns codes of the slot; a table of codes ``(*parents,)`` will do.
        cardinality: The number of codes of the slot.
        parent_cardinalities: The number of codes of each parent.

    Raises:
        MechanismError: When the function fails, or gives anything but codes of the slot.
        StateSpaceError: When the parents have too many joint codes for a table.

    Example:
        >>> both = FunctionMechanism(lambda a, b: a & b, 2, [2, 2])
        >>> both.codes(torch.tensor([[1, 1], [1, 0]])).tolist()
        [1, 0]
        >>> both.table()[1, 1]
        tensor([0., 1.])
    """

    __slots__ = ("_codes", "_size")

    def __init__(
        self,
        function: Callable[..., Tensor] | Int[Tensor, "*parents"],
        cardinality: int,
        parent_cardinalities: Sequence[int] = (),
    ) -> None:
        sizes = tuple(parent_cardinalities)
        if min((cardinality, *sizes)) < 1:
            msg = f"a function needs cardinalities of at least 1, got {cardinality} and {sizes}"
            raise MechanismError(msg)
        rows = math.prod(sizes)
        if rows > TABLE_BUDGET:
            msg = (
                f"a function of {len(sizes)} parents has {rows:.3g} rows (budget "
                f"{TABLE_BUDGET:.3g}); write it as a chain of functions of fewer parents"
            )
            raise StateSpaceError(msg, entries=rows)
        if isinstance(function, Tensor):
            codes = function.detach().clone()
        else:
            grid = torch.meshgrid(*(torch.arange(size) for size in sizes), indexing="ij")
            try:
                codes = torch.as_tensor(function(*(axis.clone() for axis in grid)))
                codes = codes.expand(sizes).clone()
            except Exception as error:
                msg = f"the function failed on the grid of its parents' codes {sizes}: {error}"
                raise MechanismError(msg) from error
        self._codes, self._size = _checked(codes, cardinality, sizes), cardinality

    def __repr__(self) -> str:
        given = ", ".join(map(str, self.parent_cardinalities))
        return f"FunctionMechanism({self.cardinality} codes of ({given}))"

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""
        return self._size

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each parent, in the order of the slots' columns."""
        return tuple(self._codes.shape)

    @property
    def device(self) -> torch.device:
        """Where the codes are."""
        return self._codes.device

    def code_table(self) -> Int[Tensor, "*parents"]:
        """Writes the function as a table of codes.

        Returns:
            ``(*parent_cardinalities,)`` int64.
        """
        return self._codes

    def codes(self, parents: Int[Tensor, "*batch parents"]) -> Int[Tensor, "*batch"]:
        """Evaluates the function.

        Args:
            parents: The parents' codes.

        Returns:
            The slot's codes, int64.
        """
        return self._codes.reshape(-1)[joint_index(parents, self.parent_cardinalities)]

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities, all zeros and ones.

        Returns:
            ``(*parent_cardinalities, cardinality)`` float32, which is exact.

        Raises:
            StateSpaceError: When it would be too large.
        """
        entries = self._codes.numel() * self._size
        if entries > TABLE_BUDGET:
            msg = f"this table has {entries:.3g} entries (budget {TABLE_BUDGET:.3g}); use codes()"
            raise StateSpaceError(msg, entries=entries)
        return torch.nn.functional.one_hot(self._codes, self._size).float()

    def log_probs(self, parents: Int[Tensor, "*batch parents"]) -> Float[Tensor, "*batch codes"]:
        """Evaluates the law at rows of parents.

        Args:
            parents: The parents' codes.

        Returns:
            Nats: zero for the function's code, ``-inf`` for all others.
        """
        return torch.nn.functional.one_hot(self.codes(parents), self._size).float().log()

    def to(self, device: torch.device | str) -> FunctionMechanism:
        """Moves the codes.

        Args:
            device: Where to.

        Returns:
            The same function on the device.
        """
        moved = object.__new__(FunctionMechanism)
        moved._codes, moved._size = self._codes.to(device), self._size
        return moved


def _checked(codes: Tensor, cardinality: int, sizes: tuple[int, ...]) -> Tensor:
    if codes.dtype == torch.bool or codes.is_floating_point() or codes.is_complex():
        msg = f"a function gives integer codes 0..{cardinality - 1}, got dtype {codes.dtype}"
        raise MechanismError(msg)
    if tuple(codes.shape) != sizes:
        msg = f"a table of codes must be {sizes}, the parents' codes; got {tuple(codes.shape)}"
        raise MechanismError(msg)
    outside = (codes < 0) | (codes >= cardinality)
    if bool(outside.any()):
        row = outside.nonzero()[0].tolist()
        msg = (
            f"the function gives {int(codes[outside][0])} for parents {row}, outside the codebook "
            f"(codes 0..{cardinality - 1})"
        )
        raise MechanismError(msg)
    return codes.long()
