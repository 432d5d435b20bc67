"""What stands below a table and in its caption, and resamples as a row of it."""

from __future__ import annotations

import numpy as np

from ctvae.graph import (
    CausalGraph,
    Failure,
    GraphScore,
    Stability,
    compare_graphs,
    edge_brier_score,
    shd,
)

NODES = ["a", "b", "c", "d"]
TRUTH = CausalGraph.from_edges([("a", "b"), ("c", "b"), ("b", "d")], nodes=NODES)
CHAIN = CausalGraph.from_edges([("a", "b"), ("b", "c")])


def test_one_note_says_which_scores_a_kind_of_graph_does_not_have():
    pag = CausalGraph(tuple(NODES), circle_circle=frozenset({("a", "b")}))
    open_ = CausalGraph.from_edges([("a", "b")], undirected=[("b", "c")], nodes=NODES)  # a PDAG
    table = compare_graphs({"FCI": pag, "other": pag, "cut": open_}, truth=TRUTH)
    notes = [line for line in table.to_markdown().splitlines() if line.startswith("[")]
    assert notes[0] == "[1] SHD, SHD (CPDAG): not defined for a PAG"
    assert len(notes) == 1
    assert "| FCI [1] |" in table.to_markdown()
    assert "| other [1] |" in table.to_markdown()
    for reason in table.rows[0].undefined.values():
        assert "consistent_extension" not in reason  # which refuses a PAG
    assert "not defined where the truth is a PAG" in compare_graphs({"m": TRUTH}, pag).to_markdown()


def test_the_caption_tells_of_the_scores_shown_alone():
    scores = [GraphScore.PARENT_AID, GraphScore.OSET_AID]
    caption = compare_graphs({"m": TRUTH}, truth=TRUTH, scores=scores).caption
    assert "by adjusting for parents or optimal sets." in caption
    assert "parents (SID)" in compare_graphs({"m": TRUTH}, truth=TRUTH).caption


def test_few_pairs_are_counted_in_plain_numbers():
    chances = np.array([[0, 0.6, 0.1], [0.2, 0, 0.7], [0.1, 0.1, 0]])
    figure = compare_graphs({"m": chances}, truth=CHAIN).plot_calibration()
    figure.canvas.draw()
    axis = figure.axes[1].yaxis
    low, high = figure.axes[1].get_ylim()
    ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
    shown = [label.get_text() for at, label in ticks if low <= at <= high]
    assert shown[:3] == ["1", "2", "3"]
    assert not any(label.get_text() for label in axis.get_ticklabels(minor=True))


def test_resamples_are_their_consensus_and_the_shares_of_its_edges():
    turned = CausalGraph.from_edges([("b", "a"), ("b", "c")], nodes=["a", "b", "c"])
    resamples = Stability((CHAIN, CHAIN, turned, CHAIN.cpdag()), (Failure("x"),))
    table = compare_graphs({"PC": resamples, "plain": CHAIN.reorder(["c", "b", "a"])}, truth=CHAIN)
    row = table.rows[0]
    assert row.shd == shd(resamples.consensus(), CHAIN)
    chances = np.array([[0, 2.5, 0], [1.5, 0, 3.5], [0, 0.5, 0]]) / 4
    assert row.brier == edge_brier_score(chances, CHAIN)
