"""Pair rules: which values of which factors are joined by which action."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch

from ctvae.errors import DataError
from ctvae.mechanisms.actions import (
    Action,
    NoAction,
    PermuteAction,
    SetAction,
    ShiftAction,
    StochasticAction,
)
from ctvae.randomness import make_generator, spawn

__all__ = [
    "Change",
    "Move",
    "NoOps",
    "PairRule",
    "PermuteValues",
    "SetAtRandom",
    "SetTo",
    "StepAround",
    "StepBy",
]


class Move(NamedTuple):
    """One factor goes from one value to another.

    Attributes:
        factor: Which of the factors moved.
        start: Its value before.
        end: Its value after.
    """

    factor: int
    start: int
    end: int


class Change(NamedTuple):
    """What one action does to images of some values.

    Attributes:
        action: The action, as a position in the rule's list.
        moves: The factors that it moves; all others are held.
    """

    action: int
    moves: tuple[Move, ...]


class PairRule(Protocol):
    """Which values of which factors are joined by which action."""

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists the actions.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions; targets count the factors moved.
        """

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists what the actions do.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Every change of every action.
        """


@dataclass(frozen=True)
class StepBy:
    """Two actions per factor, some steps up or down, without wrap.

    They are numbered ``factor + factors * (decrease)``.

    Attributes:
        size: How many steps an action goes.
    """

    size: int = 1

    def __post_init__(self) -> None:
        _check_size(self.size)

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists two actions per factor.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            All increases, then all decreases.
        """
        del cardinalities
        return _steps(names, self.size)

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists values so many steps apart, both ways.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Factor by factor, increases first.
        """
        found = []
        for k, count in enumerate(cardinalities):
            edges = range(count - self.size)
            found += [Change(k, (Move(k, v, v + self.size),)) for v in edges]
            found += [Change(k + len(names), (Move(k, v + self.size, v),)) for v in edges]
        return found


@dataclass(frozen=True)
class StepAround:
    """Two actions per factor, some steps up or down around the circle of its values.

    Numbered as ``StepBy``. A factor of two values is stepped without wrap: on so small a circle
    both steps are one.

    Attributes:
        size: How many steps an action goes.
    """

    size: int = 1

    def __post_init__(self) -> None:
        _check_size(self.size)

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists two actions per factor.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            All increases, then all decreases.
        """
        del cardinalities
        return _steps(names, self.size)

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists values so many steps apart, both ways.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Factor by factor, increases first, those across the end of the circle last.
        """
        found = []
        along = StepBy(self.size).changes(names, cardinalities)
        for k, count in enumerate(cardinalities):
            found += [change for change in along if change.moves[0].factor == k]
            for v in range(max(count - self.size, 0), count):
                end = (v + self.size) % count
                if count > 2 and end != v:
                    found.append(Change(k, (Move(k, v, end),)))
                    found.append(Change(k + len(names), (Move(k, end, v),)))
        return found


@dataclass(frozen=True)
class SetTo:
    """One action per factor and value: set the factor to the value, from any other value."""

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists one action per factor and value.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions, factor by factor.
        """
        return tuple(
            SetAction(f"{name} = {v}", k, v)
            for k, (name, size) in enumerate(zip(names, cardinalities, strict=True))
            for v in range(size)
        )

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists every change of value.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Factor by factor, by the value before.
        """
        del names
        return [
            Change(sum(cardinalities[:k]) + v, (Move(k, u, v),))
            for k, size in enumerate(cardinalities)
            for u in range(size)
            for v in range(size)
            if u != v
        ]


@dataclass(frozen=True)
class SetAtRandom:
    """One action per factor: any other value, each with equal probability.

    All outcomes are there: a pair for each value that the factor could get.
    """

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists one action per factor.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions.
        """
        del cardinalities
        return tuple(StochasticAction(f"{name} = ?", k) for k, name in enumerate(names))

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists every change of value.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Factor by factor, by the value before.
        """
        return [Change(c.moves[0].factor, c.moves) for c in SetTo().changes(names, cardinalities)]


@dataclass(frozen=True)
class PermuteValues:
    """Some permutations of each factor's values, each a random cycle through all of them.

    On two values there is one such cycle, so that two permutations do the same.

    Attributes:
        seed: For the cycles.
        count: Permutations of each factor.
    """

    seed: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        _check_size(self.count)

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists the permutations of each factor.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions, factor by factor.
        """
        del cardinalities
        return tuple(
            PermuteAction(f"{name} permuted {number}", k)
            for k, name in enumerate(names)
            for number in range(self.count)
        )

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists where each permutation takes each value.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Action by action.
        """
        found = []
        for k, child in enumerate(spawn(self.seed, len(names))):
            generator = make_generator(child)
            for number in range(self.count):
                cycle = torch.randperm(cardinalities[k], generator=generator).tolist()
                ends = zip(cycle, cycle[1:] + cycle[:1], strict=True)
                action = k * self.count + number
                found += [Change(action, (Move(k, u, v),)) for u, v in ends if u != v]
        return found


@dataclass(frozen=True)
class NoOps:
    """One action that does nothing: every image with itself.

    Attributes:
        name: The action's label.
    """

    name: str = "nothing"

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Gives the one action.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The action.
        """
        del names, cardinalities
        return (NoAction(self.name),)

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Gives the one change that moves nothing.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The change.
        """
        del names, cardinalities
        return [Change(0, ())]


def _steps(names: Sequence[str], size: int) -> tuple[Action, ...]:
    up = [ShiftAction(f"{name} +{size}", k, 1, size) for k, name in enumerate(names)]
    down = [ShiftAction(f"{name} -{size}", k, -1, size) for k, name in enumerate(names)]
    return (*up, *down)


def _check_size(size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        msg = f"a rule takes a whole number of at least 1, got {size!r}"
        raise DataError(msg)
