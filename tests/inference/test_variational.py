"""The Pyro face: the same law as the tables, with Pyro's own machinery as the oracle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from pyro import poutine
from pyro.infer import Predictive, TraceEnum_ELBO, config_enumerate

from ctvae.errors import ShapeError
from ctvae.randomness import scoped_seed
from tests.oracles import all_rows
from tests.strategies import SCMS

ENUMERABLE = {name: make for name, make in SCMS.items() if name != "a slot of one code"}


def no_guide() -> None:
    """Every site is enumerated, so there is nothing to guess."""


def marginals(model: Callable[[], object]) -> dict[str, Any]:
    with scoped_seed(0):
        return TraceEnum_ELBO(max_plate_nesting=1).compute_marginals(
            config_enumerate(model), no_guide
        )


def joint_log_prob(model: Callable[[], object], values: dict[str, torch.Tensor]) -> torch.Tensor:
    with scoped_seed(0):
        trace = poutine.trace(poutine.condition(model, values)).get_trace()
    return torch.as_tensor(trace.log_prob_sum())


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_the_joint_of_a_trace_is_log_prob(make, device):
    scm = make().to(device)
    with scoped_seed(3, device):
        trace = poutine.trace(scm.pyro_model(num_rows=6)).get_trace()
    codes = torch.stack([trace.nodes[name]["value"] for name in scm.slots.names], -1)
    assert codes.shape == (6, len(scm.slots))
    expected = scm.log_prob(codes).sum()
    torch.testing.assert_close(trace.log_prob_sum().to(expected.dtype), expected)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_the_joint_of_a_trace_of_worlds_per_row_is_log_prob_of_each_row(make, device):
    world = make().to(device).do(slot=0, value=torch.tensor([1, 0, 1]))
    with scoped_seed(4, device):
        trace = poutine.trace(world.pyro_model()).get_trace()
    trace.compute_log_prob()
    codes = torch.stack([trace.nodes[name]["value"] for name in world.slots.names], -1)
    assert codes[:, 0].tolist() == [1, 0, 1]
    per_row = torch.stack([trace.nodes[name]["log_prob"] for name in world.slots.names]).sum(0)
    expected = world.log_prob(codes)
    torch.testing.assert_close(per_row.to(expected.dtype), expected)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_every_row_has_the_joint_of_log_prob_also_the_impossible(make, device):
    """A Categorical of probabilities would call an impossible code merely unlikely."""
    scm = make().to(device)
    rows = all_rows(scm).to(device)
    with scoped_seed(0, device):
        values = {name: rows[:, k] for k, name in enumerate(scm.slots.names)}
        model = poutine.condition(scm.pyro_model(num_rows=len(rows)), values)
        trace = poutine.trace(model).get_trace()
    trace.compute_log_prob()
    total = sum(trace.nodes[name]["log_prob"] for name in scm.slots.names)
    torch.testing.assert_close(torch.as_tensor(total), scm.log_prob(rows), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("make", ENUMERABLE.values(), ids=ENUMERABLE.keys())
def test_enumerated_marginals_under_do_equal_queries(make, device):
    scm = make().to(device)
    for name in scm.slots.names:
        world = scm.do(slot=name, value=1)
        if len(world.interventions) == len(scm.slots):
            continue
        for other, law in marginals(world.pyro_model(num_rows=2)).items():
            expected = world.query(other).expand(2, -1)
            torch.testing.assert_close(law.probs, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", ENUMERABLE.values(), ids=ENUMERABLE.keys())
def test_enumerated_marginals_equal_queries(make, device):
    scm = make().to(device)
    found = marginals(scm.pyro_model(num_rows=2))
    assert set(found) == set(scm.slots.names) - set(scm.interventions)
    for name, law in found.items():
        expected = scm.query(name).expand(2, -1)
        torch.testing.assert_close(law.probs, expected, rtol=0, atol=1e-6)


def test_enumerated_marginals_with_evidence_under_do_per_row_equal_queries():
    scm = SCMS["columns against causes"]()
    world = scm.do(slot="c", value=torch.tensor([0, 2, 3]))
    seen = torch.tensor([1, 0, 1])
    found = marginals(poutine.condition(world.pyro_model(), {"a": seen}))
    for name in ("b", "d"):
        expected = world.query(name, given={"a": seen})
        torch.testing.assert_close(found[name].probs, expected, rtol=0, atol=1e-10)


def test_a_done_slot_reports_the_forced_value():
    """Stock pyro.do reports the natural one."""
    world = SCMS["chain"]().do(slot="b", value=torch.tensor([0, 2]))
    with scoped_seed(0):
        draws = Predictive(world.pyro_model(), num_samples=5)()
        returned = world.pyro_model()()
    assert draws["b"].tolist() == [[0, 2]] * 5
    assert draws["c"].shape == (5, 2)
    assert returned["b"].tolist() == [0, 2]
    assert list(returned) == ["a", "b", "c"]


def test_a_changed_draw_does_not_change_the_world():
    world = SCMS["chain"]().do(slot="b", value=torch.tensor([0, 2]))
    with scoped_seed(0):
        world.pyro_model()()["b"].fill_(1)
    assert world.sample(1, seed=0)[0, :, 1].tolist() == [0, 2]


def test_evidence_against_a_done_value_is_impossible_as_in_log_prob():
    """Evidence on a pyro.deterministic site would be ignored in silence."""
    model = SCMS["chain"]().do(slot="b", value=2).pyro_model()
    rest = {"a": torch.tensor([0]), "c": torch.tensor([1])}
    assert joint_log_prob(model, {**rest, "b": torch.tensor([2])}).isfinite()
    assert joint_log_prob(model, {**rest, "b": torch.tensor([1])}).isneginf()


def test_the_plate_has_one_row_or_as_many_as_were_done_or_asked():
    scm = SCMS["chain"]()
    batched = scm.do(slot="b", value=torch.tensor([0, 2, 1]))
    with scoped_seed(0):
        assert scm.pyro_model()()["a"].shape == (1,)
        assert scm.pyro_model(num_rows=4)()["a"].shape == (4,)
        assert scm.do(slot="b", value=0).pyro_model(num_rows=4)()["b"].shape == (4,)
        assert batched.pyro_model()()["c"].shape == (3,)
    with pytest.raises(ShapeError, match="3 worlds, one per row; the plate has 1"):
        batched.pyro_model(num_rows=1)
    with pytest.raises(ShapeError, match="num_rows= takes an integer of at least 1, got 0"):
        scm.pyro_model(num_rows=0)
