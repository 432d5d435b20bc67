"""Pair rules of pair rules: on some factors only, several side by side, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ctvae.data.pair_rules import Change, PairRule
from ctvae.errors import DataError, UnknownSlotError, did_you_mean
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    SlotAction,
    check_names,
    retarget,
    targets_of,
)

__all__ = ["JointEdits", "OnFactors", "SeveralRules"]


@dataclass(frozen=True)
class OnFactors:
    """A rule for some of the factors; the others are left alone by it.

    Attributes:
        factors: Their names.
        rule: What happens to them.
    """

    factors: tuple[str, ...]
    rule: PairRule

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists the rule's actions.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions; targets count all factors moved.
        """
        columns = self._columns(names)
        found = self.rule.actions(self.factors, [cardinalities[k] for k in columns])
        return tuple(retarget(action, dict(enumerate(columns))) for action in found)

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists the rule's changes.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The changes; factors count all factors moved.
        """
        columns = self._columns(names)
        found = self.rule.changes(self.factors, [cardinalities[k] for k in columns])
        return [
            Change(action, tuple(move._replace(factor=columns[move.factor]) for move in moves))
            for action, moves in found
        ]

    def _columns(self, names: Sequence[str]) -> list[int]:
        for name in self.factors:
            if name not in names:
                msg = f"{name!r} is not one of the factors moved ({', '.join(names)})"
                raise UnknownSlotError(msg + did_you_mean(name, names))
        return [names.index(name) for name in self.factors]


@dataclass(frozen=True)
class SeveralRules:
    """The actions of several rules, side by side.

    Attributes:
        rules: The rules; no two of their actions share a name.
    """

    rules: tuple[PairRule, ...]

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists the actions of all rules.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Rule by rule.
        """
        return check_names(
            action for rule in self.rules for action in rule.actions(names, cardinalities)
        )

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists the changes of all rules.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            Rule by rule.
        """
        found: list[Change] = []
        first = 0
        for rule in self.rules:
            changes = rule.changes(names, cardinalities)
            found += [Change(first + action, moves) for action, moves in changes]
            first += len(rule.actions(names, cardinalities))
        return found


@dataclass(frozen=True)
class JointEdits:
    """One action for every choice of an action of each rule, all done at once.

    Choices that would move one factor twice are left out.

    Attributes:
        rules: At least two rules, best on different factors.

    Example:
        >>> from ctvae.data.pair_rules import StepBy
        >>> both = JointEdits((OnFactors(("x",), StepBy()), OnFactors(("y",), StepBy())))
        >>> [action.name for action in both.actions(["x", "y"], [3, 3])]
        ['x +1 & y +1', 'x +1 & y -1', 'x -1 & y +1', 'x -1 & y -1']
    """

    rules: tuple[PairRule, ...]

    def __post_init__(self) -> None:
        if len(self.rules) < 2:
            msg = f"a joint edit takes two rules or more, got {len(self.rules)}"
            raise DataError(msg)

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists the joint actions.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions of the first rule changing slowest.
        """
        return tuple(
            JointAction(" & ".join(part.name for part in chosen), _parts(chosen))
            for chosen in self._choices(names, cardinalities).values()
        )

    def changes(self, names: Sequence[str], cardinalities: Sequence[int]) -> list[Change]:
        """Lists every combination of changes.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The changes of the first rule changing slowest.
        """
        choices = {chosen: i for i, chosen in enumerate(self._choices(names, cardinalities))}
        each = [rule.changes(names, cardinalities) for rule in self.rules]
        found = []
        for changes in product(*each):
            number = choices.get(tuple(change.action for change in changes))
            if number is not None:
                moves = tuple(move for change in changes for move in change.moves)
                found.append(Change(number, tuple(sorted(moves))))
        return found

    def _choices(
        self, names: Sequence[str], cardinalities: Sequence[int]
    ) -> dict[tuple[int, ...], tuple[Action, ...]]:
        each = [list(enumerate(rule.actions(names, cardinalities))) for rule in self.rules]
        found = {}
        for chosen in product(*each):
            parts = tuple(action for _, action in chosen)
            targets = [slot for action in parts for slot in targets_of(action)]
            if len(targets) == len(set(targets)):
                found[tuple(number for number, _ in chosen)] = parts
        return found


def _parts(actions: Sequence[Action]) -> tuple[SlotAction, ...]:
    parts: list[SlotAction] = []
    for action in actions:
        if isinstance(action, JointAction):
            parts += action.parts
        elif not isinstance(action, NoAction | OpenAction):
            parts.append(action)
    return tuple(parts)
