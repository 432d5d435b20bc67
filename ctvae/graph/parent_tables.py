"""Which slots may be parents of which, and what every set of them weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from itertools import chain

import numpy as np
import torch
from jaxtyping import Bool, Float

from ctvae.graph.knowledge import Constraints
from ctvae.graph.order_moves import OrderWorth
from ctvae.graph.order_search import largest_within, parent_set_prior, total_within
from ctvae.graph.scores import BDeuScores

__all__ = ["ParentTables", "other_candidates", "rank_candidates"]

POOL = 24
"""How many slots may be candidates of a slot: those that say most of it alone."""
SHIELDS = 12
"""Beside how many of them the others are tried."""
WITHOUT_REQUIRED = 1e9
"""Nats taken off for a required parent left out: finite, so that an order that puts it too late
is still better the fewer it leaves out."""


@dataclass(frozen=True, eq=False)
class ParentTables:
    """For every slot its candidates, and the weight of every subset of them.

    Attributes:
        candidates: Columns, increasing, by slot.
        weights: By slot ``(2^candidates,)`` nats, log marginal likelihood and log prior; entry S
            is the set of the candidates at the ones among S's bits.
        scores: By slot the same without the prior.
    """

    candidates: tuple[tuple[int, ...], ...]
    weights: tuple[Float[np.ndarray, " subsets"], ...]
    scores: tuple[Float[np.ndarray, " subsets"], ...]

    @classmethod
    def score(
        cls,
        scores: BDeuScores,
        candidates: Sequence[Sequence[int]],
        *,
        max_parents: int,
        edge_penalty: float,
        rules: Constraints,
        earlier: ParentTables | None = None,
    ) -> ParentTables:
        """Scores every subset of every slot's candidates.

        Args:
            scores: The scores of the rows.
            candidates: Columns of each slot's candidates.
            max_parents: The largest set of parents.
            edge_penalty: Nats taken off for every parent.
            rules: Required parents, each a candidate; a set without one is all but impossible.
            earlier: Tables of which those with the same candidates are kept.

        Returns:
            The tables, on the CPU: searches read single entries.

        Cost: as ``BDeuScores.subsets`` for each slot whose candidates are new.
        """
        slots = len(candidates)
        limit = min(max_parents, slots - 1)
        prior = parent_set_prior(slots, limit, edge_penalty=edge_penalty)
        found, weights = [], []
        for child, own in enumerate(candidates):
            if earlier is not None and earlier.candidates[child] == tuple(own):
                found.append(earlier.scores[child])
                weights.append(earlier.weights[child])
                continue
            table = scores.subsets(child, own, max_parents=limit).cpu().numpy()
            sizes = np.array([s.bit_count() for s in range(len(table))])
            log_prior = np.array([*prior, *[-np.inf] * slots])[sizes]
            found.append(table)
            needed = sum(1 << bit for bit, k in enumerate(own) if rules.required[k, child])
            missing = np.array([(needed & ~s).bit_count() for s in range(len(table))])
            weights.append(table + log_prior - WITHOUT_REQUIRED * missing)
        return cls(tuple(map(tuple, candidates)), tuple(weights), tuple(found))

    def best(self) -> OrderWorth:
        """Gives what the best DAG that agrees with an order is worth."""
        tables = [largest_within(torch.from_numpy(table)).numpy() for table in self.weights]
        return OrderWorth(self.candidates, tables)

    def posterior(self) -> tuple[OrderWorth, tuple[Float[np.ndarray, " subsets"], ...]]:
        """Gives what an order is worth a posteriori, and its tables of sums."""
        tables = tuple(total_within(torch.from_numpy(table)).numpy() for table in self.weights)
        return OrderWorth(self.candidates, tables), tables

    def best_parents(self, slot: int, allowed: int) -> int:
        """Picks the parents of a slot among some of its candidates.

        Args:
            slot: The slot.
            allowed: The candidates that may be parents, as bits.

        Returns:
            The set of the largest weight, as bits; the first one among equals.
        """
        table = self.weights[slot]
        inside = (np.arange(len(table)) & ~allowed) == 0
        return int(np.where(inside, table, -np.inf).argmax())

    def columns(self, slot: int, chosen: int) -> tuple[int, ...]:
        """Reads a set of bits as columns.

        Args:
            slot: The slot.
            chosen: A set of its candidates, as bits.

        Returns:
            Columns, increasing.
        """
        return tuple(c for k, c in enumerate(self.candidates[slot]) if chosen >> k & 1)


def rank_candidates(
    scores: BDeuScores, gains: Float[np.ndarray, "parents children"], rules: Constraints
) -> list[list[int]]:
    """Ranks for each slot the others by what they say of it that no third slot says as well.

    A distant cause or effect may say more of a slot than a weak parent does, but less once a slot
    between them is known: the gain of i as a parent of j is the least of those beside nothing and
    beside each of the slots that say most of j.

    Args:
        scores: The scores of the rows.
        gains: ``[i, j]`` the gain of i as the only parent of j, nats.
        rules: Forbidden parents, which are left out, and required ones, which come first.

    Returns:
        Columns by slot, the strongest first; slots without any gain at the end.

    Source: Tsamardinos, Brown and Aliferis (2006), the max-min heuristic, with scores.
    Cost: for each slot ``24 * 12`` sets of two parents.
    """
    first = np.where(rules.required, np.inf, np.where(rules.forbidden, -np.inf, gains))
    order = np.argsort(-first, axis=0, kind="stable")
    ranked = []
    for child in range(len(gains)):
        pool = [int(i) for i in order[:POOL, child] if not rules.forbidden[i, child]]
        beside = pool[:SHIELDS]
        pairs = [(k, i) for i in pool for k in beside if k != i]
        both = scores.batch(child, pairs).tolist()
        alone = dict(zip(beside, scores.batch(child, [(k,) for k in beside]).tolist(), strict=True))
        least = {i: float(gains[i, child]) for i in pool}
        for (k, i), value in zip(pairs, both, strict=True):
            least[i] = min(least[i], value - alone[k])
        needed = {i for i in pool if rules.required[i, child]}
        ranked.append(sorted(pool, key=lambda i: (i not in needed, -least[i], -gains[i, child], i)))
    return ranked


def other_candidates(
    scores: BDeuScores,
    ranked: Sequence[Sequence[int]],
    parents: Sequence[tuple[int, ...]],
    *,
    max_parents: int,
    max_candidates: int,
    rules: Constraints,
) -> list[tuple[int, ...]]:
    """Picks candidates anew around a DAG: who would help beside or instead of a slot's parents.

    A slot may say little of a child alone and much given other parents; and a slot's effects say
    much of it but cannot be its parents as the DAG stands. So the places go in turn to the first
    in rank, to those that help most, and to those that help most in this DAG, where an effect
    counts by what turning its edge would gain.

    Args:
        scores: The scores of the rows.
        ranked: The order in which candidates come for each slot, as ``rank_candidates`` gives it.
        parents: The parents in the DAG, which stay candidates.
        max_parents: The largest set of parents.
        max_candidates: The most candidates of one slot.
        rules: Forbidden parents, which are left out; required ones stay, as parents in the DAG.

    Returns:
        Columns, increasing, by slot.

    Cost: for each slot ``32 * (parents + 1)`` sets.
    """
    below = _descendants(parents)
    found = []
    for child, known in enumerate(parents):
        effects = [k for k, own in enumerate(parents) if child in own]
        effects = [k for k in effects if not rules.forbidden[k, child]]
        others = [i for i in dict.fromkeys([*ranked[child], *effects]) if i not in known]
        beside = [(*known, i) for i in others] if len(known) < max_parents else []
        instead = [(*(p for p in known if p != left), i) for i in others for left in known]
        values = scores.batch(child, beside + instead).tolist()
        alone = dict.fromkeys(others, -np.inf)
        for (*_, i), value in zip(beside + instead, values, strict=True):
            alone[i] = max(alone[i], value)
        turned = {i: -np.inf if below[child, i] else value for i, value in alone.items()}
        for effect in effects:
            left = tuple(p for p in parents[effect] if p != child)
            with_edge, without = scores.batch(effect, [parents[effect], left]).tolist()
            turned[effect] = alone[effect] - (with_edge - without)
        ranks = [sorted(others, key=lambda i: (-rank[i], i)) for rank in (turned, alone)]
        picked = dict.fromkeys([*known, *chain.from_iterable(zip(others, *ranks, strict=True))])
        found.append(tuple(sorted(list(picked)[:max_candidates])))
    return found


def _descendants(parents: Sequence[tuple[int, ...]]) -> Bool[np.ndarray, "slots slots"]:
    """Says at ``[i, j]`` whether j is a descendant of i in a DAG."""
    below = np.zeros((len(parents), len(parents)), dtype=bool)
    order = TopologicalSorter(dict(enumerate(parents))).static_order()
    for slot in order:
        for parent in parents[slot]:
            below[:, slot] |= below[:, parent]
            below[parent, slot] = True
    return below
