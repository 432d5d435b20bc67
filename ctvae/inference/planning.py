"""Planning: the shortest sequence of actions that leads from some codes to others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError, StateSpaceError
from ctvae.inference.targets import targeted_slots
from ctvae.mechanisms.actions import Action
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.slots import SlotSpace

__all__ = ["NO_ACTION", "Plan", "PlanStatus", "plan_actions"]

NO_ACTION = -1
"""Fills a plan behind its last action."""
MAX_STATES = 1024
"""Slots that actions move together are searched jointly over at most so many combinations."""
CHUNK_CELLS = 2**24
"""Paths are extended in chunks of at most so many numbers, to bound memory."""


class PlanStatus(Enum):
    """How the search for one goal ended; the text says what to do next."""

    FOUND = "the sequence is the shortest that goes as planned with at least the probability asked"
    UNREACHABLE = (
        "no sequence within max_length goes as planned with the probability asked: raise "
        "max_length, lower least_prob, or check with .log_prob how near the best one came"
    )

    @property
    def advice(self) -> str:
        """What the status means and what to do next."""
        return self.value


@dataclass(frozen=True)
class Plan:
    """The shortest action sequence to each goal.

    Attributes:
        sequence: ``(batch, steps)`` action indices, -1 behind the last action of a row and all
            along a row without a plan; ``steps`` is the length of the longest plan.
        length: ``(batch,)`` the number of actions; -1 where there is no plan.
        log_path: ``(batch,)`` nats: that every action of the sequence goes as planned; where there
            is no plan, of the most probable sequence within the lengths searched.
        log_prob: ``(batch,)`` nats: that the sequence ends at the goal, whatever lies between;
            ``-inf`` where there is no plan.
        actions: What the indices mean.
    """

    sequence: Int[Tensor, "batch steps"]
    length: Int[Tensor, " batch"]
    log_path: Float[Tensor, " batch"]
    log_prob: Float[Tensor, " batch"]
    actions: tuple[Action, ...]

    def __repr__(self) -> str:
        found = int(self.reachable.sum())
        return f"Plan({found} of {len(self.length)} goals reached, at most {self._steps} actions)"

    @property
    def _steps(self) -> int:
        return self.sequence.shape[1]

    @property
    def reachable(self) -> Bool[Tensor, " batch"]:
        """Which goals have a plan."""
        return self.length >= 0

    @property
    def status(self) -> tuple[PlanStatus, ...]:
        """How the search ended, goal by goal."""
        ends = (PlanStatus.UNREACHABLE, PlanStatus.FOUND)
        return tuple(ends[found] for found in self.reachable.tolist())

    def names(self, row: int) -> tuple[str, ...]:
        """Names the actions of one plan.

        Args:
            row: Which goal.

        Returns:
            The actions in order; none where there is no plan or nothing to do.
        """
        chosen = self.sequence[row].tolist()
        return tuple(self.actions[number].name for number in chosen if number != NO_ACTION)


def plan_actions(
    program: TransitionProgram,
    start: Int[Tensor, "batch slots"],
    goal: Int[Tensor, "batch slots"],
    *,
    max_length: int | None = None,
    least_prob: float = 0.5,
) -> Plan:
    r"""Finds the shortest sequence of actions from some codes to others, exactly.

    A path is a sequence of actions with the codes between them; its probability is

    .. math:: \prod_t \prod_{k \text{ targeted by } a_t} T_{a_t,k}(z^t_k \mid z^{t-1}_k)

    and slots that no action of the path targets hold: copying's leak is an error of reading and
    moves nothing. Of all paths from start to goal with n actions one is the most probable; the
    plan is that of the least n whose path has probability ``least_prob`` or more.

    The law is a product over slots, so the best path of n actions is found for every slot by
    max-times products of its kernels, and the actions are then shared out between the slots. Only
    slots that one action moves together are searched jointly. A plan is made once and ahead: it
    does not look at what its first actions did; plan again from there to react.

    Args:
        program: The law of transitions.
        start: Codes ``(batch, slots)``.
        goal: The same for the codes wanted.
        max_length: The most actions in a plan; ``None`` for the number of codes beyond the first,
            summed over slots, which is enough where every action has one target and is certain.
        least_prob: In (0, 1]: how probable the path of a plan must be.

    Returns:
        The plans; a goal that is out of reach is a row with length -1.

    Raises:
        ShapeError: When start and goal differ in shape, or the length is below 0.
        DataError: When ``least_prob`` is no probability above 0.
        StateSpaceError: When slots that are moved together have too many combinations.

    Example:
        >>> from ctvae.mechanisms.actions import ShiftAction
        >>> turn = torch.roll(torch.eye(5), 1, 1)  # a circle of five codes
        >>> law = TransitionProgram(
        ...     torch.stack([turn, turn.T])[:, None],
        ...     [5],
        ...     [ShiftAction("on", 0, 1), ShiftAction("back", 0, -1)],
        ... )
        >>> plan_actions(law, torch.tensor([[0], [0]]), torch.tensor([[2], [4]])).sequence.tolist()
        [[0, 0], [1, -1]]

    Source: Viterbi (1967) for the most probable path. Cost: O(length * codes^3) for a slot, once,
    and O(slots * length^2) for a pair; ``codes`` counts combinations where slots move together.
    """
    space = SlotSpace.from_cardinalities(program.cardinalities)
    start, goal = space.check_codes(start), space.check_codes(goal)
    if start.shape != goal.shape:
        msg = f"start {tuple(start.shape)} and goal {tuple(goal.shape)} must match"
        raise ShapeError(msg)
    longest = sum(program.cardinalities) - len(space) if max_length is None else max_length
    if longest < 0:
        msg = f"a plan has 0 actions or more, got max_length={max_length}"
        raise ShapeError(msg)
    if not 0 < least_prob <= 1:
        msg = f"least_prob is a probability above 0, got {least_prob}"
        raise DataError(msg)
    own = targeted_slots(program)
    parts = [_Part.search(program, own, slots, longest) for slots in _moved_together(own)]
    ends = [(part.state(start), part.state(goal)) for part in parts]
    values = [part.best[:, s, g].T for part, (s, g) in zip(parts, ends, strict=True)]
    totals = [torch.zeros(len(start), longest + 1, device=start.device).double()]
    totals[0][:, 1:] = -torch.inf
    shares = []
    for value in values:
        total, share = _share_out(totals[-1], value)
        totals.append(total)
        shares.append(share)
    # Rounding must not lengthen a plan whose path has exactly the probability asked.
    enough = totals[-1] >= math.log(least_prob) - 1e-9
    reached = enough.any(1)
    length = enough.int().argmax(1)  # the first; 0 where there is none, which is then masked
    log_path = torch.where(reached, totals[-1].gather(1, length[:, None])[:, 0], totals[-1].amax(1))
    rest, pieces, kept = length, [], torch.zeros_like(log_path)
    for part, (s, g), share in reversed(list(zip(parts, ends, shares, strict=True))):
        here = share.gather(1, rest[:, None])[:, 0]
        piece, log_prob = part.trace(s, g, here)
        pieces.append(piece)
        kept, rest = kept + log_prob, rest - here
    sequence = _joined(pieces[::-1], reached)
    return Plan(
        sequence,
        torch.where(reached, length, torch.full_like(length, -1)),
        log_path,
        torch.where(reached, kept, torch.full_like(kept, -torch.inf)),
        program.actions,
    )


def _moved_together(own: Bool[Tensor, "actions slots"]) -> list[list[int]]:
    """Groups the slots that actions with several targets join; a slot alone is a group."""
    groups: list[set[int]] = [{k} for k in range(own.shape[1])]
    for row in own.cpu():
        hit = set(row.nonzero()[:, 0].tolist())
        joined = [group for group in groups if group & hit]
        groups = [group for group in groups if not group & hit]
        groups += [set().union(*joined)] if joined else []
    return sorted(sorted(group) for group in groups)


class _Part(NamedTuple):
    """The best paths of every length inside one group of slots.

    Attributes:
        slots: The slots of the group.
        sizes: Their numbers of codes.
        numbers: The actions that move the group.
        kernels: ``(actions, states, states)`` probabilities.
        best: ``(length + 1, states, states)`` nats of the best path.
        last: ``(length + 1, states, states)`` the state before its last action.
        by: ``(states, states)`` the most probable action of one step, among the group's.
    """

    slots: list[int]
    sizes: list[int]
    numbers: Int[Tensor, " group"]
    kernels: Float[Tensor, "group states states"]
    best: Float[Tensor, "lengths states states"]
    last: Int[Tensor, "lengths states states"]
    by: Int[Tensor, "states states"]

    @classmethod
    def search(
        cls, program: TransitionProgram, own: Tensor, slots: list[int], longest: int
    ) -> _Part:
        """Extends the best paths action by action."""
        sizes = [program.cardinalities[k] for k in slots]
        states = math.prod(sizes)
        if states > MAX_STATES:
            msg = (
                f"slots {slots} are moved together and have {states} combinations, more than "
                f"{MAX_STATES}: plan over fewer codes, or give actions fewer targets"
            )
            raise StateSpaceError(msg, entries=states**2)
        numbers = own[:, slots].any(1).nonzero()[:, 0]
        kernels = _joint_kernels(program, own, slots, sizes, numbers)
        apart = torch.full((states, states), -torch.inf, device=kernels.device).double()
        here = apart.clone().fill_diagonal_(0.0)
        if len(numbers):
            step, by = kernels.log().max(0)
        else:
            step, by = apart, torch.zeros_like(apart, dtype=torch.long)
        best, last = [here], [torch.zeros_like(by)]
        rows = max(1, CHUNK_CELLS // states**2)
        for _ in range(longest):
            through = [(part[:, :, None] + step).max(1) for part in best[-1].split(rows)]
            best.append(torch.cat([found.values for found in through]))
            last.append(torch.cat([found.indices for found in through]))
        return cls(slots, sizes, numbers, kernels, torch.stack(best), torch.stack(last), by)

    def state(self, codes: Int[Tensor, "batch slots"]) -> Int[Tensor, " batch"]:
        """Numbers the combinations of codes."""
        number = torch.zeros(len(codes), dtype=torch.long, device=codes.device)
        for slot, size in zip(self.slots, self.sizes, strict=True):
            number = number * size + codes[:, slot]
        return number

    def trace(self, start: Tensor, goal: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Gives the actions of the best paths, and how probably they end at the goal, in nats."""
        steps = int(length.max()) if len(length) else 0
        sequence = torch.full((len(start), steps), NO_ACTION, device=start.device)
        at = goal
        for t in range(steps, 0, -1):
            active = length >= t
            before = torch.where(active, self.last[t, start, at], at)
            sequence[:, t - 1] = torch.where(active, self.by[before, at], NO_ACTION)
            at = before
        arrived = torch.nn.functional.one_hot(start, self.best.shape[1]).double()
        for t in range(steps):
            active = length > t
            chosen = sequence[:, t].clamp(min=0)
            every = torch.einsum("bs,ast->bat", arrived, self.kernels)
            moved = every.gather(1, chosen[:, None, None].expand(-1, 1, every.shape[2]))[:, 0]
            arrived = torch.where(active[:, None], moved, arrived)
        named = torch.where(sequence >= 0, self.numbers[sequence.clamp(min=0)], sequence)
        return named if steps else sequence, arrived.gather(1, goal[:, None])[:, 0].log()


