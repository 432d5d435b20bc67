"""Seeds and generators: the one way randomness enters the library.

``torch.distributions`` and Pyro take no generator, so the library draws its noise from a
generator of its own and pushes it through the mechanisms; the global random state is never
touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import TypeAlias

import torch

from ctvae.errors import CTVAEError, ShapeError

__all__ = ["Seed", "check_count", "make_generator", "scoped_seed", "spawn"]

Seed: TypeAlias = int | torch.Generator | None


def make_generator(seed: Seed, device: torch.device | str = "cpu") -> torch.Generator:
    """Makes the generator that a ``seed=`` argument stands for.

    Args:
        seed: An integer; a generator, used as it is (it must live on ``device``); or ``None``
            for fresh entropy from the operating system.
        device: Where the random numbers are drawn.

    Returns:
        A generator on ``device``; the global random state is untouched.

    Raises:
        CTVAEError: When the seed is none of these, or a generator on another kind of device.

    Example:
        >>> a, b = make_generator(0), make_generator(0)
        >>> bool((torch.rand(3, generator=a) == torch.rand(3, generator=b)).all())
        True
    """
    if isinstance(seed, torch.Generator):
        if seed.device.type != torch.device(device).type:
            msg = (
                f"the generator given as seed= lives on {seed.device}, the numbers are drawn on "
                f"{device}; write torch.Generator({str(device)!r}), or give an integer"
            )
            raise CTVAEError(msg)
        return seed
    generator = torch.Generator(device=device)
    if seed is None:
        generator.seed()
        return generator
    try:
        return generator.manual_seed(seed)
    except (TypeError, ValueError, RuntimeError) as error:
        msg = f"seed= takes an integer of 64 bits, a torch.Generator or None, got {seed!r}"
        raise CTVAEError(msg) from error


def check_count(count: int, name: str, *, least: int = 0) -> int:
    """Checks how many of something are asked for.

    Args:
        count: The number.
        name: The argument's name, for the message.
        least: The smallest number that makes sense.

    Returns:
        The number.

    Raises:
        ShapeError: When it is no integer, or too small.

    Example:
        >>> check_count(3, "num_samples")
        3
    """
    if isinstance(count, bool) or not isinstance(count, Integral) or count < least:
        msg = f"{name}= takes an integer of at least {least}, got {count!r}"
        raise ShapeError(msg)
    return int(count)


def spawn(seed: Seed, count: int) -> list[int]:
    """Derives independent integer seeds, one per task.

    Args:
        seed: The parent seed.
        count: How many seeds are needed.

    Returns:
        ``count`` integers in ``[0, 2**62)``; the same parent gives the same list.

    Raises:
        ShapeError: When the count is no integer of at least zero.

    Example:
        >>> spawn(0, 2) == spawn(0, 2)
        True
    """
    count = check_count(count, "count")
    return torch.randint(0, 2**62, (count,), generator=make_generator(seed)).tolist()


@contextmanager
def scoped_seed(seed: int, device: torch.device | str = "cpu") -> Iterator[None]:
    """Seeds the global generators inside the block and restores them after it.

    For code that can only draw from the global state: module initialisation and Pyro's SVI.

    Args:
        seed: The seed inside the block.
        device: The device whose generator is forked beside the CPU's.

    Yields:
        Nothing; the block runs under the seed.

    Example:
        >>> with scoped_seed(0):
        ...     a = torch.rand(1)
        >>> with scoped_seed(0):
        ...     b = torch.rand(1)
        >>> bool(a == b)
        True
    """
    device = torch.device(device)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield
