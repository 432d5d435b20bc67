"""Exact answers against the enumerated joint."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import EvidenceError, ShapeError, StateSpaceError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.inference import structure
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot
from tests.oracles import all_rows, condition, enumerate_joint
from tests.strategies import SCMS, scms


def agree(answer: torch.Tensor, expected: np.ndarray) -> None:
    tolerance = 1e-10 if answer.dtype == torch.float64 else 1e-5
    assert tuple(answer.shape) == expected.shape
    np.testing.assert_allclose(answer.cpu().numpy(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
class TestLawsOfQueries:
    def test_every_single_slot_given_every_possible_code_equals_enumeration(self, make, device):
        scm = make().to(device)
        joint = enumerate_joint(scm)
        for target, (seen, slot) in itertools.product(range(joint.ndim), enumerate(scm.slots)):
            agree(scm.query(target), condition(joint, [target]))
            for code in range(slot.cardinality):
                if condition(joint, [seen])[code] > 0:
                    expected = condition(joint, [target], {seen: code})
                    agree(scm.query(target, given={seen: code}), expected)

    def test_the_joint_of_all_slots_in_any_order_equals_enumeration(self, make, device):
        scm = make().to(device)
        joint = enumerate_joint(scm)
        for order in itertools.islice(itertools.permutations(range(joint.ndim)), 8):
            agree(scm.query(list(order)), np.transpose(joint, order))

    def test_log_prob_is_the_logarithm_of_the_joint_and_sums_to_one(self, make, device):
        scm = make().to(device)
        log_prob = scm.log_prob(all_rows(scm).to(device))
        agree(log_prob.exp(), enumerate_joint(scm).reshape(-1))
        assert float(log_prob.exp().sum()) == pytest.approx(1, abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_queries_under_do_with_evidence_equal_enumeration(data):
    """P(Y_x | Z_x), batched or not, with evidence on any slot: descendants of the done too."""
    scm = data.draw(scms())
    names, rows = scm.slots.names, data.draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))

    def draw_codes(name: str) -> torch.Tensor:
        shape = (rows,) if data.draw(st.booleans()) else ()
        return torch.randint(0, scm.slots[name].cardinality, shape, generator=generator)

    done = {name: draw_codes(name) for name in data.draw(st.sets(st.sampled_from(names)))}
    evidence = {name: draw_codes(name) for name in data.draw(st.sets(st.sampled_from(names)))}
    targets = data.draw(st.permutations(names))[: data.draw(st.integers(1, len(names)))]
    world = scm.do(done)
    columns = [scm.slots.index(name) for name in targets]
    batched = any(codes.ndim for codes in (*done.values(), *evidence.values()))
    expected = []
    for row in range(rows if batched else 1):
        joint = enumerate_joint(world, row)
        seen = {
            scm.slots.index(name): int(codes[row] if codes.ndim else codes)
            for name, codes in evidence.items()
        }
        if joint[tuple(seen.get(axis, slice(None)) for axis in range(joint.ndim))].sum() == 0:
            with pytest.raises(EvidenceError, match="probability zero"):
                world.query(targets, given=evidence)
            return
        expected.append(condition(joint, columns, seen))
    answer = world.query(targets, given=evidence)
    agree(answer, np.stack(expected) if batched else expected[0])


def test_evidence_on_a_descendant_of_the_done_slot_is_read_in_the_done_world():
    """Y -> X -> Z and Y -> Z: seeing Z under do(X) tells about Y, but not through X."""
    edges = [("y", "x"), ("x", "z"), ("y", "z")]
    scm = SCM.from_edges(edges, cardinality={"x": 2, "y": 3, "z": 4}, seed=0)
    answer = scm.do(slot="x", value=1).query("y", given={"z": 2})
    y, z = scm.mechanisms["y"].table(), scm.mechanisms["z"].table()
    by_hand = y * z[1, :, 2]
    torch.testing.assert_close(answer, by_hand / by_hand.sum())
    seen = scm.query("y", given={"z": 2, "x": 1})
    assert not torch.allclose(answer, seen)


def test_batched_worlds_give_batched_answers_whatever_the_graph():
    scm = SCMS["chain"]()
    world = scm.do(slot="b", value=torch.tensor([0, 1, 2]))
    assert world.query("a").shape == (3, 2)
    assert world.query("b").tolist() == torch.eye(3).tolist()
    assert world.query(["a", "c"]).shape == (3, 2, 4)
    for row in range(3):
        alone = scm.do(slot="b", value=row)
        torch.testing.assert_close(world.query("c")[row], alone.query("c"), rtol=0, atol=1e-15)
        torch.testing.assert_close(world.query("a")[row], scm.query("a"), rtol=0, atol=1e-15)


def test_log_prob_under_do_drops_the_factor_and_rules_out_other_values(device):
    scm = SCMS["columns against causes"]().to(device)
    world = scm.do(slot="c", value=torch.tensor([0, 3], device=device))
    rows = all_rows(scm).to(device)[:, None, :].expand(-1, 2, -1)
    got = world.log_prob(rows).exp()
    for index in range(2):
        agree(got[:, index], enumerate_joint(world, index).reshape(-1))
    assert torch.isneginf(world.log_prob(rows)).any()
    with pytest.raises(ShapeError, match="2 worlds, one per row"):
        world.log_prob(rows[:, 0])


def test_consistent_evidence_on_a_done_slot_changes_nothing_and_other_evidence_is_refused():
    world = SCMS["chain"]().do(slot="b", value=2)
    assert torch.equal(world.query("c", given={"b": 2}), world.query("c"))
    with pytest.raises(EvidenceError, match="evidence on b has probability zero"):
        world.query("c", given={"b": 1})
    with pytest.raises(EvidenceError, match="first at row 1"):
        world.query("c", given={"b": torch.tensor([2, 0])})


def test_much_evidence_does_not_underflow():
    """400 children of one cause: the evidence has probability near 1e-480."""
    count = 400
    names = [f"x{k}" for k in range(count)]
    graph = CausalGraph.from_edges([("cause", name) for name in names], nodes=["cause", *names])
    law = TableMechanism([[1 / 16] * 16, [1 / 17] + [1 / 16] * 14 + [1 / 8 - 1 / 17]])
    laws = {"cause": TableMechanism([0.5, 0.5]), **dict.fromkeys(names, law)}
    scm = SCM(graph, [Slot("cause", 2), *(Slot(name, 16) for name in names)], laws)
    answer = scm.query("cause", given=dict.fromkeys(names, 0))
    odds = (16 / 17) ** count
    assert float(answer[1]) == pytest.approx(odds / (1 + odds), rel=1e-9)
    assert float(scm.query("cause", given=dict.fromkeys(names, 0) | {"cause": 1})[1]) == 1


def test_more_slots_than_letters_and_tensor_axes():
    """A chain of 150 slots: stock enumeration stops at 64 axes."""
    names = [f"s{k}" for k in range(150)]
    edges = list(itertools.pairwise(names))
    scm = SCM.from_edges(edges, cardinality=dict.fromkeys(names, 3), concentration=5, seed=0)
    expected = scm.mechanisms["s0"].table()
    for name in names[1:]:
        expected = expected @ scm.mechanisms[name].table()
    torch.testing.assert_close(scm.query("s149"), expected, rtol=0, atol=1e-12)


def test_a_query_beyond_the_budget_is_refused_with_the_figure_before_it_is_computed():
    names = [f"s{k}" for k in range(40)]
    scm = SCM.from_edges([], cardinality=dict.fromkeys(names, 4), seed=0)
    with pytest.raises(
        StateSpaceError, match=r"1\.21e\+24 entries .*budget 6\.71e\+07.*sampled answer"
    ):
        scm.query(names)
    with pytest.raises(StateSpaceError, match="budget 63"):
        scm.query(names[:3], budget=63)
    assert scm.query(names[:3], budget=64).numel() == 64


def test_the_cost_told_beforehand_is_the_budget_that_the_answer_needs():
    names = [f"s{k}" for k in range(12)]
    edges = [(a, b) for k, b in enumerate(names) for a in names[max(0, k - 3) : k]]
    world = SCM.from_edges(edges, cardinality=dict.fromkeys(names, 3), seed=0).do({"s0": 1})
    cost = world.query_cost("s5", given={"s11": 0})
    assert world.query("s5", given={"s11": 0}, budget=cost.entries).shape == (3,)
    with pytest.raises(StateSpaceError):
        world.query("s5", given={"s11": 0}, budget=cost.entries - 1)


def test_a_cost_is_told_even_where_one_step_has_more_axes_than_torch():
    """A seen child for each pair of 60 causes joins them all."""
    causes = [f"c{k}" for k in range(60)]
    pairs = list(itertools.combinations(causes, 2))
    edges = [(cause, f"{a}{b}") for a, b in pairs for cause in (a, b)]
    seen = {f"{a}{b}": 0 for a, b in pairs}
    scm = SCM.from_edges(edges, cardinality=dict.fromkeys([*causes, *seen], 2), seed=0)
    cost = scm.query_cost("c0", given=seen)
    assert cost.entries > 2**52
    with pytest.raises(StateSpaceError, match=r"entries .*estimate\(\)") as refused:
        scm.query("c0", given=seen)
    assert refused.value.entries == cost.entries


@pytest.mark.parametrize("edges", [[], [("s0", "s2")], [("s2", "s0"), ("s0", "s1")]], ids=str)
def test_a_batch_beyond_the_budget_is_split_and_the_answer_is_the_same(edges):
    scm = SCM.from_edges(edges, cardinality={"s0": 4, "s1": 4, "s2": 4}, seed=0)
    seen = torch.arange(8) % 4
    whole = scm.query(["s0", "s1"], given={"s2": seen})
    split = scm.query(["s0", "s1"], given={"s2": seen}, budget=40)
    torch.testing.assert_close(split, whole, rtol=0, atol=1e-15)
    with pytest.raises(StateSpaceError, match=r"1[67] entries"):
        scm.query(["s0", "s1"], given={"s2": seen}, budget=15)


def test_orders_are_searched_once_per_structure():
    scm = SCMS["columns against causes"]()
    scm.query("a", given={"d": 0})
    before = structure.prepare.cache_info()
    scm.query("a", given={"d": 1})
    after = structure.prepare.cache_info()
    assert (after.misses, after.hits) == (before.misses, before.hits + 1)


def test_answers_keep_the_precision_of_the_finest_table():
    assert SCMS["chain"]().query("a").dtype == torch.float64
    assert SCMS["single precision"]().query("a").dtype == torch.float32


def test_what_cannot_be_does_not_count_in_an_expectation():
    """The logarithm of a code that is never zero."""
    law = TableMechanism([0.0, 0.25, 0.75])
    scm = SCM(CausalGraph.from_edges(nodes=["a"]), [Slot("a", 3)], {"a": law})
    got = scm.expectation(lambda a: a.double().log(), "a")
    assert float(got) == pytest.approx(0.75 * np.log(2), abs=1e-12)
    assert float(scm.expectation(lambda a: 1 / (a - 1.0), "a")) == np.inf


def test_no_rows_of_evidence_have_no_rows_of_answers():
    scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 3}, seed=0)
    nothing = {"a": torch.zeros(0, dtype=torch.long)}
    assert scm.query("b", nothing).shape == (0, 3)
    assert scm.estimate("b", nothing, seed=0).value.shape == (0, 3)
    assert scm.sample(5, given=nothing, seed=0).shape == (5, 0, 2)
