"""Pyro's own SVI on programs with networks: laws learned, posteriors guided, against exact ones."""

from __future__ import annotations

import pyro
import pytest
import torch
from pyro.infer import SVI, Trace_ELBO, TraceEnum_ELBO, config_enumerate
from pyro.optim import ClippedAdam
from torch import Tensor

import ctvae as ct
from ctvae.errors import CodeError, CTVAEError, UnknownSlotError
from ctvae.inference.guides import AmortisedGuide
from ctvae.randomness import scoped_seed
from ctvae.scm import SCM


def no_guide() -> None:
    """Everything is observed."""


def with_networks(device: torch.device) -> SCM:
    """The collider a -> c <- b with d below it, each law a network of random weights."""
    graph = ct.CausalGraph.from_edges([("a", "c"), ("b", "c"), ("c", "d")])
    slots = [ct.Slot("a", 3), ct.Slot("b", 2), ct.Slot("c", 4), ct.Slot("d", 3)]
    laws = {
        "a": ct.NeuralMechanism(3, seed=0),
        "b": ct.NeuralMechanism(2, seed=1),
        "c": ct.NeuralMechanism(4, [3, 2], seed=2),
        "d": ct.NeuralMechanism(3, [4], seed=3),
    }
    generator = torch.Generator().manual_seed(4)
    for law in laws.values():
        for parameter in law.parameters():  # rows far from uniform
            parameter.data.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return SCM(graph, slots, laws).to(device)


@pytest.fixture
def clean_store():
    """Pyro's parameter store, given back as it was."""
    with pyro.get_param_store().scope():
        yield


def test_the_program_of_networks_has_their_joint_and_needs_no_table(device):
    names = [f"p{k}" for k in range(14)]
    graph = ct.CausalGraph.from_edges([(name, "y") for name in names])
    laws: dict[str, ct.mechanisms.Mechanism] = {n: ct.TableMechanism([0.25] * 4) for n in names}
    laws["y"] = ct.NeuralMechanism(5, [4] * 14, seed=0)
    scm = SCM(graph, [*(ct.Slot(name, 4) for name in names), ct.Slot("y", 5)], laws).to(device)
    with scoped_seed(0, device):
        trace = pyro.poutine.trace(scm.pyro_model(50)).get_trace()
    codes = torch.stack([torch.as_tensor(trace.nodes[n]["value"]) for n in scm.slots.names], -1)
    expected = scm.log_prob(codes).sum()
    found = torch.as_tensor(trace.log_prob_sum())
    torch.testing.assert_close(found.to(expected.dtype), expected)


@pytest.mark.usefixtures("clean_store")
def test_pyros_svi_learns_a_network_from_rows():
    """Every slot observed: the bound is the likelihood, and counting is its optimum."""
    truth = SCM.from_edges([("a", "b")], cardinality={"a": 3, "b": 4}, concentration=1.0, seed=4)
    rows = truth.sample(2000, seed=0)
    law = ct.NeuralMechanism(4, [3], seed=1)
    scm = SCM(truth.graph, truth.slots, {"a": truth.mechanisms["a"], "b": law})
    network = scm.mechanisms["b"]
    assert isinstance(network, ct.NeuralMechanism)
    network.module.requires_grad_()
    program = pyro.condition(scm.pyro_model(len(rows)), data=scm.to_dict(rows))

    def model() -> None:
        pyro.module("law of b", network.module)
        program()

    svi = SVI(model, no_guide, ClippedAdam({"lr": 0.02}), Trace_ELBO())
    with scoped_seed(0):
        for _ in range(300):
            svi.step()
    network.module.requires_grad_(requires_grad=False)
    counted = SCM.fit(truth.graph, rows, slots=truth.slots, pseudocount=1e-9)
    torch.testing.assert_close(
        network.table().double(), counted.mechanisms["b"].table(), rtol=0, atol=0.01
    )


