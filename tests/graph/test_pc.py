"""PC and GES: causal-learn's stored outputs, and no side effects.

The stored matrices were written by causal-learn's own test suite (chi-squared or G-squared test at
0.05, stable skeleton, stronger colliders first); the shared data's README gives commit and codes.
"""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ctvae.errors import DataError
from ctvae.graph import (
    GES,
    PC,
    BDeuScores,
    CausalGraph,
    ChiSquared,
    DiscoveryMethod,
    DiscoveryStatus,
    GSquared,
    learn_graph,
    shd,
)
from ctvae.slots import SlotSpace


def read_codes(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.loadtxt(path, skiprows=1, dtype=np.int64))


def read_truth(path: Path) -> CausalGraph:
    text = path.read_text()
    nodes = text.splitlines()[1].split(";")
    return CausalGraph.from_edges(re.findall(r"(\S+) --> (\S+)", text), nodes=nodes)


def named(codes: torch.Tensor) -> SlotSpace:
    sizes = {f"X{k + 1}": int(n) + 1 for k, n in enumerate(codes.amax(0))}
    return SlotSpace.from_cardinalities(sizes)


@pytest.mark.parametrize(
    "name", ["asia", "cancer", "earthquake", "survey", "sachs", "child", "alarm"]
)
def test_pc_equals_the_stored_output(shared_data, name):
    codes = read_codes(shared_data / f"bnlearn/samples/{name}.txt.gz") - 1
    stored = np.loadtxt(shared_data / f"bnlearn/expected/{name}_pc_chisq_0.05_stable_0_-1.txt")
    result = learn_graph(codes, named(codes), method=PC(alpha=0.05, test=ChiSquared()))
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, stored)
    assert result.graph == CausalGraph.from_causallearn(stored)
    assert result.status is DiscoveryStatus.DONE


def test_pc_equals_the_stored_output_of_insurance(shared_data):
    """One state of OtherCarCost never occurs in the file, so its codes are ranks among three."""
    codes = read_codes(shared_data / "bnlearn/samples/insurance.txt.gz") - 1
    stored = np.loadtxt(shared_data / "bnlearn/expected/insurance_pc_chisq_0.05_stable_0_-1.txt")
    result = learn_graph(codes, named(codes), method=PC(alpha=0.05, test=ChiSquared()))
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, stored)


@pytest.mark.parametrize(("test", "name"), [(GSquared(), "gsq"), (ChiSquared(), "chisq")])
def test_pc_equals_the_stored_output_on_twenty_slots(shared_data, test, name):
    folder = shared_data / "causal_learn_tests"
    stored = np.loadtxt(folder / f"discrete_10_pc_{name}_0.05_stable_0_-1.txt")
    codes = read_codes(folder / "data_discrete_10.txt.gz")
    result = learn_graph(codes, method=PC(alpha=0.05, test=test))
    np.testing.assert_array_equal(result.graph.to_causallearn().graph, stored)


@pytest.mark.parametrize(("name", "most"), [("asia", 2), ("earthquake", 0)])
def test_ges_finds_a_class_at_least_as_good_as_the_truth(shared_data, name, most):
    """10,000 rows do not show asia's weak edge X1 -> X2; the score must be no worse for it."""
    codes = read_codes(shared_data / f"bnlearn/samples/{name}.txt.gz") - 1
    truth = read_truth(shared_data / f"bnlearn/truth/{name}.graph.txt")
    slots = named(codes)
    result = learn_graph(codes, slots, method=GES())
    assert result.status is DiscoveryStatus.DONE
    assert shd(result.graph, truth.cpdag()) <= most
    local = BDeuScores(codes, slots.cardinalities, equivalent_sample_size=1.0)
    edge_prior = math.log(1 / (len(slots) - 2))

    def total(graph: CausalGraph) -> float:
        parents = [[slots.index(p) for p in graph.parents(n)] for n in slots.names]
        return float(local.total(parents)) + edge_prior * graph.num_edges

    assert total(result.graph.consistent_extension()) >= total(truth) - 1e-9
    for a, b in result.graph.directed:
        assert (result.evidence(a, b).score_gain or 0.0) > 0


