"""Weights of rows: every method learns what it learns from the rows written again."""

from __future__ import annotations

import pytest
import torch

import ctvae as ct
from ctvae.errors import DataError
from ctvae.graph import (
    BIC,
    CDNOD,
    GES,
    BDeu,
    DiscoveryMethod,
    GaussianBIC,
    InterventionalBDeu,
    LocalScore,
    OrderMCMC,
    bootstrap,
    held_out_calibration,
    learn_graph,
    permute_columns,
)
from ctvae.inference.em import learn_tables
from ctvae.regimes import Regime, Samples
from ctvae.slots import SlotSpace
from tests.graph.test_bad_data import METHODS

SLOTS = SlotSpace.from_cardinalities({"a": 2, "b": 2, "c": 2})
ROWS = 240


def rows(device: torch.device, **parts: torch.Tensor) -> Samples:
    """A chain a -> b -> c in rows of 0 to 3 units each."""
    generator = torch.Generator().manual_seed(0)
    flips = (torch.rand(ROWS, 3, generator=generator) < torch.tensor([0.5, 0.2, 0.15])).long()
    weights = torch.randint(4, (ROWS,), generator=generator)
    return Samples(
        (flips.cumsum(1) % 2).to(device),
        SLOTS,
        Regime.INTERVENTIONAL if parts else Regime.OBSERVATIONAL,
        weights=weights.to(device),
        **{name: part.to(device) for name, part in parts.items()},
    )


def same(method: DiscoveryMethod, weighted: Samples) -> None:
    found = learn_graph(weighted, method=method, seed=0)
    again = learn_graph(weighted.unweighted(), method=method, seed=0)
    assert found.graph == again.graph
    assert found.graph.num_edges > 0
    assert found.rows_used == again.rows_used
    assert found.status == again.status
    for name in ("edge_probabilities", "target_probabilities"):
        ours, theirs = getattr(found, name), getattr(again, name)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)
    for pair, one in found.edge_evidence.items():
        other = again.edge_evidence[pair]
        assert one.score_gain == pytest.approx(other.score_gain)
        assert one.p_value == pytest.approx(other.p_value)


@pytest.mark.parametrize("name", METHODS)
def test_weights_are_rows_written_again(name, device):
    method = METHODS[name](2)
    regimes = {"regimes": torch.arange(ROWS) % 2} if isinstance(method, CDNOD) else {}
    same(method, rows(device, **regimes))


@pytest.mark.parametrize("method", [InterventionalBDeu(), OrderMCMC(starts=2, num_samples=4)])
@pytest.mark.parametrize("known", [True, False])
def test_weights_under_interventions(method, known, device):
    regimes = (torch.arange(ROWS) >= 150).long() * (1 + torch.arange(ROWS) % 2)
    targets = regimes[:, None] == torch.tensor([1, 2, 3])
    same(method, rows(device, **({"targets": targets} if known else {"regimes": regimes})))


@pytest.mark.parametrize("score", [BDeu(), BIC(), GaussianBIC()], ids=repr)
def test_scores_count_as_often_as_a_row_does(score: LocalScore, device):
    weighted = rows(device)
    assert weighted.weights is not None
    data = weighted.codes + (weighted.codes == 1) * 3  # codes that do not occur
    data = torch.where(weighted.weights[:, None] == 0, 2, data)
    if isinstance(score, GaussianBIC):
        data = data.double()
    written = data.repeat_interleave(weighted.weights, 0)
    sets = [(), (0,), (0, 1)]
    ours = score.bind(data, weights=weighted.weights).scores.batch(2, sets)
    torch.testing.assert_close(ours, score.bind(written).scores.batch(2, sets))
    with pytest.raises(DataError, match="0 or more, got -1"):
        score.bind(data, weights=weighted.weights - 1)


def test_resamples_are_of_units():
    weighted = rows(torch.device("cpu"))
    for again in (bootstrap, permute_columns):
        ours = again(weighted, method=GES(), seed=1)
        assert ours.graphs == again(weighted.unweighted(), method=GES(), seed=1).graphs


def test_held_out_rows_and_laws_are_of_units():
    regimes = (torch.arange(ROWS) >= 150).long() * (1 + torch.arange(ROWS) % 2)
    targets = regimes[:, None] == torch.tensor([1, 2, 3])
    weighted = rows(torch.device("cpu"), targets=targets)
    written = weighted.unweighted()
    ours, theirs = (
        held_out_calibration(one, method=InterventionalBDeu()) for one in (weighted, written)
    )
    torch.testing.assert_close(ours.log_bayes_factors, theirs.log_bayes_factors, equal_nan=True)
    graph = ct.CausalGraph.from_edges([("a", "b"), ("b", "c")])
    laws = [ct.SCM.fit(graph, one).query("c", {"b": 1}) for one in (weighted, written)]
    torch.testing.assert_close(*laws)
    with pytest.raises(DataError, match=r"pass samples\.unweighted\(\)"):
        learn_tables(weighted, {"a": (), "b": (0,), "c": (1,)})
