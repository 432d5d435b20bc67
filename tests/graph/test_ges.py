"""Greedy equivalence search against causal-learn, stored outputs and the score of the truth."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ctvae as ct
from ctvae.errors import DataError
from ctvae.graph import GES, BDeu, CausalGraph, DiscoveryStatus, learn_graph, shd
from ctvae.graph.class_search import greedy_equivalence_search
from ctvae.graph.knowledge import Knowledge
from ctvae.slots import SlotSpace
from tests.graph.oracles import dags, sample_scm
from tests.graph.test_pc import read_codes


def their_ges(codes: torch.Tensor) -> np.ndarray:
    from causallearn.search.ScoreBased.GES import ges

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ges(codes.numpy(), score_func="local_score_BDeu")
    return CausalGraph.from_causallearn(found["G"].graph).to_numpy()


@pytest.mark.parametrize("seed", range(6))
def test_it_equals_causal_learn_on_random_networks(seed):
    rng = np.random.default_rng(seed)
    slots = int(rng.integers(4, 8))
    matrix = np.triu(rng.random((slots, slots)) < 0.4, 1).astype(np.int8)
    order = rng.permutation(slots)
    cards = rng.integers(2, 4, size=slots).tolist()
    codes = sample_scm(matrix[np.ix_(order, order)], cards, 1500, rng, tables={})
    rows = torch.from_numpy(codes)
    ours = learn_graph(rows, method=GES()).graph.to_numpy()
    np.testing.assert_array_equal(ours, their_ges(rows))


def test_it_equals_the_stored_output_on_twenty_slots(shared_data):
    folder = shared_data / "causal_learn_tests"
    stored = np.loadtxt(folder / "discrete_10_ges_local_score_BDeu_none_none.txt")
    codes = read_codes(folder / "data_discrete_10.txt.gz")
    result = learn_graph(codes, method=GES())
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, stored)


@settings(max_examples=40, deadline=None)
@given(dags(2, 6), st.integers(0, 10**6))
def test_with_a_score_of_the_law_itself_it_finds_the_true_class(graph, seed):
    """Entropies of the joint law in the place of counts: nothing is left to chance."""
    scm = ct.SCM.from_edges(
        graph.directed, cardinality=dict.fromkeys(graph.nodes, 2), concentration=1.0, seed=seed
    )
    joint = scm.query(list(graph.nodes)).numpy()

    def entropy(kept: int) -> float:
        law = joint.sum(tuple(k for k in range(joint.ndim) if not kept >> k & 1))
        return -float((law * np.log(np.where(law > 0, law, 1))).sum())

    def worth(child: int, sets: Sequence[int]) -> list[float]:
        return [
            1e9 * (entropy(s) - entropy(s | 1 << child)) - 10 * 2 ** s.bit_count() for s in sets
        ]

    matrix = greedy_equivalence_search(len(graph.nodes), worth, Knowledge().over(graph.nodes))
    assert CausalGraph.from_numpy(matrix, graph.nodes) == graph.cpdag()


NETWORKS = {"sachs": 1, "child": 1, "alarm": 6}
"""The largest distance to the CPDAG of the truth that is accepted; for Alarm no line is set."""


@pytest.mark.parametrize("name", NETWORKS)
def test_it_finds_published_networks(name, shared_data):
    scm = ct.SCM.from_bif(shared_data / "bnlearn" / "bif" / f"{name}.bif.gz")
    order = np.random.default_rng(1).permutation(len(scm.slots)).tolist()
    codes = scm.sample(5000, seed=0)[:, order]
    result = learn_graph(codes, SlotSpace([scm.slots[k] for k in order]), method=GES())
    assert result.status is DiscoveryStatus.DONE
    assert shd(result.graph, scm.graph.cpdag()) <= NETWORKS[name]


def test_permuting_columns_changes_nothing():
    rng = np.random.default_rng(5)
    matrix = np.triu(rng.random((6, 6)) < 0.5, 1).astype(np.int8)
    codes = torch.from_numpy(sample_scm(matrix, [3] * 6, 300, rng, tables={}))
    names = [f"n{k}" for k in range(6)]
    order = [4, 1, 5, 0, 3, 2]
    both = [
        learn_graph(
            codes[:, some],
            SlotSpace.from_cardinalities({names[k]: 3 for k in some}),
            method=GES(),
        )
        for some in (list(range(6)), order)
    ]
    assert both[0].graph == both[1].graph
    assert both[0].evidence("n0", "n4") == both[1].evidence("n0", "n4")


def test_settings_and_devices(device):
    rng = np.random.default_rng(2)
    matrix = np.triu(np.ones((4, 4)), 1).astype(np.int8)
    codes = torch.from_numpy(sample_scm(matrix, [3] * 4, 800, rng, tables={})).to(device)
    heavy = learn_graph(codes, method=GES(score=BDeu(edge_penalty=1e6))).graph
    assert heavy.num_edges == 0
    light = learn_graph(codes, method=GES(score=BDeu(edge_penalty=0.0))).graph
    usual = learn_graph(codes, method=GES()).graph
    assert light.num_edges >= usual.num_edges > 0
    explicit = learn_graph(codes, method=GES(score=BDeu(edge_penalty=math.log(2)))).graph
    assert explicit == usual
    with pytest.raises(DataError, match="above 0 rows"):
        BDeu(equivalent_sample_size=0.0)
    with pytest.raises(DataError, match="at least 0 nats, got -1"):
        BDeu(edge_penalty=-1.0)
