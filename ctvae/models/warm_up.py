"""The continuous two-slice model that teaches the encoder its slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.errors import UnknownActionError
from ctvae.mechanisms.actions import (
    Action,
    PermuteAction,
    SetAction,
    ShiftAction,
    SlotAction,
    StochasticAction,
    part_on,
    targets_of,
)

__all__ = ["ActionMoves", "FreeMoves", "WarmUpLoss", "match_inverse_actions"]

SCALE_FLOOR = 0.08
"""Bounds the reward for copying exactly, in standard deviations of a slot."""
DISPLACEMENT_FLOOR = 0.02


class WarmUpLoss(NamedTuple):
    """What a batch of pairs scores.

    Attributes:
        total: What is minimised.
        cross_entropy: Of the exact action posterior, nats per pair.
        accuracy: Share of pairs whose most probable action is the true one.
    """

    total: Float[Tensor, ""]
    cross_entropy: Float[Tensor, ""]
    accuracy: Float[Tensor, ""]


class ActionMoves(nn.Module):
    r"""Gaussian kernels of actions on scalar slots.

    With :math:`h` before and :math:`h'` after, an action predicts in each slot t that it moves
    :math:`h_t + \delta_a` (shift) or :math:`\mu_a` (set), and a copy everywhere else:

    .. math::
        \mathrm{score}(a) = \sum_{t \in \mathrm{targets}(a)}
        \log N(h'_t; \mathrm{predicted}_{at}, \sigma_t)
        + \sum_{m \notin \mathrm{targets}(a)} \log N(h'_m; h_m, \sigma_m)

    After a random value, a slot is distributed as over all images: :math:`N(0, 1)`, since slots
    have unit variance. A no-op predicts copies alone.

    The posterior is the softmax over all actions (exact Bayes, uniform prior). The loss is its
    cross-entropy, minus a share of the mean score of the true action, minus a share of the mean
    log displacement: under unit variance the latter pushes out of a slot whatever varies between
    units but not within a pair, which the pair terms alone cannot see.

    Args:
        actions: The actions; the targets of every one are known.
        slots: The number of slots.

    Raises:
        UnknownActionError: When an action permutes values: one number on a line has no law for
            that.
    """

    action: Tensor
    target: Tensor
    keeps: Tensor
    draws: Tensor
    displacement: Tensor

    def __init__(self, actions: Sequence[Action], slots: int) -> None:
        super().__init__()
        parts = [
            (a, part)
            for a, action in enumerate(actions)
            for slot in targets_of(action)
            if (part := part_on(action, slot)) is not None
        ]
        for a, part in parts:
            if isinstance(part, PermuteAction):
                msg = (
                    f"the action {actions[a].name!r} permutes the values of a slot; that is "
                    "learned only from pairs that share images: say which rows of the pool recur, "
                    "or give such a factor set-to-value actions"
                )
                raise UnknownActionError(msg)
        shifts = [p.displacement if isinstance(p, ShiftAction) else 0 for _, p in parts]
        draws = [isinstance(part, StochasticAction) for _, part in parts]
        self.num_actions = len(actions)
        self.register_buffer("action", torch.tensor([a for a, _ in parts], dtype=torch.long))
        self.register_buffer("target", torch.tensor([p.target for _, p in parts], dtype=torch.long))
        self.register_buffer("displacement", torch.tensor(shifts, dtype=torch.float32))
        self.register_buffer("keeps", self.displacement.abs().clamp(max=1))
        self.register_buffer("draws", torch.tensor(draws, dtype=torch.bool))
        self.log_scale = nn.Parameter(torch.full((slots,), -1.0))
        self.offset = nn.Parameter(_start([part for _, part in parts]))

    def scores(
        self, before: Float[Tensor, "batch slots"], after: Float[Tensor, "batch slots"]
    ) -> Float[Tensor, "batch actions"]:
        """Gives the log-density of the slots after, under every action.

        Args:
            before: Slots before.
            after: Slots after.

        Returns:
            Nats, ``(batch, actions)``.
        """
        scale = SCALE_FLOOR + self.log_scale.exp()
        copy = log_normal(after - before, scale)
        ahead = after[:, self.target] - self.keeps * before[:, self.target] - self.offset
        moved = log_normal(ahead, scale[self.target])
        drawn = -0.5 * after[:, self.target].square()
        gain = torch.where(self.draws, drawn, moved) - copy[:, self.target]
        held = copy.sum(1, keepdim=True).expand(-1, self.num_actions)
        return held.index_add(1, self.action, gain)

    def forward(
        self,
        before: Float[Tensor, "batch slots"],
        action: Int[Tensor, " batch"],
        after: Float[Tensor, "batch slots"],
        *,
        likelihood_weight: float,
        displacement_weight: float,
    ) -> WarmUpLoss:
        """Scores a batch of pairs.

        Args:
            before: Slots before.
            action: True actions.
            after: Slots after.
            likelihood_weight: The weight of the mean score of the true action.
            displacement_weight: The weight of the mean log displacement of each slot.

        Returns:
            The loss and its parts.
        """
        scores = self.scores(before, after)
        loss = _posterior_loss(scores, action, likelihood_weight)
        # Mean signed displacement of each slot over the pairs that shift it, per step.
        mine = (action[:, None] == self.action) * self.keeps
        signed = (after - before)[:, self.target] * self.displacement.sign()
        per_step = mine * signed / self.displacement.abs().clamp(min=1)
        slots = before.new_zeros(before.shape[1])
        sums = slots.index_add(0, self.target, per_step.sum(0))
        shifts = slots.index_add(0, self.target, mine.sum(0))
        mean = (sums / shifts.clamp(min=1)).clamp(min=DISPLACEMENT_FLOOR)
        displacement = torch.where(shifts > 0, mean.log(), torch.zeros_like(mean)).sum()
        return loss._replace(total=loss.total - displacement_weight * displacement)

    def spacing(self) -> Float[Tensor, " slots"]:
        """Measures how far apart neighbouring values of each slot lie.

        Returns:
            The mean absolute shift per step of the actions that shift the slot, or the median gap
            between the values that its set actions lead to; 1 where there is neither.
        """
        offset, target, keeps = self.offset.detach(), self.target, self.keeps.bool()
        steps = offset.abs() / self.displacement.abs().clamp(min=1)
        sets = ~keeps & ~self.draws
        found = []
        for m in range(len(self.log_scale)):
            mine = target == m
            if bool((mine & keeps).any()):
                found.append(steps[mine & keeps].mean())
            elif int((mine & sets).sum()) > 1:
                found.append(offset[mine & sets].sort().values.diff().median())
            else:
                found.append(offset.new_ones(()))
        return torch.stack(found)


class FreeMoves(nn.Module):
    r"""Gaussian shifts of all slots by every action: the targets are not known yet.

    .. math:: \mathrm{score}(a) = \sum_m \log N(h'_m - h_m; \Delta_{am}, \sigma_m)

    Args:
        num_actions: The number of actions.
        slots: The number of scalars, more than there are targets.
        start: ``(actions, slots)`` standard normal numbers to start from.
    """

    def __init__(self, num_actions: int, slots: int, start: Float[Tensor, "actions slots"]) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.full((slots,), -1.0))
        self.offset = nn.Parameter(0.3 * start.reshape(num_actions, slots).clone())

    def forward(
        self,
        before: Float[Tensor, "batch slots"],
        action: Int[Tensor, " batch"],
        after: Float[Tensor, "batch slots"],
        *,
        likelihood_weight: float,
    ) -> WarmUpLoss:
        """Scores a batch of pairs.

        Args:
            before: Slots before.
            action: True actions.
            after: Slots after.
            likelihood_weight: The weight of the mean score of the true action.

        Returns:
            The loss and its parts.
        """
        scale = SCALE_FLOOR + self.log_scale.exp()
        difference = (after - before)[:, None] - self.offset
        return _posterior_loss(log_normal(difference, scale).sum(-1), action, likelihood_weight)

    def directions(self) -> Float[Tensor, "actions slots"]:
        """Gives each action's shift in units of the slots' scales.

        Returns:
            ``(actions, slots)``.
        """
        return (self.offset / (SCALE_FLOOR + self.log_scale.exp())).detach()


class Matching(NamedTuple):
    """Which actions are each other's inverse.

    Attributes:
        slot: For each action, the slot its pair was given.
        direction: For each action, +1 or -1; the two of a pair differ.
        cosines: ``(actions, actions)`` between the actions' shifts; -1 for perfect inverses.
    """

    slot: tuple[int, ...]
    direction: tuple[int, ...]
    cosines: Float[Tensor, "actions actions"]


def match_inverse_actions(directions: Float[Tensor, "actions slots"]) -> Matching:
    """Pairs up the actions whose shifts are opposite.

    The perfect matching with the smallest sum of cosines. Assumes that every slot has exactly two
    inverse actions; nothing in the data would tell otherwise.

    Args:
        directions: Each action's shift in units of the slots' scales.

    Returns:
        The pairs, numbered by their first action.

    Example:
        >>> v = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.1], [0.1, -1.0]])
        >>> match_inverse_actions(v).slot
        (0, 1, 0, 1)

    Source: minimum-weight perfect matching (Edmonds 1965). Cost: O(actions^3).
    """
    import networkx as nx

    unit = directions / directions.norm(dim=1, keepdim=True).clamp(min=1e-12)
    cosines = unit @ unit.T
    graph = nx.Graph()
    count = len(directions)
    for i in range(count):
        for j in range(i + 1, count):
            graph.add_edge(i, j, weight=float(cosines[i, j]))
    pairs = sorted(sorted(edge) for edge in nx.min_weight_matching(graph))
    slot, direction = [0] * count, [0] * count
    for number, (first, second) in enumerate(pairs):
        slot[first] = slot[second] = number
        direction[first], direction[second] = 1, -1
    return Matching(tuple(slot), tuple(direction), cosines)


def log_normal(difference: Tensor, scale: Tensor) -> Tensor:
    """Gives the log-density of centred normals, without the constant.

    Args:
        difference: The distance from the mean.
        scale: The standard deviation.

    Returns:
        Nats up to a constant.
    """
    return -0.5 * (difference / scale).square() - scale.log()


def _posterior_loss(scores: Tensor, action: Tensor, likelihood_weight: float) -> WarmUpLoss:
    cross_entropy = nn.functional.cross_entropy(scores, action)
    likelihood = scores.gather(1, action[:, None]).mean()
    accuracy = (scores.argmax(1) == action).float().mean()
    total = cross_entropy - likelihood_weight * likelihood
    return WarmUpLoss(total, cross_entropy.detach(), accuracy)


def _start(parts: Sequence[SlotAction]) -> Tensor:
    """Shifts start a little apart; the values of a slot are spread over its unit variance."""
    start = []
    for part in parts:
        if isinstance(part, ShiftAction):
            start.append(0.6 * part.displacement)
        elif isinstance(part, SetAction):
            peers = [p for p in parts if isinstance(p, SetAction) and p.target == part.target]
            values = torch.tensor([float(p.value) for p in peers])
            spread = values.std(correction=0).clamp(min=1.0)
            start.append(float((part.value - values.mean()) / spread))
        else:
            start.append(0.0)
    return torch.tensor(start, dtype=torch.float32)
