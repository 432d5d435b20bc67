"""The typed errors of the library.

Every message says what was got, what was expected, where, and the way out; callers catch by
class, never by text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "CTVAEError",
    "CodeError",
    "DataError",
    "EvidenceError",
    "FormatError",
    "GraphError",
    "InterventionError",
    "MechanismError",
    "RegimeError",
    "ShapeError",
    "StateSpaceError",
    "UnknownActionError",
    "UnknownSlotError",
    "did_you_mean",
]


class CTVAEError(Exception):
    """The base of every error that the library raises on bad input."""


class UnknownSlotError(CTVAEError, KeyError):
    """A slot name or index that the model does not have."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the quoted repr


class UnknownActionError(CTVAEError, KeyError):
    """An action name or id outside the set of actions."""

    def __str__(self) -> str:
        return str(self.args[0])


class CodeError(CTVAEError, ValueError):
    """A code that is not an integer of the slot's codebook."""


class InterventionError(CTVAEError, ValueError):
    """An intervention whose value or batch does not fit the model."""


class EvidenceError(CTVAEError, ValueError):
    """Evidence that has probability zero."""


class MechanismError(CTVAEError, ValueError):
    """A conditional law that is not one: wrong shape, negative, or not summing to one."""


class GraphError(CTVAEError, ValueError):
    """A graph that is not of the kind it claims to be."""


class ShapeError(CTVAEError, ValueError):
    """A tensor of the wrong shape or dtype."""


class StateSpaceError(CTVAEError, ValueError):
    """An exact computation that would exceed its stated budget.

    Attributes:
        entries: The size of the largest table that it would need, in entries.
    """

    def __init__(self, message: str, *, entries: int = 0) -> None:
        super().__init__(message)
        self.entries = entries


class FormatError(CTVAEError, ValueError):
    """A file or folder that is not what it should be."""


class DataError(CTVAEError, ValueError):
    """A data set that cannot be used as asked."""


class RegimeError(DataError):
    """Rows of one regime offered where the law of another is needed."""


def did_you_mean(got: object, known: Iterable[str]) -> str:
    """Suggests the nearest known name.

    Args:
        got: What the caller wrote.
        known: The names that exist.

    Returns:
        ``"; did you mean 'hue'?"``, or an empty text when nothing is near.

    Example:
        >>> did_you_mean("hu", ["hue", "shape"])
        "; did you mean 'hue'?"
    """
    near = difflib.get_close_matches(str(got), list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
