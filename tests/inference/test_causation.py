"""Necessity, sufficiency and couplings fitted to pairs, asked of a model."""

from __future__ import annotations

import math

import pytest
import torch

import ctvae as ct
from ctvae.errors import CTVAEError, DataError, ShapeError, UnknownSlotError
from ctvae.inference.bounds import causation_bounds
from ctvae.mechanisms import TableMechanism
from ctvae.mechanisms.couplings import Independent
from ctvae.scm import SCM
from tests.inference.test_counterfactual import COUPLINGS


def confounded(seed: int) -> SCM:
    """u causes x and y, x causes y through m and directly."""
    edges = [("u", "x"), ("u", "y"), ("x", "m"), ("m", "y"), ("x", "y")]
    sizes = {"y": 3, "u": 2, "x": 2, "m": 2}
    return SCM.from_edges(edges, cardinality=sizes, concentration=1.0, seed=seed)


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
@pytest.mark.parametrize("seed", range(5))
def test_points_lie_inside_their_bounds_and_covariates_tighten(coupling, seed):
    scm = confounded(seed)
    plain = scm.causation({"x": 1}, {"y": 2}, instead=0, coupling=coupling)
    tight = scm.causation({"x": 1}, {"y": 2}, instead=0, coupling=coupling, covariates=["u"])
    for wide, narrow in zip(plain, tight, strict=True):
        assert wide.lower - 1e-9 <= narrow.lower <= narrow.value + 1e-9
        assert narrow.value - 1e-9 <= narrow.upper <= wide.upper + 1e-9
        assert wide.value == narrow.value


@pytest.mark.parametrize("seed", range(6))
def test_float32_laws_keep_their_points_inside_their_bounds(seed):
    """Also where bounds meet: with a zero in a table nothing is left to the coupling."""
    edges = [("z", "x"), ("z", "y"), ("x", "m"), ("m", "y")]
    sizes = {"z": 2, "x": 2, "m": 2, "y": 2}
    scm = SCM.from_edges(edges, cardinality=sizes, concentration=0.1, seed=seed)
    coarse = {name: TableMechanism(law.table().float()) for name, law in scm.mechanisms.items()}
    fine = {name: TableMechanism(law.table().double()) for name, law in coarse.items()}
    one, other = (SCM(scm.graph, scm.slots, laws) for laws in (coarse, fine))
    for covariates in ((), ("z",)):
        asked = [
            model.causation({"x": 1}, {"y": 1}, instead=0, covariates=covariates)
            for model in (one, other)
        ]
        assert asked[0] == asked[1]
        for value, lower, upper in asked[0]:
            assert lower - 1e-9 <= value <= upper + 1e-9


def test_the_bounds_are_those_of_tian_and_pearl():
    scm = confounded(7)
    answer = scm.causation({"x": 1}, {"y": 2}, instead=0)
    joint = scm.query(["x", "y"])
    observed = torch.stack([joint[:, :2].sum(1), joint[:, 2]], 1)
    closed = causation_bounds(observed, scm.effect("y", of="x")[:, 2])
    for got, want in zip(answer, closed, strict=True):
        assert got.lower == pytest.approx(float(want.lower), abs=1e-7)
        assert got.upper == pytest.approx(float(want.upper), abs=1e-7)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["gumbel", "monotone", "maximal"])
def test_points_are_the_shares_of_drawn_units(name):
    scm, coupling, count = confounded(3), COUPLINGS[name], 200_000
    answer = scm.causation({"x": 1}, {"y": 2}, instead=0, coupling=coupling)
    seen = scm.sample(count, seed=0)
    y, x = seen[:, 0], seen[:, 2]
    other = scm.counterfactual(seen, do={"x": 0}, coupling=coupling, seed=1)[:, 0, 0]
    asked = (x == 1) & (y == 2)
    share = float((other[asked] != 2).double().mean())
    assert abs(share - answer.necessity.value) < 5 / (2 * math.sqrt(int(asked.sum())))
    other = scm.counterfactual(seen, do={"x": 1}, coupling=coupling, seed=2)[:, 0, 0]
    asked = (x == 0) & (y != 2)
    share = float((other[asked] == 2).double().mean())
    assert abs(share - answer.sufficiency.value) < 5 / (2 * math.sqrt(int(asked.sum())))
    with_cause = scm.do({"x": 1})
    units = with_cause.sample(count, seed=3)
    other = with_cause.counterfactual(units, do={"x": 0}, coupling=coupling, seed=4)[:, 0, 0]
    share = float(((units[:, 0] == 2) & (other != 2)).double().mean())
    assert abs(share - answer.both.value) < 5 / (2 * math.sqrt(count))


def test_both_is_the_mean_of_necessity_and_sufficiency():
    """PNS = P(x, y) PN + P(x', y') PS for a cause of two codes (Tian and Pearl 2000)."""
    scm = confounded(5)
    joint = scm.query(["x", "y"])
    for coupling in (ct.Gumbel(), ct.Monotone(), ct.Maximal()):
        pn, ps, pns = (
            p.value for p in scm.causation({"x": 1}, {"y": 2}, instead=0, coupling=coupling)
        )
        total = float(joint[1, 2]) * pn + float(joint[0, :2].sum()) * ps
        assert pns == pytest.approx(total, abs=1e-10)


