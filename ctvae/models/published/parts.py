"""Many rows in parts: the workings of one part are held at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

__all__ = ["in_parts"]


def in_parts(
    function: Callable[..., tuple[Tensor, ...]], tensors: Sequence[Tensor], *, size: int
) -> tuple[Tensor, ...]:
    """Applies a function of rows part by part; workings are made again for the gradient.

    The size of the parts changes memory and time and no result. The function must draw nothing at
    random. A single part is not made again.

    Args:
        function: Takes some rows of every tensor and gives tensors of as many rows.
        tensors: Each of equally many rows.
        size: Rows in a part.

    Returns:
        The results of all rows.

    Example:
        >>> in_parts(lambda x, y: (x * y,), [torch.arange(5), torch.arange(5)], size=2)
        (tensor([ 0,  1,  4,  9, 16]),)

    Source: Chen, Xu, Zhang, Guestrin (2016).
    Cost: the function once more in a backward pass, where there are several parts.
    """
    parts = list(zip(*(tensor.split(size) for tensor in tensors), strict=True))
    if len(parts) == 1:
        return function(*parts[0])
    results = [
        checkpoint(function, *part, use_reentrant=False, preserve_rng_state=False) for part in parts
    ]
    return tuple(torch.cat(field) for field in zip(*results, strict=True))
