"""Comparisons over runs: means, failures, probabilities, targets, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from ctvae.errors import CTVAEError, GraphError, ShapeError
from ctvae.graph import (
    CausalGraph,
    Failure,
    GraphKind,
    GraphScore,
    InterventionalBDeu,
    ancestor_aid,
    compare_graphs,
    comparison_rows,
    edge_average_precision,
    edge_brier_score,
    edge_calibration_error,
    empty_graph,
    expected_shd,
    learn_graph,
    oset_aid,
    parent_aid,
    random_graph,
    shd,
    sid,
)
from ctvae.graph.comparison_rows import mean_interval
from ctvae.graph.graph_scores import Reference, score_run
from ctvae.graph.outcomes import Outcome, likely_graph
from ctvae.slots import Slot
from tests.graph.oracles import dags

NODES = ["a", "b", "c", "d"]
TRUTH = CausalGraph.from_edges([("a", "b"), ("c", "b"), ("b", "d")], nodes=NODES)
CHAIN = CausalGraph.from_edges([("a", "b"), ("b", "c")])
OTHER = CausalGraph.from_edges([("b", "a"), ("c", "b"), ("c", "d")], nodes=NODES)
RUNS = [random_graph(NODES, 3, seed=k) for k in range(6)]


def soft(graph: CausalGraph, seed: int) -> np.ndarray:
    """Probabilities whose pairs sum to at most one."""
    noise = np.random.default_rng(seed).uniform(0.05, 0.2, (len(graph.nodes),) * 2)
    matrix = np.where(graph.to_numpy(), 1 - 2 * noise.T, noise)
    np.fill_diagonal(matrix, 0.0)
    return matrix


def test_every_column_is_its_function():
    matrix = soft(OTHER, 0)
    row = compare_graphs({"m": matrix}, truth=TRUTH).rows[0]
    assert row.sid == sid(TRUTH, OTHER).mistakes
    assert row.parent_aid == parent_aid(TRUTH, OTHER).mistakes
    assert row.ancestor_aid == ancestor_aid(TRUTH, OTHER).mistakes
    assert row.oset_aid == oset_aid(TRUTH, OTHER).mistakes
    assert row.average_precision == edge_average_precision(matrix, TRUTH)
    assert row.brier == edge_brier_score(matrix, TRUTH)
    assert row.calibration_error == edge_calibration_error(matrix, TRUTH)
    assert row.expected_shd == expected_shd(matrix, TRUTH)
    assert row.shd == shd(OTHER, TRUTH)
    assert row.shd_i_cpdag is None
    only = compare_graphs({"m": OTHER}, truth=TRUTH, treatments=["b", "b"]).rows[0]
    assert only.sid == sid(TRUTH, OTHER, treatments=["b"]).mistakes


def test_runs_give_the_mean_and_the_t_interval():
    row = compare_graphs({"random": RUNS}, truth=TRUTH).rows[0]
    singles = [compare_graphs({"one": g}, truth=TRUTH).rows[0] for g in RUNS]
    for score in (GraphScore.SHD, GraphScore.SID, GraphScore.SKELETON_F1):
        values = [value for single in singles if (value := single.value(score)) is not None]
        mean, half_width, count = row.intervals[score]
        assert half_width is not None
        low, high = ttest_1samp(values, 0).confidence_interval(0.95)
        assert row.value(score) == mean == pytest.approx(np.mean(values))
        assert (mean - half_width, mean + half_width) == pytest.approx((low, high))
        assert count == len(RUNS)
    assert singles[0].intervals == {}
    assert mean_interval([2.0]) == (2.0, None, 1)


def test_every_run_may_have_its_own_truth():
    truths = [random_graph(NODES, 4, seed=k) for k in range(6)]
    row = compare_graphs({"random": RUNS}, truth=truths).rows[0]
    assert row.shd == np.mean([shd(a, b) for a, b in zip(RUNS, truths, strict=True)])
    table = compare_graphs({"right": truths, "failed": [Failure("no memory")] * 6}, truth=truths)
    assert table.rows[0].shd == 0
    assert "6 graphs over 4 nodes, one a run" in table.caption
    assert table.explain("a", "b").splitlines()[0].endswith("in the first of 6 truths")


def test_failures_are_rows_with_their_reason_below():
    table = compare_graphs(
        {
            "slow": TimeoutError("after 60 s"),
            "some": [OTHER, MemoryError("32 GB"), OTHER],
            "none": [Failure("no licence")] * 3,
            "fine": TRUTH,
        },
        truth=TRUTH,
    )
    slow, some, none, fine = table.rows
    assert slow.shd is slow.edges is None
    assert (some.num_runs, some.shd) == (2, shd(OTHER, TRUTH))
    assert (none.num_runs, len(none.failures)) == (0, 3)
    assert fine.failures == ()
    text = table.to_markdown()
    assert "failed: timed out (after 60 s)" in text
    assert "1 of 3 runs failed: MemoryError: 32 GB" in text
    assert "all 3 runs failed: no licence" in text
    assert r"slow\textsuperscript{1} & -- & --" in table.to_latex()
    assert "slow: no graph (timed out (after 60 s))" in table.explain("a", "b")
    assert list(table.graphs) == ["some", "fine"]
    assert np.isnan(table.to_pandas().loc["slow", "shd"])
    assert [axes.get_title() for axes in table.plot().axes] == ["truth", "some", "fine"]
    assert "<sup>1</sup> failed" in table._repr_html_()
    alone = compare_graphs({"bad": Failure("x < y & z"), "worse": Failure("y")})
    assert np.isnan(alone.pairwise()).all()
    assert "x &lt; y &amp; z" in alone._repr_html_()
    assert "[1] failed: x < y & z" in alone.to_markdown()
    with pytest.raises(GraphError, match="no method has a graph to draw"):
        alone.plot()


def test_matrices_of_fractions_are_probabilities_and_others_graphs():
    matrix = soft(TRUTH, 1)
    table = compare_graphs(
        {
            "numpy": matrix,
            "torch": torch.from_numpy(matrix),
            "ones": TRUTH.to_numpy().astype(float),
        },
        truth=TRUTH,
    )
    first, second, third = table.rows
    assert first.brier == second.brier is not None
    assert third.brier is None
    assert table.graphs["numpy"] == TRUTH
    # a sure run among unsure ones is one of probabilities too
    sure = compare_graphs({"m": [matrix, OTHER.to_numpy().astype(float)]}, truth=TRUTH).rows[0]
    assert sure.intervals[GraphScore.BRIER].num_runs == 2


def test_the_graph_of_probabilities_never_has_a_cycle():
    ring = np.array([[0.0, 0.9, 0.0], [0.0, 0.0, 0.8], [0.7, 0.0, 0.0]])
    assert likely_graph(ring, "abc") == CHAIN
    assert likely_graph(ring[::-1, ::-1], "cba") == CHAIN
    ties = np.array([[0.0, 0.75], [0.75, 0.0]])
    assert likely_graph(ties, ["b", "a"]) == likely_graph(ties, ["a", "b"])


def test_results_bring_their_probabilities_in_any_order_of_columns():
    rng = np.random.default_rng(0)
    a = rng.integers(3, size=60)
    b = (a + (rng.random(60) < 0.6) * rng.integers(3, size=60)) % 3
    codes = torch.from_numpy(np.stack([b, a], 1))
    result = learn_graph(codes, [Slot("b", 3), Slot("a", 3)], method=InterventionalBDeu())
    truth = CausalGraph.from_edges([("a", "b")])
    row = compare_graphs({"ours": result}, truth=truth).rows[0]
    probabilities = result.edge_probabilities
    assert probabilities is not None
    turned = probabilities[[1, 0]][:, [1, 0]]
    assert row.brier == pytest.approx(edge_brier_score(turned, truth))
    assert row.cpu_seconds == result.cpu_seconds
    assert "CPU s" in compare_graphs({"ours": result, "o": truth}, truth=truth).to_markdown()


@settings(max_examples=40, deadline=None)
@given(truth=dags(min_nodes=3, max_nodes=5), data=st.data())
def test_names_and_columns_do_not_matter(truth, data):
    size = len(truth.nodes)
    guess = data.draw(dags(min_nodes=size, max_nodes=size))
    matrix = soft(guess, data.draw(st.integers(0, 99)))
    order = data.draw(st.permutations(range(size)))
    nodes = [truth.nodes[k] for k in order]
    names = dict(zip(truth.nodes, "vwxyz", strict=False))

    def rows(*graphs: Any, to: CausalGraph) -> list[dict[str, object]]:
        compared = compare_graphs({str(k): g for k, g in enumerate(graphs)}, truth=to)
        return [vars(row) for row in compared.rows]

    before = rows(guess, guess.cpdag(), matrix, to=truth)
    moved = rows(guess, guess.cpdag(), matrix[np.ix_(order, order)], to=truth.reorder(nodes))
    for one, other in zip(before, moved, strict=True):
        for name, value in one.items():
            if isinstance(value, float):
                assert other[name] == pytest.approx(value), name
            elif name != "undefined":
                assert other[name] == value, name
    renamed = rows(
        guess.relabel(names), guess.cpdag().relabel(names), matrix, to=truth.relabel(names)
    )
    scores = [score.value for score in GraphScore]
    assert [[row[s] for s in scores] for row in renamed] == [[r[s] for s in scores] for r in before]


def test_targets_give_the_distance_between_i_cpdags():
    targets = [["b"]]
    open_end = TRUTH.i_cpdag(targets)
    acted = torch.zeros(5, 4, dtype=torch.bool)
    acted[3:, 1] = True
    for given_as in (targets, acted, acted.numpy(), [[], ["b"]]):
        table = compare_graphs(
            {"dag": OTHER, "class": open_end, "empty": empty_graph(NODES)},
            truth=TRUTH,
            targets=given_as,
        )
        dag, own, nothing = (row.shd_i_cpdag for row in table.rows)
        assert dag == shd(OTHER.i_cpdag(targets), open_end)
        assert (own, nothing) == (0, 3)
        assert "I-CPDAG" in table.caption
    chain = CHAIN.cpdag()
    row = compare_graphs({"GES": chain}, truth=CHAIN, targets=[["a"]]).rows[0]
    assert row.shd_i_cpdag is None
    assert "read SHD (CPDAG)" in row.undefined[GraphScore.SHD_I_CPDAG]


def test_parent_aid_stands_for_sid_where_there_are_classes():
    pytest.importorskip("gadjid", reason="gadjid is not installed (ctvae[metrics])")
    table = compare_graphs({"PC": CHAIN.cpdag(), "fine": CHAIN}, truth=CHAIN)
    head = table.to_markdown().splitlines()[0]
    assert "parent-AID" in head
    assert "SID" not in head
    assert table.rows[0].sid is None
    assert "use parent_aid" in table.rows[0].undefined[GraphScore.SID]
    both = compare_graphs({"one": CHAIN, "two": CHAIN}, truth=CHAIN).to_markdown().splitlines()[0]
    assert "SID" in both
    assert "parent-AID" not in both


def test_a_score_that_some_run_leaves_undefined_has_no_mean():
    table = compare_graphs({"GES": [CHAIN.cpdag(), CHAIN], "m": [CHAIN, CHAIN]}, truth=CHAIN)
    row = table.rows[0]
    assert row.sid is None
    assert GraphScore.SID not in row.intervals
    assert row.shd == 1


def test_a_mean_over_some_of_the_runs_is_told_and_never_the_best():
    empty = empty_graph(NODES)
    table = compare_graphs(
        {"some": [TRUTH, empty], "failed": [TRUTH, Failure("x")], "all": [OTHER, OTHER]},
        truth=TRUTH,
    )
    some, failed, _ = table.rows
    assert some.skeleton_precision == failed.skeleton_precision == 1.0
    assert "skeleton precision: mean of the 1 of 2 runs that define it" in table.to_markdown()
    first_cells = [line.split(" | ")[1] for line in table.to_markdown().splitlines()[2:5]]
    assert first_cells == ["1.00", "1.00", "**0.67** ± 0.00"]


def test_without_gadjid_the_table_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gadjid", None)
    table = compare_graphs({"PC": CHAIN.cpdag(), "fine": CHAIN}, truth=CHAIN)
    assert table.rows[1].sid == table.rows[1].parent_aid == 0
    assert "parent-AID: distances with CPDAGs need gadjid" in table.to_markdown()
    with pytest.raises(CTVAEError, match=r"PARENT_AID of PC: .* pip install ctvae\[metrics\]"):
        compare_graphs({"PC": CHAIN.cpdag()}, truth=CHAIN, scores=[GraphScore.PARENT_AID])


def test_optimal_sets_of_large_dense_graphs_must_be_asked_for(monkeypatch):
    monkeypatch.setattr(comparison_rows, "MANY_NODES", 3)
    monkeypatch.setattr(comparison_rows, "DENSE", 1.0)
    row = compare_graphs({"m": OTHER}, truth=TRUTH).rows[0]
    assert row.oset_aid is None
    assert "ask by scores=[GraphScore.OSET_AID]" in row.skipped[GraphScore.OSET_AID]
    assert row.ancestor_aid is not None
    asked = compare_graphs({"m": OTHER}, truth=TRUTH, scores=[GraphScore.OSET_AID])
    assert asked.rows[0].oset_aid == oset_aid(TRUTH, OTHER).mistakes


def test_chosen_columns_come_in_their_order():
    chosen = [GraphScore.SID, GraphScore.EDGES]
    table = compare_graphs({"m": OTHER, "n": TRUTH}, truth=TRUTH, scores=chosen)
    assert table.to_markdown().splitlines()[0] == "| method | SID | edges |"
    assert table.rows[0].shd is None


def test_pairwise_takes_any_score_of_two_graphs_or_a_function():
    table = compare_graphs({"one": TRUTH, "two": OTHER, "none": Failure("x")}, truth=TRUTH)
    figures = table.pairwise(GraphScore.SID)
    assert figures[0, 1] == sid(TRUTH, OTHER).mistakes
    assert figures[1, 0] == sid(OTHER, TRUTH).mistakes
    assert np.isnan(figures[2]).all()
    np.testing.assert_array_equal(table.pairwise(sid), figures)
    counted = compare_graphs({"one": TRUTH, "two": OTHER}).pairwise(
        lambda a, b: len(a.directed & b.directed)
    )
    assert counted.tolist() == [[3, 1], [1, 3]]
    runs = compare_graphs({"one": RUNS, "two": RUNS[::-1]}).pairwise()
    assert runs[0, 1] == np.mean([shd(a, b) for a, b in zip(RUNS, RUNS[::-1], strict=True)])
    assert runs[0, 0] == 0


def test_json_and_pandas_hold_everything():
    table = compare_graphs({"m": RUNS, "f": [Failure("x")] * 6}, truth=TRUTH, targets=[["a"]])
    document = json.loads(table.to_json())
    assert document["rows"][0]["scores"]["shd"] == table.rows[0].shd
    interval = table.rows[0].intervals[GraphScore.SHD]
    assert document["rows"][0]["intervals"]["shd"] == interval._asdict()
    assert document["rows"][1]["failures"] == ["x"] * 6
    assert document["rows"][1]["graphs"] == [None] * 6
    graphs = [CausalGraph.from_json(json.dumps(g)) for g in document["rows"][0]["graphs"]]
    assert graphs == RUNS
    assert CausalGraph.from_json(json.dumps(document["truths"][0])) == TRUTH
    assert document["targets"] == [["a"]]
    frame = table.to_pandas()
    assert frame.loc["m", "shd_half_width"] == interval.half_width
    assert 12 * frame.loc["m", "sid_normalised"] == pytest.approx(table.rows[0].sid)
    assert frame.loc["f", "num_failures"] == 6
    assert frame.attrs["notes"] == ["all 6 runs failed: x"]


def test_curves_show_the_pairs_of_all_runs():
    runs = [soft(TRUTH, k) for k in range(3)]
    table = compare_graphs({"m": runs, "flat": [np.full((4, 4), 0.25)] * 3}, truth=TRUTH)
    upper, lower = table.plot_calibration().axes
    points: Any = upper.lines[2].get_xydata()  # the diagonal, m, flat
    np.testing.assert_allclose(points, np.array([[0.25, 0.25]]))
    counts: Any = lower.patches[0]
    assert counts.get_data().values.sum() == 3 * 12
    (axes,) = table.plot_precision_recall().axes
    ends: Any = axes.lines[1].get_xydata()
    np.testing.assert_allclose(ends[-1], np.array([1.0, 0.25]))
    legend = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert legend == [f"m (AUPRC {table.rows[0].average_precision:.2f})", "flat (AUPRC 0.25)"]
    assert table.explain("a", "b").splitlines()[2].startswith("flat: no edge between a and b")
    assert "mean P(a -> b) = 0.250" in table.explain("a", "b")
    sparse = compare_graphs({"m": soft(empty_graph(NODES), 0)}, truth=empty_graph(NODES))
    with pytest.raises(GraphError, match="the truth has none"):
        sparse.plot_precision_recall()


def test_causal_learns_graphs_are_read_and_its_pags_have_no_shd():
    theirs = OTHER.to_causallearn()
    table = compare_graphs({"theirs": theirs}, truth=TRUTH)
    assert table.graphs["theirs"] == OTHER
    theirs.graph[0, 1] = 2
    table = compare_graphs({"FCI": theirs}, truth=TRUTH)
    assert table.graphs["FCI"].kind is GraphKind.PAG
    assert table.rows[0].shd is None
    assert "endpoint_confusion" in table.rows[0].undefined[GraphScore.SHD]
    with pytest.raises(GraphError, match="endpoint marks"):
        compare_graphs({"FCI": theirs}, truth=TRUTH, scores=[GraphScore.SHD])


def test_a_pag_has_no_shd_on_either_side():
    pag = CausalGraph(tuple(NODES), circle_circle=frozenset({("a", "b")}))
    for graph, truth in ((pag, TRUTH), (TRUTH, pag)):
        with pytest.raises(GraphError, match="not defined for a graph of kind PAG"):
            score_run(Outcome(graph), Reference(truth), GraphScore.SHD)


S = GraphScore
BAD = {
    "a list": (lambda: compare_graphs([CHAIN, CHAIN]), r"takes \{'name': graph\}.* got list"),  # type: ignore[arg-type]
    "one node": (lambda: compare_graphs({"m": CHAIN}).explain("a", "a"), "got 'a' twice"),
    "no runs": (lambda: compare_graphs({"PC": []}), "PC has no runs"),
    "SID of a CPDAG": (
        lambda: compare_graphs({"PC": CHAIN.cpdag()}, truth=CHAIN, scores=[S.SID]),
        "SID of PC: SID is between DAGs, .* use parent_aid",
    ),
    "pairwise SID of a CPDAG": (
        lambda: compare_graphs({"PC": CHAIN.cpdag(), "m": CHAIN}).pairwise(S.SID),
        "PC against PC: SID is between DAGs",
    ),
    "pairwise of one": (
        lambda: compare_graphs({"m": CHAIN}).pairwise(S.BRIER),
        "BRIER is no score of two graphs; use one of SKELETON_PRECISION",
    ),
    "pairwise of unlike runs": (
        lambda: compare_graphs({"m": [CHAIN] * 2, "n": CHAIN}).pairwise(),
        "m has 2 runs and n has 1",
    ),
    "runs and truths": (
        lambda: compare_graphs({"m": [CHAIN] * 3}, truth=[CHAIN] * 2),
        "m has 3 runs and there are 2 truths",
    ),
    "score by text": (
        lambda: compare_graphs({"m": CHAIN}, truth=CHAIN, scores=["sid"]),  # type: ignore[list-item]
        "takes members of GraphScore, got 'sid'; did you mean 'SID'",
    ),
    "score without truth": (
        lambda: compare_graphs({"m": CHAIN}, scores=[S.SHD]),
        r"SHD needs a truth; without one, read pairwise\(GraphScore.SHD\)",
    ),
    "I-CPDAG without targets": (
        lambda: compare_graphs({"m": CHAIN}, truth=CHAIN, scores=[S.SHD_I_CPDAG]),
        "needs targets=.*use SHD_CPDAG",
    ),
    "target": (
        lambda: compare_graphs({"m": CHAIN}, truth=CHAIN, targets=[["z"]]),
        "target 'z' is not in these graphs",
    ),
    "targets as names": (
        lambda: compare_graphs({"m": CHAIN}, truth=CHAIN, targets=["a", "b"]),
        r"one list of names a regime, write \[\['a'\], ...\]",
    ),
    "treatment": (
        lambda: compare_graphs({"m": CHAIN}, truth=CHAIN, treatments=["z"]),
        "treatment 'z' is not in these graphs",
    ),
    "weights": (
        lambda: compare_graphs({"m": np.array([[0.0, 1.7], [0.2, 0.0]])}),
        r"m: a matrix of edge probabilities holds numbers in \[0, 1\], got 1.7; of weights",
    ),
    "probabilities of another size": (
        lambda: compare_graphs({"m": np.full((2, 2), 0.5)}, truth=CHAIN),
        r"edge probabilities of 3 nodes are \(3, 3\), got shape \(2, 2\)",
    ),
    "truths over other nodes": (
        lambda: compare_graphs({"m": [CHAIN] * 2}, truth=[CHAIN, CHAIN.relabel({"a": "z"})]),
        "only in one truth: z",
    ),
    "no probabilities": (
        lambda: compare_graphs({"m": CHAIN}, truth=CHAIN).plot_calibration(),
        "no method has edge probabilities",
    ),
    "no truth": (
        lambda: compare_graphs({"m": CHAIN}).plot_precision_recall(),
        "pass truth=",
    ),
}


@pytest.mark.parametrize(("call", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(call, message):
    with pytest.raises(GraphError, match=message):
        call()


def test_targets_of_another_shape_are_refused():
    with pytest.raises(ShapeError, match=r"targets must be booleans \(rows, 3\)"):
        compare_graphs({"m": CHAIN}, truth=CHAIN, targets=np.zeros((2, 2), dtype=bool))
