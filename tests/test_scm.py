"""The SCM that users hold: laws of do, counting, files, and what bad input is told."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import textwrap
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from ctvae.errors import (
    CodeError,
    CTVAEError,
    FormatError,
    GraphError,
    InterventionError,
    MechanismError,
    RegimeError,
    ShapeError,
    UnknownSlotError,
)
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.interventions import Hard, Shift, Stochastic
from ctvae.mechanisms.merging import Done
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.mechanisms.per_row import PerRow
from ctvae.mechanisms.replacements import Soft
from ctvae.mechanisms.table import TableMechanism
from ctvae.regimes import Regime, Samples
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotKey, SlotSpace
from tests.oracles import all_rows, enumerate_joint
from tests.strategies import SCMS, scms


def small() -> SCM:
    return SCMS["columns against causes"]()


def close(a: torch.Tensor, b: torch.Tensor, *, single: bool = False) -> None:
    exact = a.dtype == torch.float64 and not single
    torch.testing.assert_close(a, b, rtol=0, atol=1e-10 if exact else 1e-5)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
class TestLawsOfDo:
    def test_the_done_value_is_certain_in_answers_and_draws(self, make, device):
        scm = make().to(device)
        for name, slot in zip(scm.slots.names, scm.slots, strict=True):
            for code in range(slot.cardinality):
                world = scm.do(slot=name, value=code)
                assert float(world.query(name)[code]) == pytest.approx(1, abs=1e-6)
                column = scm.slots.index(name)
                assert bool((world.sample(20, seed=0)[:, column] == code).all())

    def test_slots_that_are_no_descendants_keep_their_law(self, make, device):
        scm = make().to(device)
        for name in scm.slots.names:
            world = scm.do(slot=name, value=0)
            for other in set(scm.slots.names) - {name} - scm.graph.descendants([name]):
                close(world.query(other), scm.query(other))

    def test_draws_of_slots_that_do_does_not_reach_are_equal_to_the_bit(self, make, device):
        scm = make().to(device)
        natural = scm.sample(60, seed=7)
        for name, slot in zip(scm.slots.names, scm.slots, strict=True):
            reached = {name} | scm.graph.descendants([name])
            kept = [scm.slots.index(other) for other in scm.slots.names if other not in reached]
            done = scm.do(slot=name, value=slot.cardinality - 1).sample(60, seed=7)
            assert torch.equal(done[:, kept], natural[:, kept])

    def test_the_query_of_all_slots_is_the_product_of_the_other_tables(self, make, device):
        """Truncated factorisation once more, by the other engine and in every world of a slot."""
        scm = make().to(device)
        for name, slot in zip(scm.slots.names, scm.slots, strict=True):
            for code in {0, slot.cardinality - 1}:
                world = scm.do(slot=name, value=code)
                close(
                    world.query(scm.slots.names).cpu().double(),
                    torch.from_numpy(enumerate_joint(world)),
                    single=world.program.dtype == torch.float32,
                )

    def test_nobody_can_change_a_model_through_its_answers(self, make, device):
        scm = make().to(device)
        for seen in (None, 1, torch.tensor([1, 0])):
            world = scm if seen is None else scm.do(slot=0, value=seen)
            rows = torch.zeros(2, len(scm.slots), dtype=torch.long)
            before = [world.query(name) for name in scm.slots.names], world.log_prob(rows)
            for name in scm.slots.names:
                world.query(name).fill_(7)
                world.query(name, given={0: 1 if seen is None else seen}).fill_(7)
            world.sample(3, seed=0).fill_(0)
            world.log_prob(rows).fill_(7)
            after = [world.query(name) for name in scm.slots.names], world.log_prob(rows)
            assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
            assert torch.equal(before[1], after[1])

    def test_truncated_factorisation(self, make, device):
        """P(x | do(x_k = v)) = [x_k = v] * product of the other slots' laws."""
        scm = make().to(device)
        rows = all_rows(scm).to(device)
        natural = scm.log_prob(rows)
        for column, name in enumerate(scm.slots.names):
            world = scm.do(slot=column, value=0)
            agrees = rows[:, column] == 0
            assert torch.isneginf(world.log_prob(rows[~agrees])).all()
            if name in scm.interventions:
                continue
            parents = [scm.slots.index(parent) for parent in scm.graph.parents(name)]
            table = scm.mechanisms[name].table()
            own = table[tuple(rows[:, parent] for parent in parents)] if parents else table
            removed = (own[..., 0] if own.ndim == 2 else own[0]).expand(len(rows)).log()
            kept = agrees & natural.isfinite()
            close(world.log_prob(rows)[kept], (natural - removed)[kept])

    def test_do_commutes_and_a_later_value_replaces_an_earlier_one(self, make, device):
        scm = make().to(device)
        first, last = scm.slots.names[0], scm.slots.names[-1]
        rows = all_rows(scm).to(device)
        if first != last:
            one = scm.do(slot=first, value=0).do(slot=last, value=1)
            other = scm.do(slot=last, value=1).do(slot=first, value=0)
            at_once = scm.do({last: 1, first: 0})
            assert torch.equal(one.log_prob(rows), other.log_prob(rows))
            assert torch.equal(one.log_prob(rows), at_once.log_prob(rows))
            assert repr(one) == repr(other)
        again = scm.do(slot=last, value=0).do(slot=last, value=1)
        assert torch.equal(again.log_prob(rows), scm.do(slot=last, value=1).log_prob(rows))

    def test_do_changes_nothing_of_the_model_it_is_asked_of_and_copies_no_table(self, make):
        scm = make()
        before, done = scm.log_prob(all_rows(scm)), dict(scm.interventions)
        world = scm.do(slot=0, value=0)
        assert torch.equal(scm.log_prob(all_rows(scm)), before)
        assert dict(scm.interventions) == done
        assert all(world.mechanisms[name] is law for name, law in scm.mechanisms.items())
        assert world.graph is scm.graph
        nothing = scm.do({})
        assert nothing.interventions.keys() == scm.interventions.keys()
        assert torch.equal(nothing.log_prob(all_rows(scm)), before)
        assert torch.equal(nothing.sample(20, seed=0), scm.sample(20, seed=0))

    def test_saved_and_loaded_it_is_the_same_to_the_last_bit(self, make, tmp_path, device):
        scm = make()
        for model in (scm, scm.do(slot=0, value=torch.tensor([1, 0])), scm.do(slot=0, value=1)):
            loaded = SCM.load(model.save(tmp_path / "scm"), device=device)
            assert loaded.slots == model.slots
            assert loaded.graph == model.graph
            assert repr(loaded) == repr(model)
            for name, law in model.mechanisms.items():
                assert torch.equal(loaded.mechanisms[name].table().cpu(), law.table())
            assert loaded.program.device.type == device.type
            if device.type == "cpu":
                assert torch.equal(loaded.sample(30, seed=0), model.sample(30, seed=0))
                for name in model.slots.names:
                    assert torch.equal(loaded.query(name), model.query(name))

    def test_names_and_columns_mean_the_same(self, make):
        scm = make()
        for column, name in enumerate(scm.slots.names):
            assert torch.equal(scm.query(column), scm.query(name))
            by_name, by_column = scm.do({name: 0}), scm.do(slot=column, value=0)
            assert torch.equal(by_name.sample(5, seed=0), by_column.sample(5, seed=0))
        assert list(scm.to_dict(scm.sample(3, seed=0))) == list(scm.slots.names)


