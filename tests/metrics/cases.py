"""Codes whose scores are known: perfect, permuted, of noise, mixed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw(rows: int, sizes: Sequence[int], seed: int) -> Tensor:
    """Independent uniform columns."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(k, (rows,), generator=generator) for k in sizes], 1)


def grid(sizes: Sequence[int], repeats: int = 1) -> Tensor:
    """Every combination equally often: factors exactly independent."""
    every = torch.cartesian_prod(*[torch.arange(k) for k in sizes])
    return every.reshape(-1, len(sizes)).repeat(repeats, 1)


def renamed(codes: Tensor, seed: int = 0) -> Tensor:
    """The codes of each column under a random bijection."""
    generator = torch.Generator().manual_seed(seed)
    columns = [
        torch.randperm(int(column.max()) + 1, generator=generator)[column]
        for column in codes.unbind(1)
    ]
    return torch.stack(columns, 1)


def permuted(codes: Tensor, seed: int = 0) -> Tensor:
    """The columns in a random order."""
    return codes[:, torch.randperm(codes.shape[1], generator=torch.Generator().manual_seed(seed))]


def mixed(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three factors; slots that are one of them, nearly one, two at once, and none."""
    s = draw(rows, [3, 4, 4], seed)
    noise = draw(rows, [4, 5, 10], seed + 1)
    nearly = torch.where(noise[:, 2] == 0, noise[:, 0], s[:, 1])
    both = s[:, 0] * 4 + s[:, 2]
    return s, torch.stack([s[:, 0], nearly, both, noise[:, 1]], 1)