@pytest.mark.usefixtures("clean_store")
def test_a_trained_guide_proposes_from_the_exact_posterior(device):
    """Two hidden causes of what was seen: they depend on each other, and the guide learns how."""
    scm = with_networks(device)
    rows = scm.sample(64, seed=5)
    seen = {"c": rows[:, 2], "d": rows[:, 3]}
    guide = AmortisedGuide(scm.program, ["a", "b"], width=32, seed=0)
    untrained = worst_error(scm, guide)
    program = pyro.condition(scm.pyro_model(len(rows)), data=seen)

    def proposed() -> None:
        pyro.module("guide", guide)
        guide(seen)

    optimiser = ClippedAdam({"lr": 0.02, "lrd": 0.997})
    svi = SVI(program, config_enumerate(proposed), optimiser, TraceEnum_ELBO(max_plate_nesting=1))
    with scoped_seed(1, device):
        losses = [svi.step() for _ in range(600)]
    exact = -float(scm.log_evidence(seen).sum().detach())
    assert losses[-1] >= exact - 1e-2
    assert losses[-1] == pytest.approx(exact, rel=0.01)
    assert worst_error(scm, guide) < 0.02 < untrained / 5


def worst_error(scm: SCM, guide: AmortisedGuide) -> float:
    """The largest distance of the guide's joint from the exact posterior, over what was seen."""
    kinds, counts = scm.sample(64, seed=5)[:, 2:].unique(dim=0, return_counts=True)
    worst = 0.0
    for c, d in kinds[counts > 3].tolist():
        exact = scm.query(["a", "b"], given={"c": c, "d": d}).detach()
        worst = max(worst, float((exact - joint_of(guide, scm, c, d)).abs().max()))
    return worst


def joint_of(guide: AmortisedGuide, scm: SCM, c: int, d: int) -> Tensor:
    """The guide's probability of every pair, by replaying it on all of them."""
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(2)).to(scm.program.device)
    fixed = {name: pairs.new_full((6,), code) for name, code in (("c", c), ("d", d))}

    def forced() -> object:
        data = {"a": pairs[:, 0], "b": pairs[:, 1]}
        return pyro.condition(lambda: guide(fixed), data=data)()

    with torch.no_grad(), scoped_seed(0, scm.program.device):
        trace = pyro.poutine.trace(forced).get_trace()
    trace.compute_log_prob()
    log_prob = trace.nodes["a"]["log_prob"] + trace.nodes["b"]["log_prob"]
    return log_prob.exp().reshape(3, 2)


def test_a_guide_follows_the_world_it_was_made_for(device):
    """Under do(a = 2) the hidden b has a parent less to explain; a is no site of the guide."""
    world = with_networks(device).do({"a": 2})
    guide = AmortisedGuide(world.program, ["b"], seed=0)
    with scoped_seed(0, device):
        trace = pyro.poutine.trace(guide).get_trace({"c": torch.tensor([1, 3], device=device)})
    assert [n for n, s in trace.nodes.items() if s["type"] == "sample" and n != "rows"] == ["b"]
    assert torch.as_tensor(trace.nodes["b"]["value"]).shape == (2,)


REFUSED = {
    "nothing hidden": (lambda s: AmortisedGuide(s.program, []), CTVAEError, "got \\[\\]"),
    "hidden twice": (lambda s: AmortisedGuide(s.program, ["a", 0]), CTVAEError, "once"),
    "unknown": (lambda s: AmortisedGuide(s.program, ["e"]), UnknownSlotError, "'e'"),
    "set by do": (
        lambda s: AmortisedGuide(s.do({"a": 0}).program, ["a"]),
        CTVAEError,
        r"set: \['a'\]",
    ),
    "nothing given": (lambda s: AmortisedGuide(s.program, ["a"])({}), CTVAEError, "got none"),
    "a parent unknown": (
        lambda s: AmortisedGuide(s.program, ["c"])({"d": torch.tensor([0])}),
        CTVAEError,
        "slot 'a' is a parent of a hidden slot",
    ),
    "no code": (
        lambda s: AmortisedGuide(s.program, ["a"])({"d": torch.tensor([7])}),
        CodeError,
        "7",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_what_a_guide_cannot_do_is_told(call, error, message):
    scm = with_networks(torch.device("cpu"))
    with pytest.raises(error, match=message):
        call(scm)