@settings(max_examples=30, deadline=None)
@given(scms(), st.data())
def test_done_values_per_row_are_one_world_per_row(scm, data):
    rows = data.draw(st.integers(1, 3))
    done = {
        name: torch.tensor(
            data.draw(
                st.lists(
                    st.integers(0, scm.slots[name].cardinality - 1), min_size=rows, max_size=rows
                )
            )
        )
        for name in data.draw(st.sets(st.sampled_from(scm.slots.names), min_size=1))
    }
    world = scm.do(done)
    table = all_rows(scm)[:, None].expand(-1, rows, -1)
    for row in range(rows):
        alone = scm.do({name: int(codes[row]) for name, codes in done.items()})
        assert torch.equal(world.log_prob(table)[:, row], alone.log_prob(all_rows(scm)))
        np.testing.assert_allclose(enumerate_joint(world, row), enumerate_joint(alone))
        for names in (scm.slots.names[:1], scm.slots.names[::-1]):
            close(world.query(names)[row], alone.query(names))
    draws = world.sample(4, seed=0)
    assert draws.shape == (4, rows, len(scm.slots))
    for name, codes in done.items():
        assert torch.equal(draws[..., scm.slots.index(name)], codes.expand(4, rows))


@settings(max_examples=30, deadline=None)
@given(scms(), st.data())
def test_laws_of_do_on_any_graph(scm, data):
    names = data.draw(st.permutations(scm.slots.names))
    code = {n: data.draw(st.integers(0, scm.slots[n].cardinality - 1)) for n in names}
    done = {name: code[name] for name in names[: data.draw(st.integers(1, len(names)))]}
    world = scm.do(done)
    one_by_one = scm
    for name in reversed(done):
        one_by_one = one_by_one.do(slot=name, value=0).do(slot=name, value=code[name])
    joint = torch.from_numpy(enumerate_joint(world))
    close(world.query(scm.slots.names), joint)
    assert torch.equal(one_by_one.query(scm.slots.names), world.query(scm.slots.names))
    assert float(joint.sum()) == pytest.approx(1, abs=1e-10)
    rows = all_rows(scm)
    close(world.log_prob(rows).exp(), joint.reshape(-1))
    against = (rows != torch.tensor([done.get(n, -1) for n in scm.slots.names])) & torch.tensor([
        n in done for n in scm.slots.names
    ])
    assert torch.isneginf(world.log_prob(rows)[against.any(1)]).all()
    natural, draws = scm.sample(40, seed=1), world.sample(40, seed=1)
    reached = set(done) | scm.graph.descendants(list(done))
    for column, name in enumerate(scm.slots.names):
        if name in done:
            assert float(world.query(name)[done[name]]) == 1
            assert bool((draws[:, column] == done[name]).all())
        if name not in reached:
            close(world.query(name), scm.query(name))
            assert torch.equal(draws[:, column], natural[:, column])


