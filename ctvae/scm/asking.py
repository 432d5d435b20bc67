"""What the questions of a model name: slots, evidence and functions, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from ctvae.errors import CTVAEError, ShapeError
from ctvae.mechanisms.interventions import Key
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["asked_columns", "seen_codes", "values_of"]


def asked_columns(slots: SlotSpace, asked: SlotKey | Sequence[SlotKey]) -> list[int]:
    """Gives the columns that a question names.

    Args:
        slots: The slots.
        asked: One slot, or several.

    Returns:
        Columns, in the order asked for.

    Raises:
        UnknownSlotError: When there is no such slot.
        CTVAEError: When none is named, or one twice.

    Example:
        >>> asked_columns(SlotSpace.from_cardinalities({"a": 2, "b": 3}), ["b", 0])
        [1, 0]
    """
    named = list(asked) if isinstance(asked, Sequence) and not isinstance(asked, str) else [asked]
    columns = [slots.index(key) for key in named]
    if len(set(columns)) < len(columns) or not columns:
        msg = f"a query names each slot once, got {named}"
        raise CTVAEError(msg)
    return columns


def seen_codes(
    slots: SlotSpace, given: Mapping[Key, int | str | Tensor] | None, device: torch.device
) -> dict[int, Tensor]:
    """Checks evidence.

    Args:
        slots: The slots.
        given: Slot to observed code or codes; ``None`` for no evidence.
        device: Where the codes go.

    Returns:
        Column to codes ``()`` or ``(batch,)``.

    Raises:
        CTVAEError: When it is no mapping, or names a slot twice.
        CodeError: When a code is outside its codebook.
    """
    if given is not None and not isinstance(given, Mapping):
        msg = f"given= takes a mapping of slots to codes such as {{'hue': 5}}, got {given!r}"
        raise CTVAEError(msg)
    seen = {
        slots.index(key): slots.check_value(key, value).to(device)
        for key, value in (given or {}).items()
    }
    if len(seen) < len(given or {}):
        msg = f"given= names each slot once, by name or by index, got {list(given or {})}"
        raise CTVAEError(msg)
    return seen


def values_of(function: Callable[..., Tensor], sizes: Sequence[int], like: Tensor) -> Tensor:
    """Evaluates a function at every row of codes.

    Args:
        function: Takes one tensor of codes per slot.
        sizes: The number of codes of each slot.
        like: The values take its dtype and device.

    Returns:
        ``(*sizes)``, or ``()`` for a constant.

    Raises:
        CTVAEError: When the function fails.
        ShapeError: When it does not return one number per entry.
    """
    axes = [torch.arange(size, device=like.device) for size in sizes]
    try:
        result = function(*torch.meshgrid(*axes, indexing="ij"))
        values = torch.as_tensor(result)
    except Exception as error:  # whatever the caller's function raises
        msg = (
            f"the function failed on the grid of codes {list(sizes)}: {error}; it takes one "
            f"tensor of codes for each of {len(sizes)} slots"
        )
        raise CTVAEError(msg) from error
    if isinstance(result, bool):  # what comparing a tensor with a text gives
        msg = (
            f"the function returned {result} for the whole grid of codes {list(sizes)}; it sees "
            "codes, which are integers, and not their names"
        )
        raise CTVAEError(msg)
    if values.shape not in {torch.Size(()), torch.Size(sizes)}:
        msg = (
            f"the function must return one number per entry {list(sizes)}, got "
            f"{tuple(values.shape)}"
        )
        raise ShapeError(msg)
    if values.is_complex():
        msg = f"the function must return real numbers, got {values.dtype}; ask for parts apart"
        raise CTVAEError(msg)
    return values.to(like)
