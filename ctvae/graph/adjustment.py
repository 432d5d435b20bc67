"""Distances in causal conclusions: which effects a guessed graph would get wrong.

They read a graph as what a user does with it: pick a treatment and an outcome, ask the graph for an
adjustment set, adjust. The first graph is always the truth, the second the guess; the distances
are not symmetric.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ctvae.errors import CTVAEError, GraphError, did_you_mean
from ctvae.graph.adjustment_walks import AdjustmentRule, wrong_effects
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.distances import check_same_nodes
from ctvae.graph.kinds import GraphKind

__all__ = [
    "AdjustmentDistance",
    "ancestor_aid",
    "has_gadjid",
    "oset_aid",
    "parent_aid",
    "sid",
]


class AdjustmentDistance(NamedTuple):
    """How many effects a guess gets wrong.

    Attributes:
        mistakes: Ordered pairs of treatment and outcome whose effect is got wrong.
        num_effects: The ordered pairs judged: ``treatments * (nodes - 1)``.
    """

    mistakes: int
    num_effects: int

    @property
    def normalised(self) -> float:
        """The share of effects got wrong, 0 where there is none to judge."""
        return self.mistakes / self.num_effects if self.num_effects else 0.0


def sid(
    truth: CausalGraph, guess: CausalGraph, *, treatments: Iterable[str] | None = None
) -> AdjustmentDistance:
    r"""Gives the structural intervention distance from a true DAG to a guessed one.

    .. math:: \#\{(t, y) : p_G(y \mid do(t)) \text{ by adjusting for } pa_H(t) \text{ is wrong}\}

    G is the truth, H the guess. A pair counts 1 when adjusting for the guess's parents of the
    treatment gives another law than setting the treatment does in the truth, for some law that
    factorises over the truth; where the guess has the outcome among those parents, it says "no
    effect". A supergraph of the truth has distance 0, so read it beside SHD.

    Args:
        truth: The true DAG.
        guess: A DAG over the same nodes, in any order.
        treatments: Only effects of these nodes; ``None`` for all.

    Returns:
        The number of wrong effects, and of those judged.

    Raises:
        GraphError: When a graph is no DAG (between CPDAGs, or a DAG and a CPDAG, the figure is
            ``parent_aid``), the nodes differ, or a treatment is no node.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> back = CausalGraph.from_edges([("c", "b"), ("b", "a")])
        >>> sid(truth, back), sid(truth, truth).normalised
        (AdjustmentDistance(mistakes=6, num_effects=6), 0.0)

    Source: Peters and Buehlmann (2015), Structural intervention distance.

    Cost: O(treatments * nodes^2) a step of a walk; 3 s for 1000 nodes of degree 4. gadjid, where it
    is installed, takes a few hundredths.
    """
    for name, graph in (("truth", truth), ("guess", guess)):
        if graph.kind is not GraphKind.DAG:
            msg = f"SID is between DAGs, and the {name} is of kind {graph.kind.value}; " + _way_out(
                graph.kind, "parent_aid, which is SID on DAGs and takes CPDAGs"
            )
            raise GraphError(msg)
    return _distance(truth, guess, AdjustmentRule.PARENTS, treatments)


def parent_aid(
    truth: CausalGraph, guess: CausalGraph, *, treatments: Iterable[str] | None = None
) -> AdjustmentDistance:
    """Gives the parent adjustment identification distance; on DAGs it is SID.

    The guess answers by adjusting for the treatment's parents. In a CPDAG it answers "cannot be
    told" where the class leaves the effect open, which is right only where the truth leaves it
    open too: a CPDAG against a true DAG pays for every effect that it cannot tell.

    Args:
        truth: The true DAG or CPDAG.
        guess: A DAG or CPDAG over the same nodes.
        treatments: Only effects of these nodes, between DAGs; ``None`` for all.

    Returns:
        The number of wrong effects, and of those judged.

    Raises:
        GraphError: When a graph is neither DAG nor CPDAG, the nodes differ, or a treatment is no
            node or asked for with a CPDAG.
        CTVAEError: When a graph is a CPDAG and gadjid is not installed.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> more = CausalGraph.from_edges([("a", "b"), ("b", "c"), ("a", "c")])
        >>> parent_aid(truth, more).mistakes, parent_aid(more, truth).mistakes
        (0, 1)

    Source: Henckel, Wuertz and Weichwald (2024), Adjustment identification distance.
    """
    return _distance(truth, guess, AdjustmentRule.PARENTS, treatments)


def ancestor_aid(
    truth: CausalGraph, guess: CausalGraph, *, treatments: Iterable[str] | None = None
) -> AdjustmentDistance:
    """Gives the ancestor adjustment identification distance.

    As ``parent_aid``, but the guess adjusts for all ancestors of the treatment and says "no effect"
    for every node that is no descendant. Of the guess it reads the ancestors alone.

    Args:
        truth: The true DAG or CPDAG.
        guess: A DAG or CPDAG over the same nodes.
        treatments: Only effects of these nodes, between DAGs; ``None`` for all.

    Returns:
        The number of wrong effects, and of those judged.

    Raises:
        GraphError: As ``parent_aid``.
        CTVAEError: As ``parent_aid``.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("a", "c"), ("b", "c")])
        >>> guess = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> ancestor_aid(truth, guess).mistakes, parent_aid(truth, guess).mistakes
        (0, 1)

    Source: Henckel, Wuertz and Weichwald (2024).
    """
    return _distance(truth, guess, AdjustmentRule.ANCESTORS, treatments)


def oset_aid(
    truth: CausalGraph, guess: CausalGraph, *, treatments: Iterable[str] | None = None
) -> AdjustmentDistance:
    """Gives the optimal-set adjustment identification distance.

    As ``ancestor_aid``, but the guess adjusts for the set of least asymptotic variance: the parents
    of the nodes between treatment and outcome.

    Args:
        truth: The true DAG or CPDAG.
        guess: A DAG or CPDAG over the same nodes.
        treatments: Only effects of these nodes, between DAGs; ``None`` for all.

    Returns:
        The number of wrong effects, and of those judged.

    Raises:
        GraphError: As ``parent_aid``.
        CTVAEError: As ``parent_aid``.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("a", "c"), ("b", "c")])
        >>> guess = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> oset_aid(truth, guess)
        AdjustmentDistance(mistakes=1, num_effects=6)

    Source: Henckel, Perkovic and Maathuis (2022), the set; Henckel, Wuertz and Weichwald (2024).

    Cost: the dearest of them, for its set hangs on the outcome too: minutes for 1000 nodes of
    degree 20 with gadjid; without it O(nodes^4) a step, for at most some 200 nodes.
    """
    return _distance(truth, guess, AdjustmentRule.OPTIMAL, treatments)


def has_gadjid() -> bool:
    """Says whether gadjid, which distances with CPDAGs need, can be loaded.

    Returns:
        True when it can.
    """
    try:
        import_module("gadjid")
    except ImportError:
        return False
    return True


def _distance(
    truth: CausalGraph,
    guess: CausalGraph,
    rule: AdjustmentRule,
    treatments: Iterable[str] | None,
) -> AdjustmentDistance:
    check_same_nodes(guess, truth, "the guess", "the truth")
    for name, graph in (("truth", truth), ("guess", guess)):
        if graph.kind not in {GraphKind.DAG, GraphKind.CPDAG}:
            msg = (
                f"an adjustment identification distance is between DAGs and CPDAGs, and the {name} "
                f"is of kind {graph.kind.value}; "
            ) + _way_out(graph.kind, "")
            raise GraphError(msg)
    columns = _columns(truth.nodes, treatments)
    num_effects = len(columns) * (len(truth.nodes) - 1)
    matrices = truth.to_numpy(), guess.reorder(truth.nodes).to_numpy()
    dags = not (truth.undirected or guess.undirected)
    if treatments is None and len(columns) > 1 and (has_gadjid() or not dags):
        return AdjustmentDistance(_by_gadjid(*matrices, rule), num_effects)
    if not dags:
        msg = (
            "treatments= restricts distances between DAGs only, and one of the graphs is a CPDAG; "
            "leave it out, or pass one member of the class, consistent_extension()"
        )
        raise GraphError(msg)
    wrong = wrong_effects(matrices[0].astype(bool), matrices[1].astype(bool), columns, rule)
    return AdjustmentDistance(int(wrong.sum()), num_effects)


def _by_gadjid(truth: np.ndarray, guess: np.ndarray, rule: AdjustmentRule) -> int:
    # gadjid takes int8 only, with 2 for an undirected edge; a 2-cycle makes it raise what no
    # `except Exception` catches, and an invalid CPDAG passes unseen: both were refused before
    gadjid = _load_gadjid()
    functions = {
        AdjustmentRule.PARENTS: gadjid.parent_aid,
        AdjustmentRule.ANCESTORS: gadjid.ancestor_aid,
        AdjustmentRule.OPTIMAL: gadjid.oset_aid,
    }
    coded = [np.where(m & m.T, 2, m).astype(np.int8) for m in (truth, guess)]
    return int(functions[rule](*coded, edge_direction="from row to column")[1])


def _load_gadjid() -> Any:  # noqa: ANN401  # an untyped package
    try:
        return import_module("gadjid")
    except ImportError as error:
        msg = (
            f"distances with CPDAGs need gadjid, which could not be loaded ({error}); install it "
            "by pip install ctvae[metrics]"
        )
        raise CTVAEError(msg) from error


def _columns(nodes: tuple[str, ...], treatments: Iterable[str] | None) -> np.ndarray:
    if treatments is None:
        return np.arange(len(nodes))
    names = [treatments] if isinstance(treatments, str) else list(dict.fromkeys(treatments))
    for name in names:
        if name not in nodes:
            msg = f"treatment {name!r} is not in these graphs (nodes: {', '.join(nodes)})"
            raise GraphError(msg + did_you_mean(name, nodes))
    return np.array([nodes.index(name) for name in names], dtype=np.int64)


def _way_out(kind: GraphKind, for_class: str) -> str:
    if kind is GraphKind.CPDAG:
        return f"use {for_class}"
    if kind is GraphKind.ADMG:
        return "compare the marks with shd, or a DAG that names the hidden causes"
    if kind is GraphKind.PAG:
        return "compare its endpoint marks with those of the true PAG, endpoint_confusion()"
    return (
        "compare the marks with shd (I-CPDAGs with I-CPDAGs), or one member of it, "
        "consistent_extension()"
    )