def test_a_tensor_changed_after_do_does_not_change_the_world():
    values = torch.tensor([0, 1, 2])
    world = small().do(slot="b", value=values)
    values[:] = 0
    assert world.sample(1, seed=0)[0, :, 1].tolist() == [0, 1, 2]


def test_the_mappings_of_a_model_are_read_only():
    scm = small().do(slot="b", value=1)
    with pytest.raises(TypeError):
        scm.interventions["a"] = Hard(0)  # type: ignore[index]  # that is the point
    with pytest.raises(TypeError):
        scm.mechanisms["a"] = law(2)  # type: ignore[index]  # that is the point


def test_do_takes_hard_in_both_forms():
    scm = small()
    forms = [scm.do({"b": Hard(2)}), scm.do(slot="b", value=Hard(2)), scm.do(slot="b", value=2)]
    assert {repr(world) for world in forms} == {
        "SCM(SlotSpace(a:2, b:3, c:4, d:5), 5 edges, do(b=2))"
    }
    assert "do(b=<2 rows>, d=1)" in repr(scm.do({"d": 1, "b": torch.tensor([0, 1])}))


def test_a_notebook_shows_the_world_and_its_graph():
    scm = SCM.from_edges([("a<b", "c")], cardinality={"a<b": 2, "c": 2}, seed=0)
    shown = scm.do({"c": 1})._repr_html_()
    assert shown.startswith("<p>SCM(SlotSpace(a&lt;b:2, c:2), 1 edge, do(c=1))</p><svg")