@pytest.fixture(scope="module")
def collider():
    rng = np.random.default_rng(0)
    a, b = rng.integers(3, size=(2, 3000))
    c = (np.maximum(a, b) + (rng.random(3000) < 0.1)) % 3
    d = (c + (rng.random(3000) < 0.2)) % 3
    return torch.from_numpy(np.stack([d, b, c, a], 1))


METHODS: dict[str, DiscoveryMethod] = {"PC": PC(), "GES": GES()}


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_collider_and_relabelling(collider, method, capsys):
    names = ["d", "b", "c", "a"]
    options, filters = pd.get_option("display.max_rows"), list(warnings.filters)
    result = learn_graph(
        collider, SlotSpace.from_cardinalities(dict.fromkeys(names, 3)), method=method
    )
    want = CausalGraph.from_edges([("a", "c"), ("b", "c"), ("c", "d")])
    assert result.graph == want
    order = [3, 2, 0, 1]
    slots = SlotSpace.from_cardinalities(dict.fromkeys((names[k] for k in order), 3))
    assert learn_graph(collider[:, order], slots, method=method).graph == want
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""
    assert pd.get_option("display.max_rows") == options
    assert list(warnings.filters) == filters
    assert result.rows_used == 3000
    assert result.cpu_seconds > 0


def test_pc_evidence(collider):
    result = learn_graph(collider, method=PC())
    parted = result.evidence(3, 0)
    assert parted.mark == "none"
    assert "slot2" in (parted.separating_set or ())
    assert (parted.p_value or 0.0) > 0.01
    assert result.evidence(0, 3).p_value == parted.p_value
    assert "slot2" in str(parted)
    joined = result.evidence("slot3", "slot2")
    assert joined.mark == "->"
    assert (joined.p_value if joined.p_value is not None else 1.0) < 0.01
    assert joined.score_gain is None


def test_thin_tables_are_reported():
    """At 64 codes and 2,000 rows a table has fewer rows than cells, and PC parts everything."""
    rng = np.random.default_rng(0)
    a = rng.integers(64, size=2000)
    b = np.where(rng.random(2000) < 0.05, a, rng.integers(64, size=2000))
    codes = torch.from_numpy(np.stack([a, b, rng.integers(64, size=2000)], 1))
    result = learn_graph(codes, method=PC())
    assert result.status is DiscoveryStatus.FEW_ROWS_PER_CELL
    assert "merge codes" in result.status.advice


def test_conditioning_limit_and_trivial_slots(collider):
    shallow = learn_graph(collider, method=PC(max_conditioning=0))
    full = learn_graph(collider, method=PC())
    assert shallow.graph.num_edges > full.graph.num_edges
    for method in METHODS.values():
        assert learn_graph(collider[:, :1], method=method).graph.num_edges == 0
        pair = learn_graph(collider[:, [0, 2]], method=method).graph
        assert pair.undirected == {("slot0", "slot1")}
        apart = learn_graph(collider[:, [1, 3]], method=method).graph
        assert apart.num_edges == 0


BAD = {
    "alpha 0": (lambda: PC(alpha=0.0), "above 0 and below 1; got 0.0"),
    "alpha nan": (lambda: PC(alpha=float("nan")), "got nan"),
    "alpha a": (lambda: PC(alpha="a"), "above 0 and below 1; got 'a'"),  # type: ignore[arg-type]
    "half a slot": (lambda: PC(max_conditioning=0.5), "an integer at least 0"),  # type: ignore[arg-type]
    "conditioning": (lambda: PC(max_conditioning=-1), "at least 0, or None, got -1"),
    "test": (
        lambda: PC(test="gsq"),  # type: ignore[arg-type]  # what a user may write
        "object with bind.*, got 'gsq'",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_settings_are_refused(make, message):
    with pytest.raises(DataError, match=message):
        make()
