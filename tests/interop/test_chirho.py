"""Our programs under ChiRho's handlers, and its silent faults, which ours do not have."""

from __future__ import annotations

import numpy as np
import pyro
import pytest
import torch

from ctvae.randomness import scoped_seed
from ctvae.scm import SCM
from tests.oracles import assert_counts_follow

pytest.importorskip("chirho", reason="ChiRho is not installed (pip install ctvae[interop])")

from chirho.counterfactual.handlers import (  # type: ignore[import-untyped]
    MultiWorldCounterfactual,
    TwinWorldCounterfactual,
)
from chirho.indexed.ops import IndexSet, gather  # type: ignore[import-untyped]
from chirho.interventional.handlers import do  # type: ignore[import-untyped]

EDGES = [("a", "b"), ("b", "c"), ("a", "c")]


def chain() -> SCM:
    return SCM.from_edges(EDGES, cardinality={"a": 3, "b": 3, "c": 3}, concentration=1.0, seed=3)


@pytest.mark.statistical
@pytest.mark.parametrize("face", ["pyro_model", "structural_model"])
def test_do_without_worlds_gives_the_interventional_law(face):
    scm = chain()
    with scoped_seed(0), do(actions={"b": torch.tensor(2)}):
        codes = getattr(scm, face)(40_000)()
    law = scm.do({"b": 2}).query(["a", "c"]).numpy()
    pairs = torch.stack(torch.broadcast_tensors(codes["a"], codes["c"])).numpy()
    assert_counts_follow(np.bincount(np.ravel_multi_index(pairs, law.shape), minlength=9), law)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("handler", "axis"),
    [
        (MultiWorldCounterfactual, "b"),
        (TwinWorldCounterfactual, TwinWorldCounterfactual.fresh_prefix),
    ],
)
def test_worlds_of_the_structural_model_are_worlds_of_one_unit(handler, axis):
    scm = chain()
    with scoped_seed(1), handler(first_available_dim=-2), do(actions={"b": torch.tensor(2)}):
        codes = scm.structural_model(40_000)()
        both = [gather(codes["c"], IndexSet(**{axis: {w}}), event_dim=0) for w in (0, 1)]
        natural = gather(codes["b"], IndexSet(**{axis: {0}}), event_dim=0)
    pairs = torch.stack([both[0].reshape(-1), both[1].reshape(-1)]).numpy()
    law = scm.twin({"b": 2}).query(["c", "c'"]).numpy()
    assert_counts_follow(np.bincount(np.ravel_multi_index(pairs, law.shape), minlength=9), law)
    same = natural.reshape(-1) == 2
    assert torch.equal(both[0].reshape(-1)[same], both[1].reshape(-1)[same])


def test_chirho_item_14_setting_a_slot_to_its_own_value_changes_nothing():
    """Categorical sites are drawn anew in each world (P(c = c') = .44 there); noise sites not."""
    scm = chain()
    with scoped_seed(2):
        noise = scm.abduct(scm.sample(5000, seed=4), seed=5)
        conditioned = pyro.condition(scm.structural_model(5000), data=noise)
        factual = conditioned()
        with MultiWorldCounterfactual(first_available_dim=-2), do(actions={"b": factual["b"]}):
            codes = conditioned()
            worlds = [gather(codes["c"], IndexSet(b={w}), event_dim=0) for w in (0, 1)]
    assert torch.equal(worlds[0].reshape(-1), worlds[1].reshape(-1))
    seen = scm.sample(5000, seed=4)
    again = scm.counterfactual(seen, do={"b": seen[:, 1]}, seed=6)[:, 0]
    assert torch.equal(again, seen)
