"""Brute-force twins of the graph layer, and random graphs and rows for its tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ctvae.graph import CausalGraph


@st.composite
def dags(draw: st.DrawFn, min_nodes: int = 1, max_nodes: int = 6) -> CausalGraph:
    """DAGs whose node order is not their causal order."""
    size = draw(st.integers(min_nodes, max_nodes))
    names = [f"n{k}" for k in range(size)]
    order = draw(st.permutations(names))
    pairs = list(itertools.combinations(order, 2))
    kept = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    edges = [pair for pair, keep in zip(pairs, kept, strict=True) if keep]
    return CausalGraph.from_edges(edges, nodes=names)


def all_dags(size: int) -> Iterator[np.ndarray]:
    """Every DAG over a few nodes, as adjacency matrices."""
    pairs = list(itertools.combinations(range(size), 2))
    for states in itertools.product((0, 1, 2), repeat=len(pairs)):
        matrix = np.zeros((size, size), dtype=np.int8)
        for (i, j), state in zip(pairs, states, strict=True):
            if state == 1:
                matrix[i, j] = 1
            elif state == 2:
                matrix[j, i] = 1
        if not np.linalg.matrix_power(matrix.astype(int), size).any():
            yield matrix


def class_key(matrix: np.ndarray) -> tuple[frozenset[Any], frozenset[Any]]:
    """Skeleton and v-structures by their definition."""
    size = len(matrix)
    joined = {frozenset(p) for p in zip(*np.nonzero(matrix), strict=True)}
    colliders = {
        (frozenset((a, b)), c)
        for c in range(size)
        for a, b in itertools.combinations(np.flatnonzero(matrix[:, c]), 2)
        if frozenset((a, b)) not in joined
    }
    return frozenset(joined), frozenset(colliders)


def orders_of(matrix: np.ndarray) -> int:
    """The number of topological orders of a DAG."""
    return sum(
        all(order.index(i) < order.index(j) for i, j in zip(*np.nonzero(matrix), strict=True))
        for order in itertools.permutations(range(len(matrix)))
    )


def bdeu(
    codes: Any,
    child: int,
    parents: Sequence[int],
    cards: Sequence[int],
    ess: float,
    keep: Any = None,
) -> float:
    """The closed form, cell by cell."""
    rows = np.asarray(codes) if keep is None else np.asarray(codes)[np.asarray(keep)]
    configurations = list(itertools.product(*(range(cards[p]) for p in parents)))
    a_j = ess / len(configurations)
    a_jk = a_j / cards[child]
    total = 0.0
    for values in configurations:
        match = rows[(rows[:, list(parents)] == list(values)).all(1)] if parents else rows
        total += math.lgamma(a_j) - math.lgamma(a_j + len(match))
        for code in range(cards[child]):
            n = int((match[:, child] == code).sum())
            total += math.lgamma(a_jk + n) - math.lgamma(a_jk)
    return total


def sample_scm(
    matrix: np.ndarray,
    cards: Sequence[int],
    rows: int,
    rng: np.random.Generator,
    *,
    tables: dict[int, np.ndarray],
    intervened: int | None = None,
    strength: float = 6.0,
) -> np.ndarray:
    """Ancestral sampling from random tables; ``intervened`` sets one slot uniformly."""
    size = len(matrix)
    codes = np.zeros((rows, size), dtype=np.int64)
    done: set[int] = set()
    while len(done) < size:
        for k in range(size):
            parents = np.flatnonzero(matrix[:, k])
            if k in done or not set(parents) <= done:
                continue
            shape = [cards[int(p)] for p in parents]
            if k not in tables:
                tables[k] = rng.dirichlet(np.full(cards[k], 1 / strength), size=tuple(shape))
            if k == intervened:
                codes[:, k] = rng.integers(cards[k], size=rows)
            else:
                law = tables[k][tuple(codes[:, p] for p in parents)] if len(parents) else tables[k]
                cumulative = np.broadcast_to(law, (rows, cards[k])).cumsum(1)
                draw = (rng.random((rows, 1)) > cumulative).sum(1)
                codes[:, k] = np.minimum(draw, cards[k] - 1)
            done.add(k)
    return codes


def rows_with_targets(
    matrix: np.ndarray,
    cards: Sequence[int],
    *,
    observational: int = 1500,
    per_target: int = 400,
    seed: int = 0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Observational rows and rows under an intervention on every slot."""
    rng = np.random.default_rng(seed)
    tables: dict[int, np.ndarray] = {}
    parts = [sample_scm(matrix, cards, observational, rng, tables=tables)]
    targets = [np.zeros((observational, len(matrix)), dtype=bool)]
    for k in range(len(matrix)):
        parts.append(sample_scm(matrix, cards, per_target, rng, intervened=k, tables=tables))
        targets.append(np.zeros((per_target, len(matrix)), dtype=bool))
        targets[-1][:, k] = True
    return torch.from_numpy(np.concatenate(parts)), torch.from_numpy(np.concatenate(targets))


def low_rank_rows(
    matrix: np.ndarray,
    codes: int,
    rows: int,
    rng: np.random.Generator,
    *,
    rank: int = 4,
    scale: float = 1.5,
) -> np.ndarray:
    """Rows of a DAG over slots with many codes, whose log-odds have few dimensions.

    Each parent's code gives a point in ``rank`` dimensions, the points are added and scaled to one
    length, and every code of the child has a direction there.
    """
    slots = len(matrix)
    order = sorted(
        range(slots),
        key=lambda k: int(
            np.linalg
            .matrix_power(np.eye(slots, dtype=int) + matrix.astype(int), slots)[:, k]
            .astype(bool)
            .sum()
        ),
    )
    found = np.zeros((rows, slots), dtype=np.int64)
    for child in order:
        parents = np.flatnonzero(matrix[:, child])
        point = np.zeros((rows, rank))
        for parent in parents:
            point += rng.normal(size=(codes, rank))[found[:, parent]] / math.sqrt(len(parents))
        odds = scale * point @ rng.normal(size=(rank, codes)) / math.sqrt(rank)
        odds += 0.5 * rng.normal(size=codes)
        found[:, child] = (odds + rng.gumbel(size=odds.shape)).argmax(1)
    return found


def random_dag(slots: int, edges: int, rng: np.random.Generator) -> np.ndarray:
    """A DAG with a number of edges, along a random order."""
    order = rng.permutation(slots)
    pairs = list(itertools.combinations(order, 2))
    matrix = np.zeros((slots, slots), dtype=np.int8)
    for k in rng.choice(len(pairs), edges, replace=False):
        matrix[pairs[k]] = 1
    return matrix
