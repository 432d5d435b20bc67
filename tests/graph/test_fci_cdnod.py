"""FCI and CD-NOD against causal-learn's own, with the same tests."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
import torch

import ctvae as ct
from ctvae.errors import DataError, RegimeError
from ctvae.graph import (
    CDNOD,
    FCI,
    CausalGraph,
    ChiSquared,
    DiscoveryStatus,
    GraphKind,
    Knowledge,
    learn_graph,
)
from ctvae.regimes import Regime, Samples
from tests.graph.oracles import random_dag, sample_scm
from tests.graph.test_pc import read_codes


def quietly(search: Any, *arguments: Any, **settings: Any) -> Any:
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return search(*arguments, show_progress=False, **settings)


def their_fci(codes: np.ndarray, alpha: float) -> np.ndarray:
    from causallearn.search.ConstraintBased.FCI import fci

    return quietly(fci, codes, "chisq", alpha)[0].graph


@pytest.mark.parametrize("seed", range(6))
def test_fci_equals_causal_learns_with_hidden_causes(seed):
    rng = np.random.default_rng(seed)
    matrix = random_dag(8, 10, rng)
    seen = sorted(rng.choice(8, 6, replace=False))  # two slots are hidden
    codes = sample_scm(matrix, [2] * 8, 2000, rng, tables={})[:, seen]
    result = learn_graph(torch.from_numpy(codes), method=FCI(alpha=0.05, test=ChiSquared()))
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, their_fci(codes, 0.05))


@pytest.mark.parametrize("name", ["cancer", "earthquake", "survey", "sachs"])
def test_fci_equals_the_stored_output(shared_data, name, capsys):
    """asia, child and alarm were stored by an older causal-learn; today's differs there itself."""
    codes = read_codes(shared_data / f"bnlearn/samples/{name}.txt.gz") - 1
    stored = np.loadtxt(shared_data / f"bnlearn/expected/{name}_fci_chisq_0.05.txt")
    result = learn_graph(codes, method=FCI(alpha=0.05, test=ChiSquared()))
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, stored)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["asia", "child"])
def test_fci_equals_causal_learns_of_today(shared_data, name):
    codes = read_codes(shared_data / f"bnlearn/samples/{name}.txt.gz") - 1
    result = learn_graph(codes, method=FCI(alpha=0.05, test=ChiSquared()))
    theirs = their_fci(codes.numpy(), 0.05)
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, theirs)
    x, y = next(
        (a, b)
        for a in result.graph.nodes
        for b in result.graph.nodes
        if a < b and not result.graph.adjacent(a, b)
    )
    assert (result.evidence(x, y).p_value or 0.0) > 0.05


def test_fci_shows_a_hidden_common_cause():
    rng = np.random.default_rng(0)
    a, b, hidden = rng.integers(2, size=(3, 5000))
    c = np.where(rng.random(5000) < 0.8, a + hidden, rng.integers(3, size=5000))
    d = np.where(rng.random(5000) < 0.8, b + hidden, rng.integers(3, size=5000))
    graph = learn_graph(torch.from_numpy(np.stack([a, b, c, d], 1)), method=FCI()).graph
    assert graph == CausalGraph.from_edges(
        bidirected=[("slot2", "slot3")],
        circle_arrow=[("slot0", "slot2"), ("slot1", "slot3")],
    )
    assert graph.kind is GraphKind.PAG


def regimes_of(matrix: np.ndarray, rng: np.random.Generator, changed: list[int]) -> torch.Tensor:
    tables: dict[int, np.ndarray] = {}
    first = sample_scm(matrix, [2] * len(matrix), 1500, rng, tables=tables)
    other = {key: value for key, value in tables.items() if key not in changed}
    second = sample_scm(matrix, [2] * len(matrix), 1500, rng, tables=other)
    return torch.from_numpy(np.concatenate([first, second]))


