"""Hundreds of slots: nothing underflows, by a recursion in log space that is written out here."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ctvae.graph.causal_graph import CausalGraph
from ctvae.inference.derivatives import expected_counts
from ctvae.mechanisms import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot

NUM_SLOTS = 400
RARE = 1e-30
RELATIVE = {torch.float64: 1e-10, torch.float32: 2e-5}
"""Of log-evidence; in float32 about a rounding for each of the 400 factors that are summed."""
ABSOLUTE = {torch.float64: 1e-10, torch.float32: 2e-4}
"""Of posterior probabilities."""


class Tree(NamedTuple):
    """A model in which every slot has one parent or none."""

    scm: SCM
    parents: list[int | None]
    leaves: list[int]


def grow(parents: list[int | None], sizes: list[int], dtype: torch.dtype, *, rare: bool) -> Tree:
    """Random tables; with ``rare`` the last code of every slot has the probability 1e-30."""
    names = [f"s{k}" for k in range(len(parents))]
    laws = {}
    for k, (name, parent) in enumerate(zip(names, parents, strict=True)):
        given = [] if parent is None else [sizes[parent]]
        table = TableMechanism.random(sizes[k], given, concentration=1.0, seed=k).table().clone()
        if rare:
            table[..., -1] = RARE
            table[..., :-1] /= table[..., :-1].sum(-1, keepdim=True)
        laws[name] = TableMechanism(table.to(dtype))
    edges = [(names[p], names[k]) for k, p in enumerate(parents) if p is not None]
    slots = [Slot(name, size) for name, size in zip(names, sizes, strict=True)]
    scm = SCM(CausalGraph.from_edges(edges, nodes=names), slots, laws)
    inner = {p for p in parents if p is not None}
    return Tree(scm, parents, [k for k in range(len(parents)) if k not in inner])


def chain(dtype: torch.dtype, *, rare: bool) -> Tree:
    """Its one leaf is seen, and every other slot."""
    parents = [None, *range(NUM_SLOTS - 1)]
    tree = grow(parents, [3, 2] * (NUM_SLOTS // 2), dtype, rare=rare)
    return tree._replace(leaves=list(range(1, NUM_SLOTS, 2)))


def binary(dtype: torch.dtype, *, rare: bool) -> Tree:
    """Every slot has two children."""
    parents = [None, *((k - 1) // 2 for k in range(1, NUM_SLOTS))]
    return grow(parents, [2 + k % 3 for k in range(NUM_SLOTS)], dtype, rare=rare)


def hidden_markov(dtype: torch.dtype, *, rare: bool) -> Tree:
    """Two hundred hidden slots and what is seen of each."""
    half = NUM_SLOTS // 2
    parents = [None, *range(half - 1), *range(half)]
    return grow(parents, [3] * half + [4] * half, dtype, rare=rare)


def star(dtype: torch.dtype, *, rare: bool) -> Tree:
    """One cause of all others."""
    parents = [None, *itertools.repeat(0, NUM_SLOTS - 1)]
    return grow(parents, [2] + [3] * (NUM_SLOTS - 1), dtype, rare=rare)


def recursion(tree: Tree, seen: dict[int, int]) -> tuple[Tensor, list[Tensor]]:
    """Log-evidence and the posterior of every slot: messages up, then down, all in float64 logs."""
    logs = [tree.scm.mechanisms[n].table().double().cpu().log() for n in tree.scm.slots.names]
    count = len(logs)
    inward = [torch.zeros(log.shape[-1], dtype=torch.float64) for log in logs]
    for k, code in seen.items():
        inward[k] = torch.full_like(inward[k], -torch.inf)
        inward[k][code] = 0
    message: list[Tensor] = [torch.empty(0)] * count
    below = [one.clone() for one in inward]
    for k in reversed(range(count)):  # a parent comes before its children
        message[k] = (logs[k] + below[k]).logsumexp(-1)
        parent = tree.parents[k]
        if parent is not None:
            below[parent] = below[parent] + message[k]
    above: list[Tensor] = [torch.empty(0)] * count
    posterior = []
    for k in range(count):
        parent = tree.parents[k]
        if parent is None:
            above[k] = logs[k]
        else:
            siblings = [message[j] for j in range(count) if tree.parents[j] == parent and j != k]
            others = inward[parent] + above[parent]
            others = torch.stack([others, *siblings]).sum(0)
            above[k] = (others[:, None] + logs[k]).logsumexp(0)
        posterior.append((above[k] + below[k]).softmax(-1))
    return message[0], posterior


def evidence(tree: Tree, *, rare: bool) -> dict[int, int]:
    """A code of every leaf: a drawn one, and every third one rare."""
    row = tree.scm.sample(1, seed=0)[0].tolist()
    sizes = tree.scm.slots.cardinalities
    return {k: sizes[k] - 1 if rare and n % 3 == 0 else row[k] for n, k in enumerate(tree.leaves)}


SHAPES = {"chain": chain, "tree": binary, "hidden Markov": hidden_markov, "star": star}
every = pytest.mark.parametrize("rare", [False, True], ids=["common", "rare"])
kinds = pytest.mark.parametrize("dtype", RELATIVE, ids=["double", "single"])


@every
@kinds
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
class TestFourHundredSlots:
    def test_log_evidence_and_posteriors_are_those_of_the_recursion(
        self, shape, dtype, rare, device
    ):
        tree = shape(dtype, rare=rare)
        scm = tree.scm.to(device)
        seen = evidence(tree, rare=rare)
        given = {scm.slots.names[k]: code for k, code in seen.items()}
        total, posterior = recursion(tree, seen)
        got = scm.log_evidence(given)
        assert got.dtype == dtype
        assert float(total) < -100
        torch.testing.assert_close(got.cpu().double(), total, rtol=RELATIVE[dtype], atol=0)
        hidden = [k for k in range(NUM_SLOTS) if k not in seen]
        for k in {hidden[0], hidden[len(hidden) // 2], hidden[-1]}:
            answer = scm.query(scm.slots.names[k], given)
            assert answer.dtype == dtype
            expected = posterior[k]
            torch.testing.assert_close(
                answer.cpu().double(), expected, rtol=RELATIVE[dtype], atol=ABSOLUTE[dtype]
            )

    def test_draws_given_the_evidence_keep_it_and_follow_the_posterior(
        self, shape, dtype, rare, device
    ):
        """The shares of codes, 5.5 standard errors: by Bernstein, false alarms below 1e-6 each."""
        tree = shape(dtype, rare=rare)
        seen = evidence(tree, rare=rare)
        names, draws = tree.scm.slots.names, 2000
        given = {names[k]: code for k, code in seen.items()}
        rows = tree.scm.to(device).sample(draws, given=given, seed=0).cpu()
        for k, code in seen.items():
            assert bool((rows[:, k] == code).all())
        hidden = next(k for k in range(NUM_SLOTS) if k not in seen)
        expected = recursion(tree, seen)[1][hidden]
        shares = torch.bincount(rows[:, hidden], minlength=len(expected)).double() / draws
        spread = 5.5 * (expected * (1 - expected) / draws).sqrt() + 12 / draws
        assert bool(((shares - expected).abs() < spread).all())

    def test_gradients_are_finite_and_count_one_code_for_each_slot(
        self, shape, dtype, rare, device
    ):
        """Of each slot exactly one cell of its table is taken, whatever is not known."""
        tree = shape(dtype, rare=rare)
        scm = tree.scm.to(device)
        seen = evidence(tree, rare=rare)
        given = {k: torch.tensor([code], device=device) for k, code in seen.items()}
        counts, logs = expected_counts(scm.program, given, torch.ones(1, device=device))
        assert bool(torch.isfinite(logs).all())
        for count in counts:
            assert bool(torch.isfinite(count).all())
            assert float(count.sum()) == pytest.approx(1, abs=ABSOLUTE[dtype])


@kinds
@pytest.mark.parametrize("shape", ["star", "hidden Markov"])
@pytest.mark.parametrize(("first", "second"), [(40, 40), (40, 39), (5, 6)], ids=str)
def test_evidence_that_contradicts_itself_by_a_thousand_orders(shape, dtype, first, second, device):
    """Some leaves exclude one code of their causes but for 1e-30, as many others the other code."""
    leaves = first + second
    law = TableMechanism(torch.tensor([[1, RARE], [RARE, 1]], dtype=dtype))
    start = TableMechanism(torch.tensor([0.25, 0.75], dtype=dtype))
    names = [f"x{k}" for k in range(leaves)]
    if shape == "star":
        causes, edges = ["c0"], [("c0", name) for name in names]
    else:  # hidden slots that hardly ever change
        causes = [f"c{k}" for k in range(leaves)]
        edges = [*itertools.pairwise(causes), *zip(causes, names, strict=True)]
    graph = CausalGraph.from_edges(edges, nodes=[*causes, *names])
    laws = dict.fromkeys([*causes, *names], law) | {"c0": start}
    scm = SCM(graph, [Slot(name, 2) for name in graph.nodes], laws)
    order = {name: k for k, name in enumerate(graph.nodes)}
    into = {b: order[a] for a, b in edges}
    tree = Tree(scm, [into.get(name) for name in graph.nodes], [order[name] for name in names])
    seen = {order[name]: int(k >= first) for k, name in enumerate(names)}
    given = {graph.nodes[k]: code for k, code in seen.items()}
    total, posterior = recursion(tree, seen)
    scm = scm.to(device)
    got = scm.log_evidence(given).cpu().double()
    torch.testing.assert_close(got, total, rtol=RELATIVE[dtype], atol=1e-6)
    changes = scm.effect("c0", of=names[0], given={n: given[n] for n in names[1:]})
    without = tree._replace(leaves=tree.leaves[1:])
    rest = {k: code for k, code in seen.items() if k != order[names[0]]}
    expected = recursion(without, rest)[1][0].expand(2, 2)
    torch.testing.assert_close(changes.cpu().double(), expected, rtol=0, atol=1e-3)
    if shape == "star":  # one query for each slot and code
        together = scm.effects_on("c0", given={n: given[n] for n in names[1:]})
        torch.testing.assert_close(together[names[0]], changes, rtol=0, atol=0)
    for name in (causes[0], causes[-1]):
        answer = scm.query(name, given).cpu().double()
        torch.testing.assert_close(answer, posterior[order[name]], rtol=0, atol=1e-3)
