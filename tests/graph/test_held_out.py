"""Calibration on held-out interventions: against the true descendants of known models."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import ctvae as ct
from ctvae.errors import DataError, GraphError, RegimeError
from ctvae.graph import (
    GES,
    CausalGraph,
    DiscoveryResult,
    DiscoveryStatus,
    HeldOutCalibration,
    InterventionalBDeu,
    Knowledge,
    OrderMCMC,
    held_out_calibration,
)
from ctvae.graph.marginal_changes import change_evidence
from ctvae.metrics import calibration_band, calibration_error
from ctvae.randomness import Seed
from ctvae.regimes import Regime, Samples
from tests.graph.oracles import drawn_scm

EDGES = [("a", "b"), ("b", "c"), ("d", "c")]
SCM = ct.SCM.from_edges(EDGES, cardinality=dict.fromkeys("abcde", 3), concentration=0.3, seed=4)
BELOW = torch.tensor([[child in SCM.graph.descendants(s) for child in "abcde"] for s in "abcde"])
APART = ~torch.eye(5, dtype=torch.bool)


def rows_of(scm: ct.SCM, targets: str, *, natural: int, each: int, seed: int) -> Samples:
    """Observational rows, and rows in which each target was drawn evenly."""
    generator = torch.Generator().manual_seed(seed)
    codes, done = [scm.sample(natural, seed=seed)], [torch.zeros(natural, len(scm.slots)).bool()]
    for place, name in enumerate(targets):
        values = torch.randint(scm.slots[name].cardinality, (each,), generator=generator)
        codes.append(scm.do({name: values}).sample(1, seed=seed + 1000 * (place + 1))[0])
        done.append(torch.zeros(each, len(scm.slots), dtype=torch.bool))
        done[-1][:, scm.slots.index(name)] = True
    return Samples(torch.cat(codes), scm.slots, Regime.INTERVENTIONAL, torch.cat(done))


ROWS = rows_of(SCM, "abcde", natural=3000, each=1500, seed=0)


@dataclass(frozen=True)
class Says:
    """A method that says what it was told to, and notes the rows that it was shown."""

    graph: CausalGraph
    probabilities: torch.Tensor | None = None
    shown: list[Samples] | None = None

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        if self.shown is not None:
            self.shown.append(samples)
        return DiscoveryResult(
            self.graph,
            DiscoveryStatus.DONE,
            self,
            len(samples),
            0.0,
            descendant_probabilities=self.probabilities,
        )


def one_law(codes: list[int], size: int) -> float:
    """The marginal likelihood, code by code: each by Laplace's rule of succession."""
    total, counts = 0.0, [0] * size
    for seen, code in enumerate(codes):
        total += math.log((counts[code] + 1) / (seen + size))
        counts[code] += 1
    return total


@given(st.data())
def test_evidence_equals_the_rule_of_succession(data):
    sizes = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=3))
    row = st.tuples(*(st.integers(0, size - 1) for size in sizes))
    natural, done = (data.draw(st.lists(row, min_size=1, max_size=12)) for _ in range(2))
    target = data.draw(st.integers(0, len(sizes) - 1))
    found = change_evidence(torch.tensor(natural), torch.tensor(done), target, sizes)
    for k, size in enumerate(sizes):
        if k == target:
            assert math.isnan(found[k])
            continue
        values = {row[target] for row in done}
        groups = [[r[k] for r in done if r[target] == value] for value in values]
        groups.append([r[k] for r in natural])
        apart = sum(one_law(group, size) for group in groups)
        together = one_law([code for group in groups for code in group], size)
        assert float(found[k]) == pytest.approx(apart - together, abs=1e-9)