class TestCounting:
    graph = CausalGraph.from_edges([("a", "b")], nodes=["b", "a"])
    slots = (Slot("a", 2), Slot("b", 3))
    codes = torch.tensor([[0, 0], [0, 2], [1, 1], [1, 1]])

    def test_tables_are_posterior_means(self):
        scm = SCM.fit(self.graph, self.codes, slots=self.slots, pseudocount=0.5)
        close(scm.query("a"), torch.tensor([0.5, 0.5], dtype=torch.float64))
        expected = torch.tensor([[1.5, 0.5, 1.5], [0.5, 2.5, 0.5]], dtype=torch.float64) / 3.5
        close(scm.mechanisms["b"].table(), expected)

    def test_rows_where_a_slot_was_done_do_not_count_for_it_but_for_its_children(self):
        done = torch.tensor([[1, 0], [1, 0], [0, 1], [0, 1]]).bool()
        rows = Samples(self.codes, SlotSpace(self.slots), Regime.INTERVENTIONAL, done)
        scm = SCM.fit(self.graph, rows)
        expected = torch.tensor([[2, 1, 2], [5 / 3, 5 / 3, 5 / 3]], dtype=torch.float64) / 5
        close(scm.mechanisms["a"].table(), torch.tensor([1, 3], dtype=torch.float64) / 4)
        close(scm.mechanisms["b"].table(), expected)

    def test_every_cell_of_mixed_worlds_is_the_count_of_its_natural_rows(self):
        scm = small()
        parts, targets = [scm.sample(300, seed=0)], [torch.zeros(300, 4).bool()]
        for column in range(4):
            values = torch.arange(300) % scm.slots[column].cardinality
            parts.append(scm.do(slot=column, value=values).sample(1, seed=column + 1)[0])
            targets.append(torch.zeros(300, 4).bool())
            targets[-1][:, column] = True
        codes, done = torch.cat(parts), torch.cat(targets)
        fitted = SCM.fit(scm.graph, Samples(codes, scm.slots, Regime.INTERVENTIONAL, done))
        for column, name in enumerate(scm.slots.names):
            parents = [scm.slots.index(parent) for parent in scm.graph.parents(name)]
            table = fitted.mechanisms[name].table()
            natural = [row for row, out in zip(codes, done, strict=True) if not out[column]]
            seen = Counter(tuple(int(row[k]) for k in (*parents, column)) for row in natural)
            for cell in itertools.product(*map(range, table.shape)):
                total = sum(seen[(*cell[:-1], code)] for code in range(table.shape[-1]))
                mean = (seen[cell] + 1) / (total + table.shape[-1])
                assert float(table[cell]) == pytest.approx(mean, rel=1e-12)

    def test_codes_on_a_device_give_tables_there(self, device):
        scm = SCM.fit(self.graph, self.codes.to(device), slots=self.slots)
        assert scm.program.device.type == device.type


def edited(rows: Regime) -> Samples:
    return Samples(TestCounting.codes, SlotSpace(TestCounting.slots), rows)


def law(*sizes: int) -> TableMechanism:
    return TableMechanism.random(sizes[-1], sizes[:-1], seed=0)


