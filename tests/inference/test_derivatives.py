"""What derivatives of one contraction give: effects of every slot, and exact EM."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import EvidenceError, RegimeError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.inference.derivatives import expected_counts, single_effects
from ctvae.inference.em import learn_tables
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.mechanisms.table import TableMechanism
from ctvae.regimes import Regime, Samples
from ctvae.scm import SCM
from ctvae.slots import Slot
from tests.oracles import enumerate_joint
from tests.strategies import SCMS, scms


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_all_effects_at_once_equal_one_do_at_a_time(make, device):
    scm = make().to(device)
    tolerance = 1e-12 if scm.program.dtype == torch.float64 else 1e-5
    for target, slot in enumerate(scm.slots):
        tables = single_effects(scm.program, target, {})
        for cause, table in zip(scm.slots.names, tables, strict=True):
            for value in range(scm.slots[cause].cardinality):
                alone = scm.do({cause: value}).query(slot.name)
                torch.testing.assert_close(table[value], alone, rtol=0, atol=tolerance)


@given(scm=scms(), seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_all_effects_given_evidence_equal_enumeration(scm, seed):
    generator = torch.Generator().manual_seed(seed)
    target, seen = torch.randint(0, len(scm.slots), (2,), generator=generator).tolist()
    code = int(scm.sample(1, seed=seed)[0, seen])
    tables = single_effects(scm.program, target, {seen: torch.tensor(code)})
    for cause, table in enumerate(tables):
        for value in range(scm.slots[cause].cardinality):
            if cause == target:
                continue
            joint = enumerate_joint(scm.do({cause: value}))
            law = joint.take([code], axis=seen)
            if law.sum() == 0:
                assert bool(torch.isnan(table[value]).all())
                continue
            if target == seen:
                expected = np.eye(scm.slots[target].cardinality)[code]
            else:
                others = tuple(k for k in range(joint.ndim) if k != target)
                expected = law.sum(others) / law.sum()
            np.testing.assert_allclose(table[value], expected, rtol=0, atol=1e-10)


def test_effects_of_a_set_slot_are_those_of_setting_it_anew():
    scm = SCMS["columns against causes"]()
    tables = single_effects(scm.do({"c": 2}).program, 0, {})
    torch.testing.assert_close(tables[2], scm.effect("a", of="c"), rtol=0, atol=1e-12)
    with pytest.raises(ShapeError, match="row by row"):
        single_effects(scm.do({"c": torch.tensor([0, 1])}).program, 0, {})


def brute_expected_counts(
    scm: SCM, codes: torch.Tensor, observed: torch.Tensor
) -> list[np.ndarray]:
    """Sums the posterior of every completion of every row, one at a time.

    Slots that cause nothing observed in a row are left out of its counts.
    """
    joint = enumerate_joint(scm)
    counts = [np.zeros(m.table().shape) for m in scm.mechanisms.values()]
    for row, seen in zip(codes.tolist(), observed.tolist(), strict=True):
        agrees = [
            x
            for x in itertools.product(*map(range, joint.shape))
            if all(x[k] == row[k] for k in range(len(row)) if seen[k])
        ]
        total = sum(joint[x] for x in agrees)
        there = [name for name, is_seen in zip(scm.slots.names, seen, strict=True) if is_seen]
        counted = scm.graph.ancestors(there) | set(there)
        for x in agrees:
            for column, name in enumerate(scm.slots.names):
                if name not in counted:
                    continue
                parents = tuple(x[scm.slots.index(p)] for p in scm.graph.parents(name))
                counts[column][(*parents, x[column])] += joint[x] / total
    return counts


@pytest.mark.parametrize("name", ["chain", "columns against causes", "collider", "zeros in tables"])
def test_expected_counts_equal_the_sum_over_all_completions(name, device):
    scm = SCMS[name]().to(device)
    codes = scm.sample(40, seed=0)
    observed = torch.rand(codes.shape, generator=torch.Generator().manual_seed(1)) < 0.6
    expected = brute_expected_counts(scm, codes.cpu(), observed)
    total = [torch.zeros_like(m.table()) for m in scm.mechanisms.values()]
    for row, seen in zip(codes, observed, strict=True):
        given_codes = {k: row[k : k + 1] for k in range(len(row)) if seen[k]}
        counts, logs = expected_counts(scm.program, given_codes, torch.ones(1, device=codes.device))
        total = [one + more for one, more in zip(total, counts, strict=True)]
        names = {scm.slots.names[k]: int(v) for k, v in given_codes.items()}
        assert float(logs[0]) == pytest.approx(float(scm.log_evidence(names)), abs=1e-10)
    for got, want in zip(total, expected, strict=True):
        np.testing.assert_allclose(got.cpu(), want, rtol=0, atol=1e-9)


def test_all_effects_given_much_evidence_that_is_read_off_do_not_underflow():
    """400 observed children of one observed cause: together of probability near 1e-480."""
    names = [f"x{k}" for k in range(400)]
    graph = CausalGraph.from_edges([("cause", name) for name in [*names, "asked"]])
    uneven = TableMechanism([[1 / 16] * 16, [1 / 17] + [1 / 16] * 14 + [1 / 8 - 1 / 17]])
    laws = {
        "cause": TableMechanism([0.5, 0.5]),
        "asked": TableMechanism([[0.3, 0.7], [0.6, 0.4]]),
        **dict.fromkeys(names, uneven),
    }
    slots = [Slot("cause", 2), *(Slot(name, 16) for name in names), Slot("asked", 2)]
    scm = SCM(graph, slots, laws)
    effects = scm.effects_on("asked", given=dict.fromkeys(names[1:], 0) | {"cause": 1})
    expected = torch.tensor([[0.6, 0.4]], dtype=torch.float64).expand(16, 2)
    torch.testing.assert_close(effects["x0"], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("dtype", "children"), [(torch.float64, 200), (torch.float32, 30)])
def test_evidence_far_likelier_under_do_does_not_overflow(dtype, children):
    """Under do(a = 1) what was seen is 500 times likelier for each of the children."""
    names = [f"x{k}" for k in range(children)]
    graph = CausalGraph.from_edges([("a", name) for name in ["y", *names]])
    rare = TableMechanism(torch.tensor([[0.001, 0.999], [0.5, 0.5]], dtype=dtype))
    laws = {
        "a": TableMechanism(torch.tensor([0.5, 0.5], dtype=dtype)),
        "y": TableMechanism(torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=dtype)),
        **dict.fromkeys(names, rare),
    }
    scm = SCM(graph, [Slot(name, 2) for name in ("a", "y", *names)], laws).do({"a": 0})
    effects = scm.effects_on("y", given=dict.fromkeys(names, 0))["a"]
    expected = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=dtype)
    torch.testing.assert_close(effects, expected, rtol=0, atol=1e-6)


def test_slots_whose_own_law_is_not_needed_may_have_one_that_fits_no_table():
    """A law of 2^30 rows: of a slot that was set, and of one below the slot asked for."""
    names = [f"p{k}" for k in range(30)]
    edges = [(name, "x") for name in names] + [("x", "y"), *((name, "z") for name in names)]
    graph = CausalGraph.from_edges(edges)
    wide = NeuralMechanism(2, [2] * 30, seed=0)
    tilted = TableMechanism([0.3, 0.7])
    laws: dict[str, Mechanism] = {**dict.fromkeys(names, tilted), "x": wide, "z": wide}
    laws["y"] = TableMechanism([[0.9, 0.1], [0.2, 0.8]])
    scm = SCM(graph, [Slot(name, 2) for name in (*names, "x", "y", "z")], laws).do({"x": 0})
    effects = scm.effects_on("y")
    expected = torch.tensor([[0.9, 0.1], [0.2, 0.8]], dtype=torch.float64)
    torch.testing.assert_close(effects["x"], expected)
    torch.testing.assert_close(effects["z"], expected[[0, 0]])


def test_evidence_that_cannot_be_under_do_has_no_effect_and_says_so():
    scm, nothing, something = SCMS["zeros in tables"](), 0, 0
    for asked in scm.slots.names:
        for seen, slot in zip(scm.slots.names, scm.slots, strict=True):
            for code in range(slot.cardinality):
                try:
                    effects = scm.effects_on(asked, {seen: code})
                except EvidenceError:
                    continue
                for name, rows in effects.items():
                    for value, row in enumerate(rows):
                        world = scm.do({name: value})
                        if bool(row.isnan().any()):
                            nothing += 1
                            with pytest.raises(EvidenceError):
                                world.query(asked, {seen: code})
                        else:
                            something += 1
                            torch.testing.assert_close(row, world.query(asked, {seen: code}))
    assert nothing
    assert something


class TestMissingEntries:
    def test_complete_rows_give_the_counted_tables(self):
        scm = SCMS["columns against causes"]()
        codes = scm.sample(500, seed=0)
        counted = SCM.fit(scm.graph, codes, slots=scm.slots)
        all_there = torch.ones_like(codes, dtype=torch.bool)
        learned = SCM.fit(scm.graph, codes, slots=scm.slots, observed=all_there)
        for name, law in counted.mechanisms.items():
            torch.testing.assert_close(learned.mechanisms[name].table(), law.table())

    def test_steps_are_those_of_brute_force_and_never_lose(self):
        scm = SCMS["chain"]()
        codes = scm.sample(60, seed=2)
        observed = torch.rand(codes.shape, generator=torch.Generator().manual_seed(3)) < 0.7
        rows = Samples(codes, scm.slots, observed=observed)
        parents = {n: [scm.slots.index(p) for p in scm.graph.parents(n)] for n in scm.slots.names}
        first = learn_tables(rows, parents, max_steps=1)
        second = learn_tables(rows, parents, max_steps=2)
        model = SCM(scm.graph, scm.slots, learn_tables(rows, parents, max_steps=0).tables)
        counts = brute_expected_counts(model, codes, observed)
        for name, count in zip(scm.slots.names, counts, strict=True):
            want = (count + 1) / (count + 1).sum(-1, keepdims=True)
            np.testing.assert_allclose(first.tables[name].table(), want, rtol=0, atol=1e-9)
        longer = learn_tables(rows, parents, max_steps=60)
        gains = np.diff(longer.objective)
        assert bool((gains >= -1e-9).all())
        assert second.objective == longer.objective[:2]

    def test_more_is_learned_than_from_complete_rows_alone(self):
        """Of five slots in a chain, each entry is missing with probability .4."""
        names = list("abcde")
        edges = list(itertools.pairwise(names))
        scm = SCM.from_edges(edges, cardinality=dict.fromkeys(names, 3), seed=5)
        codes = scm.sample(1500, seed=6)
        observed = torch.rand(codes.shape, generator=torch.Generator().manual_seed(7)) < 0.6
        learned = SCM.fit(scm.graph, codes, slots=scm.slots, observed=observed)
        complete = codes[observed.all(1)]
        dropped = SCM.fit(scm.graph, complete, slots=scm.slots)
        fresh = scm.sample(5000, seed=8)
        assert float(learned.log_prob(fresh).mean()) > float(dropped.log_prob(fresh).mean()) + 0.02
        truth = float(scm.log_prob(fresh).mean())
        # 26 parameters cost 26 / (2 n) nats; families are complete in .36 of the rows. Twice it:
        assert truth - float(learned.log_prob(fresh).mean()) < 26 / (1500 * 0.36)

    def test_rows_where_a_slot_was_set_teach_its_children_only(self):
        scm = SCMS["fork"]()
        done = scm.do({"b": torch.arange(600) % 3}).sample(1, seed=0)[0]
        targets = torch.zeros_like(done, dtype=torch.bool)
        targets[:, 1] = True
        observed = torch.ones_like(targets)
        observed[::3, 0] = False
        rows = Samples(done, scm.slots, Regime.INTERVENTIONAL, targets, observed)
        learned = SCM.fit(scm.graph, rows)
        uniform = torch.full((3,), 1 / 3, dtype=torch.float64)
        torch.testing.assert_close(learned.mechanisms["b"].table(), uniform, atol=0.2, rtol=0)
        counted = SCM.fit(scm.graph, Samples(done, scm.slots, Regime.INTERVENTIONAL, targets))
        torch.testing.assert_close(learned.mechanisms["c"].table(), counted.mechanisms["c"].table())
        with pytest.raises(ShapeError, match=r"was set by do.* has a known code"):
            SCM.fit(scm.graph, Samples(done, scm.slots, Regime.INTERVENTIONAL, targets, ~targets))

    def test_a_slot_never_observed_is_a_mixture(self):
        """Two classes, three readings: the likelihood rises far above independence."""
        edges = [("class", name) for name in "xyz"]
        scm = SCM.from_edges(
            edges, cardinality={"class": 2, "x": 3, "y": 3, "z": 3}, concentration=0.3, seed=1
        )
        codes = scm.sample(3000, seed=2)
        observed = torch.ones_like(codes, dtype=torch.bool)
        observed[:, 0] = False
        learned = SCM.fit(scm.graph, codes, slots=scm.slots, observed=observed)
        fresh = scm.sample(3000, seed=3)
        seen = {name: fresh[:, k] for k, name in enumerate(scm.slots.names) if name != "class"}
        alone = SCM.fit(CausalGraph.from_edges(nodes=list(scm.slots.names)), codes, slots=scm.slots)
        got, truth = float(learned.log_evidence(seen).mean()), float(scm.log_evidence(seen).mean())
        assert truth - got < 0.02
        assert got > float(alone.log_evidence(seen).mean()) + 0.1

    def test_edits_and_masks_of_another_shape_are_refused(self):
        scm = SCMS["chain"]()
        codes = scm.sample(5, seed=0)
        mask = torch.ones_like(codes, dtype=torch.bool)
        with pytest.raises(RegimeError, match="edit rows"):
            SCM.fit(scm.graph, Samples(codes, scm.slots, Regime.EDIT, None, mask))
        with pytest.raises(ShapeError, match="observed must be booleans"):
            SCM.fit(scm.graph, codes, slots=scm.slots, observed=mask[:, :2])
        with pytest.raises(ShapeError, match="observed must be booleans"):
            SCM.fit(scm.graph, codes, slots=scm.slots, observed=mask.long())