def test_a_change_that_the_mean_over_values_hides_is_seen():
    fair = torch.arange(2000) % 2
    copies = torch.stack([fair, fair], 1)
    assert float(change_evidence(copies, copies, 0, (2, 2))[1]) > 100
    coin = torch.stack([fair, torch.arange(2000) // 2 % 2], 1)
    assert float(change_evidence(coin, coin, 0, (2, 2))[1]) < -3


def test_the_rows_show_who_is_a_descendant():
    found = held_out_calibration(ROWS, method=Says(SCM.graph))
    assert found.targets == found.slots == tuple("abcde")
    assert found.rows.tolist() == [1500] * 5
    assert bool(found.decided[APART].all())
    assert torch.equal(found.changed, BELOW)
    assert not bool(found.decided[~APART].any())


def test_who_knows_the_graph_has_no_error_and_who_knows_nothing_has_some():
    base = float(BELOW[APART].double().mean())
    oracle = held_out_calibration(ROWS, method=Says(SCM.graph))
    assert (oracle.brier, oracle.calibration_error, oracle.chance_error) == (0.0, 0.0, 0.0)
    half = held_out_calibration(ROWS, method=Says(SCM.graph, torch.full((5, 5), 0.5)))
    assert half.brier == pytest.approx(0.25)
    assert half.calibration_error == pytest.approx(abs(0.5 - base))
    rate = held_out_calibration(
        ROWS, method=Says(SCM.graph, torch.full((5, 5), base, dtype=torch.float64))
    )
    assert rate.brier == pytest.approx(base * (1 - base)) == rate.base_rate_brier
    assert rate.calibration_error == pytest.approx(0.0)
    turned = CausalGraph.from_edges([(b, a) for a, b in EDGES], nodes=tuple("abcde"))
    turned_round = held_out_calibration(ROWS, method=Says(turned))
    assert turned_round.brier == pytest.approx(float((BELOW != BELOW.T).double().sum() / 20))
    assert turned_round.calibration_error > turned_round.chance_error


@pytest.mark.parametrize(
    "method", [InterventionalBDeu(), OrderMCMC(num_samples=200)], ids=["exact", "search"]
)
def test_a_posterior_beats_the_base_rate(method, device):
    assert ROWS.targets is not None
    rows = replace(ROWS, codes=ROWS.codes.to(device), targets=ROWS.targets.to(device))
    found = held_out_calibration(rows, method=method)
    assert found.probabilities.device.type == found.log_bayes_factors.device.type == "cpu"
    assert found.brier < 0.05 < found.base_rate_brier


def test_over_models_of_its_own_prior_a_posterior_is_calibrated_and_verdicts_are_right():
    """Models drawn from the prior, judged by their true descendants and by the rows alone."""
    method = InterventionalBDeu(equivalent_sample_size=10.0)
    found, below = [], []
    for seed in range(100):
        scm = drawn_scm(np.random.default_rng(seed), 10.0)
        rows = rows_of(scm, "abc", natural=300, each=2000, seed=seed)
        found.append(held_out_calibration(rows, method=method))
        below.append([[child in scm.graph.descendants(s) for child in "abc"] for s in "abc"])
    said, factors = (
        torch.stack([getattr(one, name) for one in found])
        for name in ("probabilities", "log_bayes_factors")
    )
    true, apart = torch.tensor(below), ~torch.eye(3, dtype=torch.bool).expand(100, 3, 3)
    end = calibration_band(said[apart], bins=10, level=0.998, simulations=500)[1]
    assert calibration_error(said[apart], true[apart], bins=10) < end
    turned = said.transpose(1, 2)  # ancestors in the place of descendants
    end = calibration_band(turned[apart], bins=10, level=0.998, simulations=500)[1]
    assert calibration_error(turned[apart], true[apart], bins=10) > end
    decided = factors.abs() >= 3
    assert float(decided[apart].double().mean()) > 0.85
    false_changes = (factors >= 3) & ~true & apart
    assert int(false_changes.sum()) <= math.exp(-3) * int((~true & apart).sum())
    assert float(((factors > 0) == true)[decided].double().mean()) > 0.95


def test_a_target_is_never_learned_from_and_all_else_is():
    both = rows_of(SCM, "ab", natural=50, each=20, seed=1)
    assert both.targets is not None
    both.targets[-5:] = torch.tensor([True, True, False, False, False])  # five rows set a and b
    shown: list[Samples] = []
    found = held_out_calibration(both, method=Says(SCM.graph, shown=shown), decisive=1e-9)
    assert found.targets == ("a", "b")
    assert found.rows.tolist() == [20, 15]
    for samples, target, rows in zip(shown, (0, 1), (65, 70), strict=True):
        assert len(samples) == rows
        assert samples.targets is not None
        assert not bool(samples.targets[:, target].any())
        assert bool(samples.targets[:, 1 - target].any())
    alone = both.codes[70:85]  # b alone: rows that set a too say nothing of b
    want = change_evidence(both.codes[:50], alone, 1, (3,) * 5)
    torch.testing.assert_close(found.log_bayes_factors[1], want, equal_nan=True)


def made(probabilities: list[float], factors: list[float], decisive: float = 3.0) -> Any:
    """One target and slots of which this was said and found."""
    nan = float("nan")
    return HeldOutCalibration(
        tuple(f"s{k}" for k in range(len(factors) + 1)),
        ("s0",),
        torch.tensor([9]),
        torch.tensor([[nan, *probabilities]], dtype=torch.float64),
        torch.tensor([[nan, *factors]], dtype=torch.float64),
        decisive,
    )


def test_scores_by_hand_and_the_curve_that_is_drawn():
    found = made([0.8, 0.8, 0.3, 0.3, 0.9], [5.0, -4.0, -3.0, -9.0, 2.9])  # the last is undecided
    assert found.brier == pytest.approx((0.04 + 0.64 + 0.09 + 0.09) / 4)
    assert found.base_rate_brier == pytest.approx(0.25 * 0.75)
    assert found.calibration_error == pytest.approx(0.5 * 0.3 + 0.5 * 0.3)
    assert found.curve.size.sum() == 4
    upper, lower = found.plot().axes
    points = upper.lines[1].get_xydata()
    np.testing.assert_allclose(points, [[0.3, 0.0], [0.8, 0.5]])
    assert upper.get_ylabel() == "share of laws that changed"
    assert lower.get_xlabel() == "probability that the law changes"
    told = str(found).splitlines()
    assert told[0].endswith("the rows decide on 4 of 5 pairs")
    assert [line.split() for line in told[3:]] == [
        ["0.3", "to", "0.4", "2", "0.300", "0.000"],
        ["0.8", "to", "0.9", "2", "0.800", "0.500"],
    ]


def test_where_nothing_is_decided_there_is_no_score():
    found = made([0.5], [2.0])
    assert str(found).endswith("the rows decide on 0 of 1 pairs")
    for read in (lambda: found.brier, lambda: found.curve, found.plot):
        with pytest.raises(DataError, match=r"none of the 1 pairs by 3\.0 nats.*more rows"):
            read()


BAD = {
    "no targets": (
        {"samples": Samples(ROWS.codes, SCM.slots)},
        RegimeError,
        "these rows have no targets",
    ),
    "targets unknown": (
        {
            "samples": Samples(
                ROWS.codes,
                SCM.slots,
                Regime.INTERVENTIONAL,
                regimes=torch.ones(len(ROWS), dtype=torch.long),
            )
        },
        RegimeError,
        "regimes whose targets are not known",
    ),
    "all set at once": (
        {"samples": Samples(ROWS.codes, SCM.slots, Regime.INTERVENTIONAL, ROWS.codes >= 0)},
        DataError,
        "no slot was set alone",
    ),
    "no natural rows": (
        {
            "samples": Samples(
                ROWS.codes[3000:],
                SCM.slots,
                Regime.INTERVENTIONAL,
                torch.eye(5, dtype=torch.bool).repeat(1500, 1),
            )
        },
        RegimeError,
        "needs observational rows",
    ),
    "edits": ({"samples": replace(ROWS, regime=Regime.EDIT)}, RegimeError, "no samples of do"),
    "a CPDAG": ({"method": GES()}, GraphError, "of kind CPDAG"),
    "no evidence": ({"decisive": 0.0}, DataError, "above 0 nats, got 0"),
    "a class": ({"method": GES}, DataError, "takes an object with discover"),
}


@pytest.mark.parametrize(("changed", "error", "told"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_told(changed, error, told):
    given = {"samples": ROWS, "method": Says(SCM.graph), **changed}
    with pytest.raises(error, match=told):
        held_out_calibration(given.pop("samples"), **given)