def _joint_kernels(
    program: TransitionProgram, own: Tensor, slots: list[int], sizes: list[int], numbers: Tensor
) -> Float[Tensor, "group states states"]:
    """The kernels of a group's actions over its combinations of codes; other slots hold."""
    joint = torch.ones(len(numbers), 1, 1, device=own.device).double()
    for slot, size in zip(slots, sizes, strict=True):
        moves = program.kernels[numbers, slot, :size, :size]
        stays = torch.eye(size, device=own.device).double()
        each = torch.where(own[numbers, slot, None, None], moves, stays)
        joint = torch.einsum("aij,akl->aikjl", joint, each)
        joint = joint.flatten(3, 4).flatten(1, 2)
    return joint


def _share_out(total: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Shares n actions between what came before and one group; also the group's share."""
    lengths = total.shape[1]
    best = total + value[:, :1]
    share = torch.zeros_like(total, dtype=torch.long)
    for mine in range(1, lengths):  # of n actions, ``mine`` go to the group
        tried = total[:, : lengths - mine] + value[:, mine, None]
        better = tried > best[:, mine:]
        best[:, mine:] = torch.where(better, tried, best[:, mine:])
        share[:, mine:] = torch.where(better, mine, share[:, mine:])
    return best, share


def _joined(pieces: list[Tensor], reached: Tensor) -> Int[Tensor, "batch steps"]:
    """Puts the groups' actions one after another and moves the filling to the end."""
    sequence = torch.cat(pieces, 1)
    sequence = torch.where(reached[:, None], sequence, NO_ACTION)
    order = (sequence == NO_ACTION).int().argsort(dim=1, stable=True)
    steps = int((sequence != NO_ACTION).sum(1).max()) if len(sequence) else 0
    return sequence.gather(1, order)[:, :steps]
