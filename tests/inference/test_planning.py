"""Plans are the shortest: against enumeration, and in worlds whose distances are known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ctvae.errors import CodeError, DataError, ShapeError, StateSpaceError
from ctvae.inference.actions import action_posterior
from ctvae.inference.planning import NO_ACTION, PlanStatus, plan_actions
from ctvae.inference.targets import targeted_slots
from ctvae.mechanisms.actions import ShiftAction
from ctvae.mechanisms.transition import TransitionProgram

Targets = int | tuple[int, ...]


@dataclass(frozen=True)
class Move:
    """An action that may move several slots."""

    name: str
    target: Targets

    @property
    def targets(self) -> tuple[int, ...]:
        """All the slots it moves."""
        return self.target if isinstance(self.target, tuple) else (self.target,)


def make_law(
    sizes: Sequence[int], targets: Sequence[Targets], seed: int, *, power: float = 6.0
) -> TransitionProgram:
    """Random kernels, near certain with a high power; copying leaks."""
    generator = torch.Generator().manual_seed(seed)
    codes = max(sizes)
    kernels = torch.zeros(len(targets), len(sizes), codes, codes).double()
    for k, size in enumerate(sizes):
        kernels[:, k, :size, :size] = 0.9 * torch.eye(size).double() + 0.1 / size
        for a, target in enumerate(targets):
            if k in (target if isinstance(target, tuple) else (target,)):
                own = torch.rand(size, size, generator=generator).double() ** power
                kernels[a, k, :size, :size] = own / own.sum(1, keepdim=True)
    actions = [Move(f"a{a}", target) for a, target in enumerate(targets)]
    return TransitionProgram(kernels, sizes, actions)  # type: ignore[arg-type]  # wider targets


def joint_kernels(law: TransitionProgram) -> Tensor:
    """Every action over all combinations of codes, entry by entry; other slots hold."""
    own, cells = targeted_slots(law), list(itertools.product(*map(range, law.cardinalities)))
    joint = torch.ones(len(law.actions), len(cells), len(cells)).double()
    for a, (i, z), (j, w) in itertools.product(
        range(len(law.actions)), enumerate(cells), enumerate(cells)
    ):
        for k, (u, v) in enumerate(zip(z, w, strict=True)):
            joint[a, i, j] *= law.kernels[a, k, u, v] if own[a, k] else float(u == v)
    return joint


def best_paths(joint: Tensor, sequence: Sequence[int]) -> Tensor:
    """The most probable path of a sequence between all combinations."""
    best = torch.eye(joint.shape[1]).double()
    for a in sequence:
        best = (best[:, :, None] * joint[a]).amax(1)
    return best


def arrival(law: TransitionProgram, sequence: Sequence[int], z: Tensor, w: Tensor) -> float:
    """The probability that a sequence ends at codes, slot by slot."""
    own, value = targeted_slots(law), 1.0
    for k in range(len(z)):
        row = torch.eye(max(law.cardinalities)).double()[z[k]]
        for a in sequence:
            row = row @ law.kernels[a, k] if own[a, k] else row
        value *= float(row[w[k]])
    return value


@pytest.mark.parametrize(
    ("sizes", "targets"),
    [
        ((3,), (0, 0, 0)),
        ((3, 2), (0, 1, 1)),
        ((2, 2, 2), (0, (1, 2), 2)),
        ((2, 3), ((0, 1), 0)),
    ],
)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_plans_equal_enumeration(
    sizes: tuple[int, ...], targets: tuple[Targets, ...], seed: int, device: torch.device
) -> None:
    law = make_law(sizes, targets, seed)
    cells = torch.cartesian_prod(*map(torch.arange, sizes)).reshape(-1, len(sizes))
    pairs = [(z, w) for z in cells for w in cells]
    starts, goals = (torch.stack(column) for column in zip(*pairs, strict=True))
    plan = plan_actions(
        law.to(device), starts.to(device), goals.to(device), max_length=3, least_prob=0.4
    )
    joint, count = joint_kernels(law), len(cells)
    every = torch.stack([
        torch.stack([
            best_paths(joint, s) for s in itertools.product(range(len(targets)), repeat=n)
        ]).amax(0)
        for n in range(4)
    ])
    for row, (z, w) in enumerate(pairs):
        best = every[:, row // count, row % count].tolist()
        enough = [n for n in range(4) if best[n] >= 0.4]
        assert int(plan.length[row]) == (enough[0] if enough else -1)
        expected = best[enough[0]] if enough else max(best)
        assert float(plan.log_path[row].exp()) == pytest.approx(expected, rel=1e-9)
        sequence = [a for a in plan.sequence[row].tolist() if a != NO_ACTION]
        assert len(sequence) == max(int(plan.length[row]), 0)
        if enough:
            mine = best_paths(joint, sequence)[row // count, row % count]
            assert float(mine) == pytest.approx(expected, rel=1e-9)
            ends = arrival(law, sequence, z, w)
            assert float(plan.log_prob[row].exp()) == pytest.approx(ends, rel=1e-9)


def circles_and_lines(sizes: Sequence[int]) -> TransitionProgram:
    """Even slots are circles, odd ones lines; +1 and -1 on each, certain, staying at ends."""
    kernels = torch.eye(max(sizes)).double().repeat(2 * len(sizes), len(sizes), 1, 1)
    actions = []
    for k, size in enumerate(sizes):
        for sign, step in enumerate((1, -1)):
            there = torch.arange(size) + step
            there = there % size if k % 2 == 0 else there.clamp(0, size - 1)
            kernels[2 * k + sign, k, :size, :size] = torch.eye(size).double()[there]
            actions.append(ShiftAction(f"{k}{step:+d}", k, step))
        kernels[:, k, size:] = 0
    return TransitionProgram(kernels, sizes, actions)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31), st.lists(st.integers(3, 8), min_size=1, max_size=4))
def test_steps_on_circles_and_lines_have_known_distances(seed: int, sizes: list[int]) -> None:
    law, generator = circles_and_lines(sizes), torch.Generator().manual_seed(seed)
    start, goal = (
        torch.stack([torch.randint(size, (20,), generator=generator) for size in sizes], 1)
        for _ in range(2)
    )
    plan = plan_actions(law, start, goal)
    gap = (goal - start).abs()
    around = torch.tensor(sizes) - gap
    even = torch.arange(len(sizes)) % 2 == 0
    assert torch.equal(plan.length, torch.where(even, torch.minimum(gap, around), gap).sum(1))
    assert bool((plan.log_prob == 0).all())
    for row in range(20):  # a plan, carried out, ends at its goal
        assert arrival(law, [a for a in plan.sequence[row] if a >= 0], start[row], goal[row]) == 1


def test_the_filling_lies_behind_the_actions() -> None:
    law = circles_and_lines((5, 5))
    start, goal = torch.tensor([[0, 0], [0, 0]]), torch.tensor([[2, 1], [0, 0]])
    plan = plan_actions(law, start, goal)
    assert plan.sequence.tolist() == [[0, 0, 2], [NO_ACTION] * 3]
    assert plan.names(0) == ("0+1", "0+1", "1+1")
    assert plan.length.tolist() == [3, 0]
    assert plan.names(1) == ()


def test_a_goal_out_of_reach_is_a_status() -> None:
    law = circles_and_lines((5, 5))
    start, goal = torch.tensor([[0, 0], [0, 0]]), torch.tensor([[2, 2], [1, 0]])
    plan = plan_actions(law, start, goal, max_length=3)
    assert plan.status == (PlanStatus.UNREACHABLE, PlanStatus.FOUND)
    assert plan.reachable.tolist() == [False, True]
    assert plan.length.tolist() == [-1, 1]
    assert plan.log_prob.tolist() == [-math.inf, 0]
    assert "max_length" in plan.status[0].advice
    assert repr(plan) == "Plan(1 of 2 goals reached, at most 1 actions)"


def test_the_sequence_of_a_plan_is_among_the_best_of_the_posterior() -> None:
    law = circles_and_lines((4, 3))
    noisy = TransitionProgram(0.97 * law.kernels + 0.03 * _even(law), (4, 3), law.actions)
    generator = torch.Generator().manual_seed(0)
    start, goal = (
        torch.stack([torch.randint(k, (40,), generator=generator) for k in (4, 3)], 1)
        for _ in range(2)
    )
    plan = plan_actions(noisy, start, goal)
    for length in (1, 2, 3):
        rows = plan.length == length
        posterior = action_posterior(noisy, start[rows], goal[rows], length=length)
        found = posterior.log_prob(plan.sequence[rows][:, :length])
        assert torch.allclose(found, posterior.probs.amax(1).log())


def _even(law: TransitionProgram) -> Tensor:
    real = torch.arange(max(law.cardinalities)) < torch.tensor(law.cardinalities)[:, None]
    cells = (real[:, :, None] & real[:, None, :]).double()
    return cells / cells.sum(-1, keepdim=True).clamp(min=1)


def test_a_higher_probability_asked_never_shortens_a_plan() -> None:
    law = make_law((4, 3), (0, 0, 1, 1), 3, power=8.0)
    cells = torch.cartesian_prod(torch.arange(4), torch.arange(3))
    start, goal = cells.repeat_interleave(12, 0), cells.repeat(12, 1)
    lengths = [
        plan_actions(law, start, goal, max_length=6, least_prob=p).length.float()
        for p in (0.05, 0.3, 0.6, 0.9)
    ]
    for easy, hard in itertools.pairwise([t.masked_fill(t < 0, torch.inf) for t in lengths]):
        assert bool((easy <= hard).all())


BAD: list[tuple[str, Callable[[TransitionProgram], object], type[Exception], str]] = [
    (
        "shapes",
        lambda law: plan_actions(law, torch.zeros(2, 2).long(), torch.zeros(3, 2).long()),
        ShapeError,
        r"start \(2, 2\) and goal \(3, 2\) must match",
    ),
    (
        "codes",
        lambda law: plan_actions(law, torch.zeros(1, 2).long(), torch.full((1, 2), 7)),
        CodeError,
        "7",
    ),
    (
        "length",
        lambda law: plan_actions(law, *[torch.zeros(1, 2).long()] * 2, max_length=-1),
        ShapeError,
        "max_length=-1",
    ),
    (
        "probability",
        lambda law: plan_actions(law, *[torch.zeros(1, 2).long()] * 2, least_prob=0.0),
        DataError,
        "least_prob is a probability above 0, got 0.0",
    ),
    (
        "too many combinations",
        lambda _: plan_actions(
            make_law((40, 40), ((0, 1), 0), 0), *[torch.zeros(1, 2).long()] * 2, max_length=1
        ),
        StateSpaceError,
        r"slots \[0, 1\] are moved together and have 1600 combinations",
    ),
]


@pytest.mark.parametrize(("call", "error", "says"), [case[1:] for case in BAD])
def test_bad_input_is_refused(
    call: Callable[[TransitionProgram], object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        call(circles_and_lines((5, 5)))
