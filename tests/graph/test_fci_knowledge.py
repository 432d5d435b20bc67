"""FCI where something is known: no mark says more than the knowledge and hidden causes allow."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from ctvae.graph import FCI, CausalGraph, Knowledge, classical, learn_graph
from ctvae.graph.separation import separated
from ctvae.graph.table_tests import IndependenceResults
from ctvae.randomness import Seed
from ctvae.slots import Slot
from tests.graph.oracles import random_dag


@dataclass(frozen=True)
class TrueSeparation:
    """Tests that are never wrong: they read the true graph, some of whose nodes are hidden."""

    truth: CausalGraph
    seen: tuple[str, ...]

    def bind(
        self, codes: Tensor, *, weights: Tensor | None = None, seed: Seed = 0
    ) -> _BoundSeparation:
        return _BoundSeparation(self.truth, self.seen)


@dataclass(frozen=True)
class _BoundSeparation:
    truth: CausalGraph
    seen: tuple[str, ...]

    def __call__(self, x: Tensor, y: Tensor, given: Tensor) -> IndependenceResults:
        name = self.seen
        lines = zip(x.tolist(), y.tolist(), given.tolist(), strict=True)
        p_value = torch.tensor(
            [
                float(separated(self.truth, [name[a]], [name[b]], [name[k] for k in rest]))
                for a, b, rest in lines
            ],
            dtype=torch.float64,
        )
        return IndependenceResults(p_value, torch.ones_like(p_value), p_value, p_value + torch.inf)


def check_marks_are_true(found: CausalGraph, truth: CausalGraph) -> None:
    for a in found.nodes:
        for b in found.nodes:
            mark = found.mark(a, b) if a != b else "none"
            if mark.endswith(">"):
                assert b not in truth.ancestors(a), f"{a} {mark} {b}"
            if mark.endswith("->") and mark[0] == "-":
                assert a in truth.ancestors(b), f"{a} {mark} {b}"


def world(seed: int) -> tuple[CausalGraph, FCI, list[Slot]]:
    rng = np.random.default_rng(seed)
    names = [f"n{k}" for k in range(8)]
    truth = CausalGraph.from_numpy(random_dag(8, 11, rng), names)
    seen = tuple(names[k] for k in sorted(rng.choice(8, 6, replace=False)))
    return truth, FCI(test=TrueSeparation(truth, seen)), [Slot(name, 2) for name in seen]


@pytest.mark.parametrize("seed", range(6))
def test_every_mark_is_true_whatever_is_known(seed):
    truth, method, slots = world(seed)
    rows = torch.zeros(4, len(slots), dtype=torch.long)
    seen = [slot.name for slot in slots]
    order = [name for name in truth.topological_order() if name in seen]
    whole = learn_graph(rows, slots, method=method).graph
    rules = [
        Knowledge(),
        Knowledge(tiers=[[name] for name in order]),
        Knowledge(tiers=[order[:3], order[3:]]),
        Knowledge(forbidden=[(order[-1], name) for name in order[:-1]]),
        Knowledge(required=sorted(e for e in truth.directed if set(e) <= set(seen))[:2]),
        Knowledge(forbidden=[p for p in pairwise(seen) if not whole.adjacent(*p)]),
        Knowledge(
            forbidden=[(a, b) for a in seen for b in seen if a != b and not whole.adjacent(a, b)]
        ),
    ]
    for known in rules:
        found = learn_graph(rows, slots, method=method, knowledge=known).graph
        check_marks_are_true(found, truth)
        assert found.skeleton == whole.skeleton
        assert known.allows(found)


def test_a_known_order_does_not_rule_out_a_hidden_cause():
    gen = torch.Generator().manual_seed(0)

    def noise(share: float) -> Tensor:
        return (torch.rand(20000, generator=gen) < share).long()

    hidden = noise(0.5)
    x, y = (hidden + noise(0.15)) % 2, (hidden + noise(0.15)) % 2
    z = (x + noise(0.2)) % 2
    rows, slots = torch.stack([x, y, z], 1), [Slot(name, 2) for name in "xyz"]
    order = Knowledge(tiers=[["x"], ["y"], ["z"]])
    found = learn_graph(rows, slots, method=FCI(), knowledge=order).graph
    assert found == CausalGraph.from_edges(circle_arrow=[("x", "y"), ("x", "z")])
    apart = Knowledge(forbidden=[("y", "z"), ("z", "y")])  # x is no collider for that
    found = learn_graph(rows, slots, method=FCI(), knowledge=apart).graph
    assert found == CausalGraph.from_edges(circle_circle=[("x", "y"), ("x", "z")])
    known = Knowledge(required=[("x", "z")])
    found = learn_graph(rows, slots, method=FCI(), knowledge=known).graph
    assert found == CausalGraph.from_edges([("x", "z")], circle_circle=[("x", "y")])


def test_the_time_to_load_causal_learn_is_no_part_of_the_search(monkeypatch):
    load = classical._load_causallearn
    done: list[bool] = []

    def slowly() -> object:
        until = time.process_time() + 0.3 * (not done)
        while time.process_time() < until:
            done.append(True)
        return load()

    monkeypatch.setattr(classical, "_load_causallearn", slowly)
    result = learn_graph(torch.arange(40).reshape(20, 2) % 2, method=FCI())
    assert done
    assert result.cpu_seconds < 0.3