def test_functions_need_no_coupling():
    """y = x or u: with u = 0 the cause is necessary; each bound that can be is a point."""
    graph = ct.CausalGraph.from_edges([("x", "y"), ("u", "y")])
    laws: dict[str, ct.mechanisms.Mechanism] = {
        "x": ct.TableMechanism([0.5, 0.5]),
        "u": ct.TableMechanism([0.75, 0.25]),
        "y": ct.FunctionMechanism(lambda x, u: x | u, 2, [2, 2]),
    }
    scm = SCM(graph, [ct.Slot(name, 2) for name in "xuy"], laws)
    for coupling in COUPLINGS.values():
        answer = scm.causation({"x": 1}, {"y": 1}, instead=0, coupling=coupling)
        assert answer.necessity == pytest.approx((0.75, 0.75, 0.75))
        assert answer.sufficiency == pytest.approx((1, 1, 1))


def test_a_cause_that_does_not_reach_the_effect_is_neither():
    answer = confounded(1).causation({"m": 1}, {"u": 1}, instead=0)
    assert answer.both.value == 0
    assert answer.both.lower == pytest.approx(0, abs=1e-9)


def test_the_effect_on_the_treated_is_the_same_under_every_coupling():
    scm = confounded(2)
    answers = [
        scm.twin({"x": 0}, coupling=coupling).query("y'", given={"x": 1})
        for coupling in COUPLINGS.values()
    ]
    for answer in answers[1:]:
        torch.testing.assert_close(answer, answers[0], rtol=0, atol=1e-12)


BAD = {
    "two causes": (
        lambda s: s.causation({"x": 1, "m": 1}, {"y": 1}, instead=0),
        CTVAEError,
        "one cause",
    ),
    "one code": (lambda s: s.causation({"x": 1}, {"y": 1}, instead=1), CTVAEError, "two different"),
    "itself": (lambda s: s.causation({"x": 1}, {"x": 1}, instead=0), CTVAEError, "another slot"),
    "a late covariate": (
        lambda s: s.causation({"x": 1}, {"y": 1}, instead=0, covariates=["m"]),
        CTVAEError,
        "come before it.*slots.* m",
    ),
    "no coupling": (
        lambda s: s.causation({"x": 1}, {"y": 1}, instead=0, coupling="gumbel"),
        CTVAEError,
        "coupling= takes Gumbel",
    ),
    "a coupling of nobody": (
        lambda s: s.twin({"x": 1}, coupling={"nobody": ct.Gumbel()}),
        UnknownSlotError,
        "nobody",
    ),
    "pairs of two lengths": (
        lambda s: s.fit_coupling(s.sample(3, seed=0), s.sample(4, seed=0), {"x": 1}),
        ShapeError,
        "pairs are of the same units",
    ),
    "a shifted slot": (
        lambda s: s.fit_coupling(
            s.sample(3, seed=0), s.sample(3, seed=0), {"x": ct.Shift(1, wrap=True)}
        ),
        ShapeError,
        "slot 'x' is shifted",
    ),
}


@pytest.mark.parametrize(("wrong", "error", "told"), BAD.values(), ids=BAD.keys())
def test_bad_questions_are_told(wrong, error, told):
    with pytest.raises(error, match=told):
        wrong(confounded(0))


@pytest.mark.parametrize("name", ["gumbel", "monotone", "maximal"])
def test_pairs_tell_couplings_apart_and_the_fit_answers_for_them(name):
    """20,000 pairs: the true coupling stays, each other one is refuted, the kernel comes back."""
    scm = SCM.from_edges([("x", "y")], cardinality={"x": 3, "y": 4}, concentration=1.0, seed=11)
    before = scm.sample(20_000, seed=0)
    after = scm.counterfactual(before, do={"x": 1}, coupling=COUPLINGS[name], seed=1)[:, 0]
    fit = scm.fit_coupling(before, after, do={"x": 1}, otherwise=Independent())["y"]
    names = {"gumbel": "gumbel", "maximal": "maximal", "monotone": "monotone outside"}
    for other, test in names.items():
        p_value = fit.test(test).p_value
        assert p_value is not None
        assert (p_value > 1e-4) == (other == name)
    estimated = {"y": fit.coupling}
    seen = torch.tensor([[0, 2]])
    got = scm.twin({"x": 1}, coupling=estimated).query("y'", given={"x": 0, "y": 2})
    want = scm.twin({"x": 1}, coupling=COUPLINGS[name]).query("y'", given={"x": 0, "y": 2})
    torch.testing.assert_close(got, want, rtol=0, atol=0.03)
    assert scm.counterfactual(seen, do={"x": 1}, coupling=estimated, seed=0).shape == (1, 1, 2)
    alone = scm.fit_coupling(before, after, do={"x": 1})["y"].coupling
    with pytest.raises(DataError):
        scm.twin({"x": 2}, coupling={"y": alone}).query("y'")
