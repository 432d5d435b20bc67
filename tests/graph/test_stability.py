"""Bootstrap and permuted columns: same answers on every backend, and what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ctvae.errors import DataError
from ctvae.graph import (
    BOSS,
    GES,
    PC,
    CausalGraph,
    DiscoveryMethod,
    GRaSP,
    InterventionalBDeu,
    OrderMCMC,
    Stability,
    bootstrap,
    permute_columns,
)
from ctvae.slots import SlotSpace
from tests.graph.oracles import random_dag, sample_scm

SCORE_BASED: dict[str, DiscoveryMethod] = {
    "GES": GES(),
    "BOSS": BOSS(),
    "GRaSP": GRaSP(),
    "OrderMCMC": OrderMCMC(starts=4, num_samples=5),
    "InterventionalBDeu": InterventionalBDeu(),
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    a = rng.integers(2, size=400)
    b = np.where(rng.random(400) < 0.1, 1 - a, a)
    c = rng.integers(2, size=400)
    weak = np.where(rng.random(400) < 0.43, 1 - c, c)
    return torch.from_numpy(np.stack([a, b, c, weak], 1))


def test_the_share_of_resamples_says_how_strong_an_edge_is(rows):
    found = bootstrap(rows, method=GES(), num_resamples=60, seed=0)
    assert len(found.graphs) == 60
    assert found.adjacent[0, 1] == 1.0
    assert 0 < found.adjacent[2, 3] < 1
    assert found.adjacent[0, 2] < 0.5
    np.testing.assert_array_equal(found.adjacent, found.adjacent.T)
    assert (found.directed + found.directed.T <= found.adjacent + 1e-12).all()
    assert found.consensus().adjacent("slot0", "slot1")
    assert found.mean_shd > 0


def test_backends_and_processes_change_nothing(rows):
    import joblib
    from dask.distributed import Client, LocalCluster

    plain = bootstrap(rows, method=PC(), num_resamples=4, seed=3)
    two = bootstrap(rows, method=PC(), num_resamples=4, seed=3, n_jobs=2)
    local: Any = LocalCluster
    connect: Any = Client
    cluster = local(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
    with cluster, connect(cluster), joblib.parallel_config(backend="dask"):
        remote = bootstrap(rows, method=PC(), num_resamples=4, seed=3, n_jobs=-1)
    assert plain.graphs == two.graphs == remote.graphs


@pytest.mark.parametrize("method", SCORE_BASED.values(), ids=SCORE_BASED.keys())
@pytest.mark.parametrize("seed", range(3))
def test_no_score_based_method_depends_on_the_order_of_the_columns(method, seed):
    rng = np.random.default_rng(seed)
    codes = sample_scm(random_dag(6, 7, rng), [2, 3, 2, 2, 3, 2], 200, rng, tables={})
    targets = torch.zeros(200, 6, dtype=torch.bool)
    targets[150:, 2] = True
    found = permute_columns(
        torch.from_numpy(codes), method=method, num_orders=4, targets=targets, seed=seed
    )
    assert found.mean_shd == 0.0


def test_regimes_keep_their_sizes():
    class Counting:
        def discover(self, samples, *, knowledge=None, seed=0):
            sizes = samples.regimes.bincount().tolist()
            assert sizes == [30, 20, 10]
            return GES().discover(samples, knowledge=knowledge, seed=seed)

    regimes = torch.arange(3).repeat_interleave(torch.tensor([30, 20, 10]))
    codes = torch.randint(2, (60, 3), generator=torch.Generator().manual_seed(0))
    assert len(bootstrap(codes, method=Counting(), regimes=regimes, num_resamples=3).graphs) == 3


def test_failures_are_kept_and_progress_is_told(rows):
    class Fragile:
        def discover(self, samples, *, knowledge=None, seed=0):
            if seed % 2:
                msg = "odd seeds are refused"
                raise DataError(msg)
            return GES().discover(samples, knowledge=knowledge, seed=seed)

    class Broken:
        def discover(self, samples, *, knowledge=None, seed=0):
            msg = "nothing works"
            raise DataError(msg)

    told: list[tuple[int, int]] = []
    found = bootstrap(
        rows, method=Fragile(), num_resamples=8, progress=lambda *step: told.append(step)
    )
    assert len(found.graphs) + len(found.failures) == 8
    assert found.failures[0].reason == "odd seeds are refused"
    assert told == [(k + 1, 8) for k in range(8)]
    with pytest.raises(DataError, match=r"all 3 runs .* failed; the first: nothing works"):
        bootstrap(rows, method=Broken(), num_resamples=3)


@pytest.mark.parametrize("n_jobs", [0, 1.5, True, "2"])
def test_a_wrong_number_of_processes_is_refused(rows, n_jobs):
    for ask in (bootstrap, permute_columns):
        with pytest.raises(DataError, match="n_jobs= takes an integer of at least 1, or -1"):
            ask(rows, method=GES(), n_jobs=n_jobs)


def test_consensus_makes_no_cycle():
    edges = [("a", "b"), ("b", "c"), ("c", "a")]
    graphs = tuple(
        CausalGraph.from_edges([e for e in edges if e != left], nodes=["a", "b", "c"])
        for left in edges
    )
    found = Stability(graphs).consensus()
    assert found.undirected == {("a", "b"), ("b", "c"), ("a", "c")}
    with pytest.raises(DataError, match="threshold is a share"):
        Stability(graphs).consensus(0.2)


def test_names_stay_with_their_columns(rows):
    slots = SlotSpace.from_cardinalities({"z": 2, "y": 2, "x": 2, "w": 2})
    found = permute_columns(rows, slots, method=PC(), num_orders=3)
    assert found.nodes == ("z", "y", "x", "w")
    assert found.adjacent[0, 1] == 1.0
