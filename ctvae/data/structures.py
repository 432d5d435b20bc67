"""Graphs with a name over the factors of a scene, and laws whose edges have a stated strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import GraphError, MechanismError
from ctvae.graph.baselines import random_graph
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.table import TableMechanism
from ctvae.randomness import Seed, make_generator, spawn
from ctvae.scm import SCM
from ctvae.slots import SlotSpace

__all__ = [
    "chain_graph",
    "collider_graph",
    "edge_strengths",
    "fork_graph",
    "preference_scm",
    "random_dag",
]


DEFAULT_STRENGTH = 0.8
DRAWS = 64
"""Of the maps from which those are taken that hide no cause."""


def chain_graph(nodes: Sequence[str], *, seed: Seed) -> CausalGraph:
    """Makes a chain: every node but the last has one effect.

    Args:
        nodes: The names, in column order.
        seed: For the order of the nodes along the chain.

    Returns:
        The DAG.

    Example:
        >>> chain_graph("abc", seed=0)
        CausalGraph(DAG on a, b, c: a -> b, c -> a)
    """
    order = _shuffled(nodes, seed)
    return CausalGraph.from_edges(pairwise(order), nodes=tuple(nodes))


def fork_graph(nodes: Sequence[str], *, seed: Seed) -> CausalGraph:
    """Makes a tree of forks: every cause has two effects, one where nodes run out.

    Args:
        nodes: The names, in column order.
        seed: For the places of the nodes in the tree.

    Returns:
        The DAG.

    Example:
        >>> fork_graph("abc", seed=0)
        CausalGraph(DAG on a, b, c: c -> a, c -> b)
    """
    order = _shuffled(nodes, seed)
    edges = [(order[(k - 1) // 2], order[k]) for k in range(1, len(order))]
    return CausalGraph.from_edges(edges, nodes=tuple(nodes))


def collider_graph(nodes: Sequence[str], *, seed: Seed) -> CausalGraph:
    """Makes colliders: every effect has two causes that are not adjacent.

    Of n nodes ``n // 2 + 1`` are roots; each other one joins the next two that have no effect yet.

    Args:
        nodes: The names, in column order.
        seed: For the places of the nodes.

    Returns:
        The DAG.

    Example:
        >>> collider_graph("abc", seed=0)
        CausalGraph(DAG on a, b, c: a -> b, c -> b)
    """
    order = _shuffled(nodes, seed)
    roots = len(order) // 2 + 1
    edges = [
        (order[2 * k + side], order[roots + k])
        for k in range(len(order) - roots)
        for side in range(2)
    ]
    return CausalGraph.from_edges(edges, nodes=tuple(nodes))


def random_dag(nodes: Sequence[str], *, average_degree: float, seed: Seed) -> CausalGraph:
    """Draws a DAG with a stated average degree: a uniform order, then uniform pairs.

    Args:
        nodes: The names, in column order.
        average_degree: Edges at a node, in and out: half as many edges as nodes times this.
        seed: For the draws.

    Returns:
        The DAG.

    Raises:
        GraphError: When there are fewer pairs of nodes than edges, or the degree is negative.

    Example:
        >>> random_dag("abcdefgh", average_degree=2, seed=0).num_edges
        8
    """
    if average_degree < 0:
        msg = f"average_degree must not be negative, got {average_degree}"
        raise GraphError(msg)
    return random_graph(nodes, round(len(nodes) * average_degree / 2), seed=seed)


def preference_scm(
    graph: CausalGraph,
    slots: SlotSpace,
    *,
    strength: float | Mapping[str, float] = DEFAULT_STRENGTH,
    seed: Seed,
) -> SCM:
    r"""Makes a model in which effects follow their causes with a stated probability.

    .. math:: X = \begin{cases} f(\mathrm{parents}) & \text{with probability } s \\
        U & \text{otherwise} \end{cases}, \qquad
        f(u) = \sum_j g_j(u_j) \bmod K, \quad U \text{ uniform}

    The maps :math:`g_j` are drawn at random: with all values of the cause where it is the only
    one, with two where there are several. So f changes with every parent, whatever the others are,
    and each edge has a strength of exactly s, see ``edge_strengths``. A sum can hide what one cause
    does on average over the others, as a parity does; of some draws that one is taken which hides
    least. Roots have the probabilities K, K - 1, ..., 1 over their sum, in random order. A unit
    that follows its causes, and keeps U where it does not, is the coupling ``Maximal()``.

    Args:
        graph: A DAG over exactly the slots.
        slots: The slots.
        strength: s in [0, 1), of all effects, or by the name of the effect (0.8 where it has none):
            small numbers make weak edges.
        seed: For the maps and the order of the roots' probabilities.

    Returns:
        The model.

    Raises:
        MechanismError: When a strength is outside [0, 1), or names a slot that is no effect.

    Example:
        >>> slots = SlotSpace.from_cardinalities({"a": 3, "b": 4})
        >>> scm = preference_scm(chain_graph("ab", seed=0), slots, strength=0.6, seed=0)
        >>> [round(value, 6) for value in edge_strengths(scm).values()]
        [0.6]
    """
    effects = [name for name in slots.names if graph.parents(name)]
    strengths = dict.fromkeys(effects, strength) if not isinstance(strength, Mapping) else strength
    wrong = [(name, s) for name, s in strengths.items() if name not in effects or not 0 <= s < 1]
    if wrong:
        msg = (
            f"strength of {wrong[0][0]!r} is {wrong[0][1]}: give numbers in [0, 1) for slots with "
            f"causes ({', '.join(effects)})"
        )
        raise MechanismError(msg)
    laws, margins = {}, dict[str, Tensor]()
    seeds = dict(zip(slots.names, spawn(seed, len(slots)), strict=True))
    for name in graph.topological_order():
        generator, size = make_generator(seeds[name]), slots[name].cardinality
        # Axes of a table stand in column order.
        causes = [margins[one] for one in slots.names if one in graph.parents(name)]
        if causes:
            preferred = _preferred(causes, size, generator)
            certain = torch.nn.functional.one_hot(preferred, size).double()
            s = strengths.get(name, DEFAULT_STRENGTH)
            table = s * certain + (1 - s) / size
        else:
            table = 1 + torch.randperm(size, generator=generator).double()
            table = table / table.sum()
        laws[name] = TableMechanism(table)
        margins[name] = _outer(causes).flatten() @ table.reshape(-1, size)
    return SCM(graph, slots, laws)


def edge_strengths(scm: SCM) -> dict[tuple[str, str], float]:
    r"""Measures how much each cause moves the law of its effect.

    .. math:: \max_{u, u'} \; \min_{w} \; \mathrm{TV}\bigl(P(x \mid u, w), P(x \mid u', w)\bigr)

    for values u, u' of the cause and w of the other parents: there are two values of the cause
    between which the law moves by at least this much, whatever the others are.

    Args:
        scm: A model with small tables; its interventions do not count.

    Returns:
        (cause, effect) to a total variation in [0, 1].

    Example:
        >>> slots = SlotSpace.from_cardinalities({"a": 2, "b": 2})
        >>> laws = {"a": TableMechanism([0.5, 0.5]), "b": TableMechanism([[0.9, 0.1], [0.6, 0.4]])}
        >>> scm = SCM(CausalGraph.from_edges([("a", "b")]), slots, laws)
        >>> round(edge_strengths(scm)["a", "b"], 6)
        0.3
    """
    strengths = {}
    for name, law in scm.mechanisms.items():
        causes = [one for one in scm.slots.names if one in scm.graph.parents(name)]
        for axis, cause in enumerate(causes):
            rows = law.table().movedim(axis, 0)
            rows = rows.reshape(len(rows), -1, law.cardinality)
            apart = (rows[:, None] - rows[None]).abs().sum(-1) / 2
            strengths[cause, name] = float(apart.amin(-1).max())
    return strengths


def _preferred(
    causes: Sequence[Float[Tensor, " codes"]], size: int, generator: torch.Generator
) -> Int[Tensor, "*parents"]:
    """The value that each row of parents asks for, each cause seen on average over the others."""
    if len(causes) == 1:
        return _spread(len(causes[0]), size, generator)
    weight, best, found = _outer(causes), -1.0, torch.empty(0)
    for _ in range(DRAWS):
        total = torch.zeros_like(weight, dtype=torch.long)
        for axis, margin in enumerate(causes):
            high = _spread(len(margin), 2, generator)
            step = int(torch.randint(1, size, (), generator=generator))
            total = total + (high * step).reshape([
                -1 if k == axis else 1 for k in range(len(causes))
            ])
        total = total % size
        law = weight[..., None] * torch.nn.functional.one_hot(total, size)
        shown = min(_widest(law, axis, margin) for axis, margin in enumerate(causes))
        if shown > best:
            best, found = shown, total
    return found


def _spread(count: int, size: int, generator: torch.Generator) -> Int[Tensor, " count"]:
    """A random map onto as many values as there are, each as often as the next."""
    values = torch.randperm(size, generator=generator)[torch.arange(count) % size]
    return values[torch.randperm(count, generator=generator)]


def _widest(law: Float[Tensor, "*parents codes"], axis: int, margin: Tensor) -> float:
    """How far apart, at most, two values of one cause put an effect on average over the others."""
    rows = law.movedim(axis, 0).reshape(len(margin), -1, law.shape[-1]).sum(1) / margin[:, None]
    return float((rows[:, None] - rows[None]).abs().sum(-1).max() / 2)


def _outer(margins: Sequence[Float[Tensor, " codes"]]) -> Float[Tensor, "*parents"]:
    """The joint law of independent causes."""
    joint = torch.ones((), dtype=torch.double)
    for margin in margins:
        joint = joint[..., None] * margin
    return joint


def _shuffled(nodes: Sequence[str], seed: Seed) -> list[str]:
    order = torch.randperm(len(nodes), generator=make_generator(seed))
    return [nodes[k] for k in order.tolist()]