@pytest.mark.parametrize("seed", range(5))
def test_cd_nod_equals_causal_learns(seed):
    from causallearn.search.ConstraintBased.CDNOD import cdnod

    rng = np.random.default_rng(seed)
    matrix = random_dag(5, 6, rng)
    codes = regimes_of(matrix, rng, [int(rng.integers(5))])
    regimes = torch.arange(3000) // 1500
    result = learn_graph(codes, method=CDNOD(alpha=0.05), regimes=regimes)
    theirs = quietly(cdnod, codes.numpy(), regimes.numpy()[:, None], 0.05, "gsq", uc_priority=3)
    endpoints = theirs.G.graph
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, endpoints[:-1, :-1])
    want = tuple(f"slot{k}" for k in range(5) if endpoints[k, -1])
    assert result.changing_slots == want
    assert result.rows_used == 3000


def test_cd_nod_finds_what_changes_and_directs_by_it(shared_data):
    scm = ct.SCM.from_bif(shared_data / "bnlearn" / "bif" / "sachs.bif.gz")
    law = scm.mechanisms["PKA"].table()
    world = scm.do({"PKA": ct.Soft(law / 2 + 1 / (2 * law.shape[-1]))})
    codes = torch.cat([scm.sample(4000, seed=0), world.sample(4000, seed=1)])
    result = learn_graph(codes, scm.slots, method=CDNOD(), regimes=torch.arange(8000) // 4000)
    assert "PKA" in (result.changing_slots or ())
    assert result.graph.mark("PKC", "PKA") == "->"  # no observational row tells
    targets = torch.zeros(8000, len(scm.slots), dtype=torch.bool)
    targets[4000:, scm.slots.index("PKA")] = True
    samples = Samples(codes, scm.slots, Regime.INTERVENTIONAL, targets)
    assert learn_graph(samples, method=CDNOD()).graph == result.graph


def test_cd_nod_tells_of_the_regime_and_of_what_it_cannot_place():
    draw = torch.Generator().manual_seed(0)
    regimes = torch.arange(2000) // 1000
    a = (torch.rand(2000, generator=draw) < 0.3 + 0.4 * regimes).long()
    b = a ^ (torch.rand(2000, generator=draw) < 0.1).long()
    result = learn_graph(torch.stack([a, b], 1), method=CDNOD(), regimes=regimes)
    assert result.changing_slots == ("slot0",)
    assert result.status is DiscoveryStatus.DONE
    assert result.evidence("(regime)", "slot0").mark == "->"
    assert result.evidence("(regime)", "slot1").mark == "none"
    assert result.evidence("slot1", "(regime)").separating_set == ("slot0",)
    # either of two equal slots parts the regime from the other
    result = learn_graph(torch.stack([a, a], 1), method=CDNOD(), regimes=regimes)
    assert result.changing_slots == ()
    assert result.status is DiscoveryStatus.UNPLACED_CHANGE


def test_cd_nod_needs_two_regimes():
    with pytest.raises(RegimeError, match="these rows are of one only; pass regimes="):
        learn_graph(torch.zeros(5, 2, dtype=torch.long), method=CDNOD())


@pytest.mark.parametrize("make", [lambda: FCI(alpha=2.0), lambda: CDNOD(max_conditioning=-1)])
def test_bad_settings_are_refused(make):
    with pytest.raises(DataError, match=r"alpha is the level|at least 0"):
        make()


def test_both_obey_knowledge():
    rng = np.random.default_rng(3)
    codes = regimes_of(random_dag(4, 4, rng), rng, [1])
    rules = Knowledge(tiers=[["slot3", "slot2"], ["slot1", "slot0"]])
    regimes = torch.arange(3000) // 1500
    for method, rows in ((CDNOD(), regimes), (FCI(), None)):
        result = learn_graph(codes, method=method, knowledge=rules, regimes=rows)
        assert rules.allows(result.graph)
        assert result.status in {DiscoveryStatus.DONE, DiscoveryStatus.INVALID_CPDAG}


def test_one_slot_is_a_graph_without_edges():
    assert learn_graph(torch.arange(6)[:, None] % 2, method=FCI()).graph.num_edges == 0
