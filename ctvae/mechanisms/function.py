"""Deterministic laws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import MechanismError, StateSpaceError
from ctvae.mechanisms.base import TABLE_BUDGET, check_parents

__all__ = ["FunctionMechanism"]


ROWS_TRIED = 1024
"""The rows tried one by one to say which one a function fails on."""


class FunctionMechanism:
    r"""A slot that is a function of its parents, :math:`x = f(\mathrm{parents})`.

    Immutable: the function is called once, on the grid of all parents' codes, and only its table
    of codes is kept. Where that grid is larger than ``TABLE_BUDGET`` rows, the function itself is
    kept, is called at use, and each answer is checked; such a law has no table and is not saved.

    Args:
        function: Takes one int64 tensor of codes per parent, all of one shape, in the order of the
            slots' columns, and returns codes of the slot, of that shape or a single one; a table
            of codes ``(*parents,)`` will do. It must give the same code for the same parents every
            time.
        cardinality: The number of codes of the slot.
        parent_cardinalities: The number of codes of each parent; none for a constant.

    Raises:
        MechanismError: When the function fails, or gives anything but codes of the slot; the first
            row of parents where it does is named.

    Example:
        >>> both = FunctionMechanism(lambda a, b: a & b, 2, [2, 2])
        >>> both.codes(torch.tensor([[1, 1], [1, 0]])).tolist()
        [1, 0]
        >>> both.table()[1, 1]
        tensor([0., 1.])
    """

    __slots__ = ("_codes", "_device", "_function", "_parents", "_size")

    def __init__(
        self,
        function: Callable[..., Tensor] | Int[Tensor, "*parents"],
        cardinality: int,
        parent_cardinalities: Sequence[int] = (),
    ) -> None:
        sizes = tuple(parent_cardinalities)
        every = (cardinality, *sizes)
        if any(isinstance(k, bool) or not isinstance(k, int) or k < 1 for k in every):
            msg = (
                "a function needs integer cardinalities of at least 1, got "
                f"{cardinality!r} and {sizes}"
            )
            raise MechanismError(msg)
        self._parents, self._size = sizes, cardinality
        self._function: Callable[..., Tensor] | None = None
        self._codes: Tensor | None = None
        self._device = torch.device("cpu")
        if isinstance(function, Tensor):
            codes = function.detach().clone()
            if tuple(codes.shape) != sizes:
                msg = f"a table of codes must be {sizes}, one per row of parents; got "
                raise MechanismError(msg + str(tuple(codes.shape)))
            self._codes, self._device = _checked(codes, cardinality), codes.device
        elif math.prod(sizes) <= TABLE_BUDGET:
            axes = [torch.arange(size) for size in sizes]
            grid = torch.meshgrid(*axes, indexing="ij") if axes else ()
            self._codes = _evaluate(
                function, tuple(axis.clone() for axis in grid), cardinality, "the grid"
            )
            self._device = self._codes.device
        else:
            self._function = function

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
        return self._parents

    @property
    def device(self) -> torch.device:
        """Where the codes are."""
        return self._device

    def code_table(self) -> Int[Tensor, "*parents"]:
        """Writes the function as a table of codes.

        Returns:
            ``(*parent_cardinalities,)`` int64.

        Raises:
            StateSpaceError: When it would be too large.
        """
        if self._codes is None:
            rows = math.prod(self._parents)
            msg = (
                f"a function of {len(self._parents)} parents has {rows:.3g} rows (budget "
                f"{TABLE_BUDGET:.3g}), so it has no table and cannot be saved; codes() needs none, "
                "and a chain of functions of fewer parents has small ones"
            )
            raise StateSpaceError(msg, entries=rows)
        return self._codes

    def codes(self, parents: Int[Tensor, "*batch parents"]) -> Int[Tensor, "*batch"]:
        """Evaluates the function.

        Args:
            parents: The parents' codes.

        Returns:
            The slot's codes, int64.

        Raises:
            ShapeError: When the last axis is not one column per parent.
            CodeError: When a code is no integer of its parent's codebook.
            MechanismError: When a function that was not tabulated fails, or gives anything but
                codes of the slot.
        """
        parents = check_parents(parents, self._parents)
        if self._codes is None:
            assert self._function is not None, "a law has a table or a function"
            return _evaluate(self._function, parents.long().unbind(-1), self._size, "rows")
        return self._codes.reshape(-1)[joint_index(parents, self._parents)]

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities, all zeros and ones.

        Returns:
            ``(*parent_cardinalities, cardinality)`` float32, which is exact.

        Raises:
            StateSpaceError: When it would be too large.
        """
        entries = math.prod(self._parents) * self._size
        if entries > TABLE_BUDGET:
            msg = f"this table has {entries:.3g} entries (budget {TABLE_BUDGET:.3g}); use codes()"
            raise StateSpaceError(msg, entries=entries)
        return torch.nn.functional.one_hot(self.code_table(), self._size).float()

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
        moved._parents, moved._size, moved._function = self._parents, self._size, self._function
        moved._codes = None if self._codes is None else self._codes.to(device)
        moved._device = torch.device(device) if moved._codes is None else moved._codes.device
        return moved


def _evaluate(
    function: Callable[..., Tensor], columns: tuple[Tensor, ...], cardinality: int, what: str
) -> Int[Tensor, "*batch"]:
    """Calls a function on one tensor per parent, and checks what it gives."""
    shape = columns[0].shape if columns else torch.Size()
    try:
        given = torch.as_tensor(function(*(column.clone() for column in columns)))
    except Exception as error:  # whatever the caller's function raises
        raise MechanismError(_failure(function, columns, error, what)) from error
    if given.ndim and given.shape != shape:
        msg = (
            f"the function must give one code per row of parents, shape {tuple(shape)}, or a "
            f"single one; got shape {tuple(given.shape)}"
        )
        raise MechanismError(msg)
    codes = given.to(columns[0].device) if columns else given
    codes = codes.expand(shape).clone()
    return _checked(codes, cardinality, columns)


def _failure(
    function: Callable[..., Tensor], columns: tuple[Tensor, ...], error: Exception, what: str
) -> str:
    """Says on which row of parents a function fails, if it fails on one."""
    failed = f"the function failed on {what} of its parents' codes"
    rows = zip(*(column.reshape(-1)[:ROWS_TRIED] for column in columns), strict=True)
    for row in rows:  # only after a failure, to name the row
        try:
            function(*row)
        except Exception as alone:  # whatever the caller's function raises
            return f"{failed}, first at {[int(code) for code in row]}: {alone}"
    return f"{failed}: {error}; write it with tensor operations, such as torch.where instead of if"


def _checked(
    codes: Tensor, cardinality: int, columns: tuple[Tensor, ...] | None = None
) -> Int[Tensor, "*batch"]:
    if codes.dtype == torch.bool or codes.is_floating_point() or codes.is_complex():
        msg = (
            f"a function gives integer codes 0..{cardinality - 1}, got dtype {codes.dtype}; round "
            "it and end it with .long()"
        )
        raise MechanismError(msg)
    outside = (codes < 0) | (codes >= cardinality)
    if bool(outside.any()):
        where = tuple(outside.nonzero()[0].tolist())
        row = list(where) if columns is None else [int(column[where]) for column in columns]
        msg = (
            f"the function gives {int(codes[where])} for parents {row}, outside the codebook "
            f"(codes 0..{cardinality - 1})"
        )
        raise MechanismError(msg)
    return codes.long()
