"""What DoWhy's gcm cannot do for categories, and ours can; needs no DoWhy."""

from __future__ import annotations

import sys

import pytest
import torch

from ctvae.errors import CTVAEError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot
from tests.oracles import assert_counts_follow
from tests.strategies import SCMS


def treatment() -> SCM:
    """A drug and the patient's age decide between three outcomes; all codes have names."""
    graph = CausalGraph.from_edges([("age", "drug"), ("age", "end"), ("drug", "end")])
    slots = [
        Slot("age", 2, ("young", "old")),
        Slot("drug", 2, ("none", "given")),
        Slot("end", 3, ("ill", "same", "well")),
    ]
    laws = {
        "age": TableMechanism([0.6, 0.4]),
        "drug": TableMechanism([[0.7, 0.3], [0.2, 0.8]]),
        "end": TableMechanism([
            [[0.3, 0.5, 0.2], [0.1, 0.2, 0.7]],
            [[0.6, 0.3, 0.1], [0.4, 0.2, 0.4]],
        ]),
    }
    return SCM(graph, slots, laws)


@pytest.mark.statistical
def test_dowhy_1146_counterfactuals_of_categorical_slots_are_answered(device):
    """counterfactual_samples had no estimate_noise for categories."""
    scm = treatment().to(device)
    seen = {"age": "old", "drug": "none", "end": "ill"}
    drawn = scm.counterfactual(seen, do={"drug": "given"}, num_samples=20_000, seed=0)
    exact = scm.twin({"drug": "given"}).query("end'", given=seen).cpu().numpy()
    counts = drawn.reshape(-1, 3)[:, 2].bincount(minlength=3).cpu().numpy()
    assert_counts_follow(counts, exact)
    assert (drawn[..., :2] == torch.tensor([1, 1], device=device)).all()


def test_dowhy_1146_what_was_done_anyway_leaves_the_unit_as_it_was(device):
    scm = treatment().to(device)
    seen = scm.sample(2000, seed=1)
    again = scm.counterfactual(seen, do={"drug": seen[:, 1]}, seed=2)
    assert torch.equal(again[:, 0], seen)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_dowhy_1241_counterfactual_codes_stay_on_the_alphabet(make, device):
    """The counterfactual of a variable of 0 and 1 came out as -1."""
    scm = make().to(device)
    seen = scm.sample(200, seed=3)
    sizes = torch.tensor(scm.slots.cardinalities, device=device)
    for name, slot in zip(scm.slots.names, scm.slots, strict=True):
        codes = scm.counterfactual(seen, do={name: slot.cardinality - 1}, num_samples=3, seed=4)
        assert codes.dtype == torch.int64
        assert ((codes >= 0) & (codes < sizes)).all()


def test_a_missing_dowhy_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "dowhy", None)
    monkeypatch.setitem(sys.modules, "dowhy.gcm", None)
    with pytest.raises(CTVAEError, match=r"pip install ctvae\[interop\]"):
        treatment().to_gcm()


def test_one_world_per_row_does_not_fit_gcm():
    with pytest.raises(ShapeError, match="got 2 worlds"):
        treatment().do(slot="drug", value=torch.tensor([0, 1])).to_gcm()