WRONG: list[Any] = [1.0, "red", [[0, 1]]]  # untyped, as callers without a type checker are
BOTH_KEYS: dict[SlotKey, int] = {"b": 0, 1: 0}
AB = CausalGraph.from_edges([("a", "b")])
SLOTS = (Slot("a", 2), Slot("b", 3))
BAD = {
    "slot name": (lambda: small().do(slot="bb", value=0), UnknownSlotError, "did you mean 'b'"),
    "slot index": (lambda: small().do(slot=4, value=0), UnknownSlotError, "run from 0 to 3"),
    "code": (
        lambda: small().do(slot="b", value=3),
        InterventionError,
        r"value 3 .* slot 'b' \(codes 0\.\.2\)",
    ),
    "code in a row": (
        lambda: small().do(slot="b", value=torch.tensor([0, -1])),
        InterventionError,
        "value -1 is outside",
    ),
    "float": (lambda: small().do(slot="b", value=WRONG[0]), InterventionError, "a slot is finite"),
    "bool": (
        lambda: small().do(slot="b", value=torch.tensor(True)),
        InterventionError,
        "integer codes",
    ),
    "text": (lambda: small().do({"b": WRONG[1]}), InterventionError, "no state 'red'"),
    "two axes": (
        lambda: small().do(slot="b", value=torch.zeros(1, 1).long()),
        InterventionError,
        r"\(\) or \(batch,\)",
    ),
    "batches at once": (
        lambda: small().do({"a": torch.tensor([0]), "b": torch.tensor([0, 1])}),
        InterventionError,
        "one length, got a: 1, b: 2",
    ),
    "batches one after another": (
        lambda: small().do(slot="a", value=torch.tensor([0])).do({"b": torch.tensor([0, 1])}),
        InterventionError,
        "one length, got a: 1, b: 2; earlier",
    ),
    "twice": (lambda: small().do(BOTH_KEYS), InterventionError, "'b' is set twice"),
    "both forms": (
        lambda: small().do({"b": 0}, slot="a", value=0),
        InterventionError,
        "either slot= and value=",
    ),
    "no form": (lambda: small().do(), InterventionError, "either slot= and value="),
    "no value": (lambda: small().do(slot="a"), InterventionError, "either slot= and value="),
    "no mapping": (lambda: small().do(WRONG[1]), InterventionError, "or a mapping such as"),
    "query nothing": (lambda: small().query([]), CTVAEError, r"each slot once, got \[\]"),
    "query twice": (lambda: small().query(["a", 0]), CTVAEError, "each slot once"),
    "query unknown": (lambda: small().query("e"), UnknownSlotError, "slots: a, b, c, d"),
    "evidence twice": (lambda: small().query("a", BOTH_KEYS), CTVAEError, "each slot once"),
    "evidence code": (lambda: small().query("a", {"b": 9}), CodeError, "value 9 is outside"),
    "evidence float": (lambda: small().query("a", {"b": WRONG[0]}), CodeError, "a slot is finite"),
    "evidence batches": (
        lambda: small().query("a", {"b": torch.tensor([0]), "c": torch.tensor([0, 1])}),
        ShapeError,
        r"one batch length, got \[1, 2\]",
    ),
    "evidence beside done": (
        lambda: small().do(slot="a", value=torch.tensor([0])).query("d", {"c": torch.arange(2)}),
        ShapeError,
        r"got \[1, 2\]",
    ),
    "codes shape": (lambda: small().log_prob(torch.zeros(3).long()), ShapeError, r"\(\*batch, 4\)"),
    "codes float": (lambda: small().log_prob(torch.zeros(4)), CodeError, "must be integers"),
    "codes range": (lambda: small().log_prob(torch.full((4,), 2)), CodeError, "slot 'a'"),
    "cycle": (
        lambda: SCM.from_edges(
            [("a", "b"), ("b", "c"), ("c", "a")], cardinality={"a": 2, "b": 2, "c": 2}
        ),
        GraphError,
        "the directed edges form a cycle: a -> b -> c -> a",
    ),
    "no DAG": (
        lambda: SCM(CausalGraph.from_edges(undirected=[("a", "b")]), SLOTS, {}),
        GraphError,
        r"got kind CPDAG; one member .*consistent_extension\(\)",
    ),
    "hidden causes": (
        lambda: SCM(CausalGraph.from_edges(bidirected=[("a", "b")]), SLOTS, {}),
        GraphError,
        "got kind ADMG; write hidden causes as slots",
    ),
    "nodes": (
        lambda: SCM(CausalGraph.from_edges([("a", "c")]), SLOTS, {}),
        GraphError,
        r"no node for slots \['b'\], no slot for nodes \['c'\]",
    ),
    "no slots": (lambda: SCM(CausalGraph.from_edges(), [], {}), GraphError, "at least one slot"),
    "no mechanism": (lambda: SCM(AB, SLOTS, {"a": law(2)}), MechanismError, "'b' has no mech"),
    "spare mechanism": (
        lambda: SCM(AB, SLOTS, {"a": law(2), "b": law(2, 3), "c": law(2)}),
        MechanismError,
        r"\['c'\], which are no slots",
    ),
    "cardinality": (
        lambda: SCM(AB, SLOTS, {"a": law(2), "b": law(3, 2)}),
        MechanismError,
        r"'b' is for parents \(3,\) and 2 codes; the graph needs \(2,\) \(a, in column order\)",
    ),
    "counting plain": (lambda: SCM.fit(AB, TestCounting.codes), CTVAEError, "need slots="),
    "counting edits": (lambda: SCM.fit(AB, edited(Regime.EDIT)), RegimeError, "edit rows"),
    "counting pairs": (
        lambda: SCM.fit(AB, edited(Regime.COUNTERFACTUAL)),
        RegimeError,
        "counterfactual rows are no samples",
    ),
    "counting other slots": (
        lambda: SCM.fit(AB, edited(Regime.OBSERVATIONAL), slots=[Slot("a", 2), Slot("b", 4)]),
        CTVAEError,
        "leave slots out",
    ),
    "counting codes": (
        lambda: SCM.fit(AB, torch.tensor([[0, 3]]), slots=SLOTS),
        CodeError,
        "value 3 is outside",
    ),
    "counting a list": (
        lambda: SCM.fit(AB, WRONG[2], slots=SLOTS),
        ShapeError,
        "must be an integer tensor",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_told_what_where_and_the_way_out(call, error, message):
    with pytest.raises(error, match=message):
        call()


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path):
        return small().do(slot="b", value=torch.tensor([0, 1])).save(tmp_path / "scm")

    @pytest.mark.parametrize("name", ["law.2", "do.1"])
    def test_missing_and_misshapen_tensors_are_named(self, folder, name):
        weights = folder / "weights.safetensors"
        tensors = load_file(weights)
        save_file({k: t for k, t in tensors.items() if k != name}, weights)
        with pytest.raises(FormatError, match=f"tensor '{name}' is missing"):
            SCM.load(folder)
        save_file(tensors | {name: tensors[name][:1].clone()}, weights)
        with pytest.raises(FormatError, match=f"tensor '{name}' has shape .* expected"):
            SCM.load(folder)

    def test_a_model_in_double_is_saved_as_it_is(self, tmp_path):
        single = {"a": TableMechanism(torch.tensor([0.3, 0.7]))}
        single["b"] = TableMechanism(torch.tensor([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]]))
        coarse = SCM(AB, SLOTS, single)
        odd = torch.tensor([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]])
        kinds = PerRow([Soft(odd), Stochastic(odd[0]), None], torch.tensor([0, 1, 2]))
        for done in (Soft(odd), Stochastic(odd[0]), Shift(1, wrap=True), kinds):
            fine = coarse.do({"b": done}).in_double()
            assert fine.query("b").dtype == torch.float64
            assert fine.in_double() is fine
            again = SCM.load(fine.save(tmp_path / "m"))
            assert torch.equal(again.query("b"), fine.query("b"))
            torch.testing.assert_close(
                fine.query("b").float(), coarse.do({"b": done}).query("b"), rtol=0, atol=1e-6
            )

    def test_names_with_dots_are_no_other_slots_tensors(self, tmp_path):
        """A name may look like that of a tensor of another slot."""
        names = ["a", "a.0", "a.1", "a.index", "a.embedding.weight"]
        laws: dict[str, Mechanism] = {name: law(2) for name in names}
        laws["a"] = NeuralMechanism(2, [], seed=0)
        scm = SCM(CausalGraph.from_edges(nodes=names), [Slot(name, 2) for name in names], laws)
        soft = Soft(NeuralMechanism(2, [], seed=1))
        kinds = PerRow([Stochastic([0.2, 0.8]), soft], torch.tensor([1, 0]))
        done: dict[str, Done] = {
            "a": kinds,
            "a.0": Shift(1, wrap=True),
            "a.1": 1,
            "a.index": Stochastic([0.6, 0.4]),
        }
        for world in (scm, scm.do(done)):
            again = SCM.load(world.save(tmp_path / "scm"))
            assert torch.equal(again.query(names), world.query(names))

    def test_tables_that_are_no_laws_and_values_that_are_no_codes_are_refused(self, folder):
        weights = folder / "weights.safetensors"
        tensors = load_file(weights)
        for name, bad in (("law.2", tensors["law.2"] * 2), ("do.1", tensors["do.1"] + 7)):
            save_file(tensors | {name: bad}, weights)
            with pytest.raises(FormatError, match=r"one is off by 1|value 7 is outside"):
                SCM.load(folder)

    @pytest.mark.parametrize(
        "change",
        [
            {"slots": {"a": 0}},
            {"slots": 3},
            {"edges": [["a", "b"], ["b", "a"]]},
            {"edges": [["a"]]},
            {"interventions": {"e": []}},
            {"interventions": 1},
        ],
        ids=str,
    )
    def test_a_config_that_describes_no_model_is_refused(self, folder, change):
        config = json.loads((folder / "config.json").read_text())
        config["config"] |= change
        (folder / "config.json").write_text(json.dumps(config))
        with pytest.raises(FormatError):
            SCM.load(folder)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"class": "CTVAE"}, r"holds a CTVAE, not a SCM; load it with ct\.CTVAE\.load"),
            ({"format_version": 99}, "has format version 99, this library reads"),
            ({"config": None}, "do not describe an SCM"),
        ],
        ids=["foreign class", "future format", "no config"],
    )
    def test_folders_of_another_kind_are_refused(self, folder, change, message):
        document = json.loads((folder / "config.json").read_text()) | change
        (folder / "config.json").write_text(json.dumps(document))
        with pytest.raises(FormatError, match=message):
            SCM.load(folder)

    @pytest.mark.parametrize("kept", [0, 4, 60, -1])
    @pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
    def test_files_cut_short_are_refused(self, folder, name, kept):
        content = (folder / name).read_bytes()
        # A text file may end without its newline: cut its last brace too.
        (folder / name).write_bytes(content.rstrip()[:kept])
        with pytest.raises(FormatError, match=name):
            SCM.load(folder)

    @pytest.mark.parametrize("name", ["weights.safetensors", "config.json"])
    def test_missing_files_are_named(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(FormatError, match=f"not a saved SCM: {name} is missing"):
            SCM.load(folder)

    def test_a_new_process_gives_the_same_bits(self, tmp_path):
        """Also of worlds, one or one per row; nothing but the folders goes over."""
        natural = small()
        worlds = {
            "natural": natural,
            "done": natural.do({"c": 3, "a": 0}),
            "per row": natural.do({"b": torch.tensor([2, 0, 1]), "d": 4}),
            "single": SCMS["single precision"]().do(slot="b", value=1),
        }
        for name, world in worlds.items():
            world.save(tmp_path / name)
        ask = """
            import sys
            from pathlib import Path
            from safetensors.torch import save_file
            from ctvae.scm import SCM
            for folder in sorted(Path(sys.argv[1]).iterdir()):
                world = SCM.load(folder)
                answers = {"draws": world.sample(40, seed=3), "joint": world.query(["d", "a"])}
                answers["given"] = world.query("b", given={"a": 0})
                answers["log_prob"] = world.log_prob(answers["draws"])
                save_file(answers, folder / "answers.safetensors")
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(ask), str(tmp_path)], check=True)
        for name, world in worlds.items():
            found = load_file(tmp_path / name / "answers.safetensors")
            draws = world.sample(40, seed=3)
            assert torch.equal(found["draws"], draws)
            assert torch.equal(found["joint"], world.query(["d", "a"]))
            assert torch.equal(found["given"], world.query("b", given={"a": 0}))
            assert torch.equal(found["log_prob"], world.log_prob(draws))

    def test_no_pickle_is_written(self, folder):
        assert sorted(path.name for path in folder.iterdir()) == [
            "config.json",
            "weights.safetensors",
        ]


def test_random_tables_differ_between_seeds_and_slots():
    cardinality = {"a": 4, "b": 4}
    first, again, other = (
        SCM.from_edges([], cardinality=cardinality, seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(first.query("a"), again.query("a"))
    assert not torch.equal(first.query("a"), other.query("a"))
    assert not torch.equal(first.query("a"), first.query("b"))


@pytest.mark.gpu
def test_cpu_and_accelerator_agree():
    if not torch.cuda.is_available():
        pytest.skip("no accelerator on this machine")
    for name, make in SCMS.items():
        host, rows = make(), all_rows(make())
        guest = host.to("cuda")
        close(guest.log_prob(rows).exp().cpu(), host.log_prob(rows).exp())
        for slot in host.slots.names:
            close(guest.query(slot).cpu(), host.query(slot))
        assert guest.sample(10, seed=0).device.type == "cuda", name


def test_log_prob_is_in_nats():
    scm = SCM(
        CausalGraph.from_edges(nodes=["a"]), [Slot("a", 2)], {"a": TableMechanism([0.2, 0.8])}
    )
    assert float(scm.log_prob(torch.tensor([1]))) == pytest.approx(math.log(0.8), abs=1e-15)
