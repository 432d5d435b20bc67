"""Questions about units that cannot be answered, and fits of what is none."""

from __future__ import annotations

from pathlib import Path

import torch

import ctvae as ct
from ctvae.errors import (
    CodeError,
    CTVAEError,
    DataError,
    EvidenceError,
    FormatError,
    GraphError,
    InterventionError,
    MechanismError,
    RegimeError,
    ShapeError,
    StateSpaceError,
    UnknownSlotError,
)
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms import FunctionMechanism, TableMechanism
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot
from tests.bad_input.subjects import Case, Subjects, anything, law

__all__ = ["FITS", "UNITS"]

T = torch.tensor
AB = CausalGraph.from_edges([("a", "b")])
SLOTS = [Slot("a", 2), Slot("b", 3)]
ROWS = T([[0, 1], [1, 2]])


def _many_parents() -> CausalGraph:
    return CausalGraph.from_edges([(f"p{k}", "y") for k in range(40)])


def _save_what_has_no_table(s: Subjects) -> Path:
    sizes = {f"p{k}": 4 for k in range(14)} | {"y": 2}
    graph = CausalGraph.from_edges([(f"p{k}", "y") for k in range(14)])
    laws = {name: law(4) for name in sizes if name != "y"}
    rule = FunctionMechanism(lambda *codes: sum(codes) % 2, 2, [4] * 14)
    slots = [Slot(name, size) for name, size in sizes.items()]
    return SCM(graph, slots, {**laws, "y": rule}).save(s.folder)


def _load_another_format(s: Subjects) -> SCM:
    copy = s.folder.parent / "copy"
    s.small.save(copy)
    text = (copy / "config.json").read_text()
    (copy / "config.json").write_text(text.replace('"format_version": ', '"format_version": 9'))
    try:
        return SCM.load(copy)
    finally:
        for path in copy.iterdir():
            path.unlink()
        copy.rmdir()


UNITS: dict[str, Case] = {
    "units of floats": (
        lambda s: s.small.counterfactual(torch.zeros(1, 4), do={"b": 1}),
        CodeError,
        ("integers", "torch.float32"),
    ),
    "units of other slots": (
        lambda s: s.small.counterfactual(s.rows[:, :3], do={"b": 1}),
        ShapeError,
        ("(*batch, 4)", "a, b, c, d", "got (10, 3)"),
    ),
    "units set to another code than they have": (
        lambda s: s.small.do({"b": 1}).counterfactual(T([[0, 1, 0, 0], [0, 2, 0, 0]]), do={"c": 1}),
        EvidenceError,
        ("unit 1", "slot 'b'", "set to", "natural model"),
    ),
    "units that cannot be": (
        lambda s: s.zeros.counterfactual(T([[1, 1], [0, 0]]), do={"b": 1}),
        EvidenceError,
        ("unit 1", "slot 'b'", "probability zero"),
    ),
    "fewer than no units": (
        lambda s: s.small.counterfactual(s.rows, do={"b": 1}, num_samples=-1),
        ShapeError,
        ("num_samples= takes an integer of at least 0", "got -1"),
    ),
    "no other world": (
        lambda s: s.small.counterfactual(s.rows, do=anything(None)),
        InterventionError,
        ("slot= and value=", "{'hue': 5}"),
    ),
    "a coupling that is a text": (
        lambda s: s.small.counterfactual(s.rows, do={"b": 1}, coupling=anything("gumbel")),
        CTVAEError,
        ("Gumbel(), Monotone(), Maximal()", "got 'gumbel'"),
    ),
    "a coupling by slot that is a text": (
        lambda s: s.small.counterfactual(s.rows, do={"b": 1}, coupling=anything({"b": "gumbel"})),
        CTVAEError,
        ("slot 'b'", "Gumbel()", "got 'gumbel'"),
    ),
    "a twin of worlds per row": (
        lambda s: s.small.twin(do={"b": T([0, 1])}),
        ShapeError,
        ("two worlds", "counterfactual()"),
    ),
    "a twin of a twin": (
        lambda s: s.small.twin({"c": 1}).twin({"c": 2}),
        CodeError,
        ('named "a\'"', "unique"),
    ),
    "a split of what is split": (
        lambda s: s.small.do({"c": 1}).swig().do({"c": 1}).swig(),
        CodeError,
        ("named 'do(c)'", "unique"),
    ),
    "the noise of one code per slot": (
        lambda s: s.small.abduct(s.rows[0]),
        ShapeError,
        ("(batch, slots)", "got (4,)"),
    ),
    "the noise of blocks": (
        lambda s: s.small.abduct(s.rows.reshape(2, 5, 4)),
        ShapeError,
        ("(batch, slots)", "got (2, 5, 4)"),
    ),
    "the noise of what cannot be": (
        lambda s: s.zeros.abduct(T([[1, 1], [0, 0]])),
        EvidenceError,
        ("unit 1", "slot 'b'", "probability zero"),
    ),
    "a cause without a code": (
        lambda s: s.small.causation(anything("d"), {"a": 1}, instead=0),
        CTVAEError,
        ("one cause and one effect", "got d, {'a': 1}"),
    ),
    "a cause of many codes": (
        lambda s: s.small.causation(anything({"d": T([0, 1])}), {"a": 1}, instead=0),
        ShapeError,
        ("one code of slot 'd'", "got 2", "row by row"),
    ),
    "a cause instead of nothing": (
        lambda s: s.small.causation({"d": 1}, {"a": 1}, instead=9),
        CodeError,
        ("value 9", "slot 'd'", "codes 0..4"),
    ),
    "a cause by a wrong name": (
        lambda s: s.small.causation({"dd": 1}, {"a": 1}, instead=0),
        UnknownSlotError,
        ("'dd'", "did you mean 'd'?"),
    ),
    "pairs of blocks": (
        lambda s: s.small.fit_coupling(s.rows[0], s.rows[0], do={"b": 1}),
        ShapeError,
        ("same units", "(units, slots)", "got (4,) and (4,)"),
    ),
    "pairs always misread": (
        lambda s: s.small.fit_coupling(s.rows, s.rows, do={"d": 1}, misread=2.0),
        ShapeError,
        ("misread", "below 0.5", "got 2.0"),
    ),
    "a plate of other worlds": (
        lambda s: s.done.structural_model(3),
        ShapeError,
        ("2 worlds, one per row", "the plate has 3"),
    ),
}

FITS: dict[str, Case] = {
    "a graph that is a list": (
        lambda _: SCM.fit(anything([("a", "b")]), ROWS, slots=SLOTS),
        GraphError,
        ("CausalGraph", "got [('a', 'b')]", "from_edges"),
    ),
    "a law that is a tensor": (
        lambda _: SCM(AB, SLOTS, anything({"a": T([0.5, 0.5]), "b": law(2, 3)})),
        MechanismError,
        ("slot 'a'", "is a Tensor", "ct.TableMechanism"),
    ),
    "rows of floats": (
        lambda _: SCM.fit(AB, ROWS.float(), slots=SLOTS),
        CodeError,
        ("integers", "torch.float32"),
    ),
    "rows of other slots": (
        lambda s: SCM.fit(AB, s.rows, slots=SLOTS),
        ShapeError,
        ("(*batch, 2)", "(a, b)", "got (10, 4)"),
    ),
    "a mask of another shape": (
        lambda _: SCM.fit(AB, ROWS, slots=SLOTS, observed=T([[True]])),
        ShapeError,
        ("observed", "(2, 2)", "got torch.bool (1, 1)"),
    ),
    "a law that is a text": (
        lambda _: SCM.fit(AB, ROWS, slots=SLOTS, mechanism=anything("neural")),
        MechanismError,
        ("mechanism=", "ct.NeuralMechanism", "got 'neural'"),
    ),
    "a fit of floats": (
        lambda _: TableMechanism.fit(T([0.5]), T([[0]]), cardinality=2, parent_cardinalities=[2]),
        CodeError,
        ("integers", "torch.float32"),
    ),
    "a fit of too large a table": (
        lambda _: SCM.fit(
            _many_parents(),
            torch.zeros(3, 41, dtype=torch.long),
            slots=[Slot(name, 4) for name in _many_parents().nodes],
        ),
        StateSpaceError,
        ("4 codes given 40 parents", "entries (budget 6.71e+07)", "NeuralMechanism"),
    ),
    "too large a random table": (
        lambda _: TableMechanism.random(4, [4] * 40, seed=0),
        StateSpaceError,
        ("4 codes given 40 parents", "4.84e+24 entries", "NeuralMechanism"),
    ),
    "a table without numbers": (
        lambda _: TableMechanism(torch.ones(2, device="meta")),
        MechanismError,
        ("a table", "device meta"),
    ),
    "a table with a nan": (
        lambda _: TableMechanism([[0.5, 0.5], [float("nan"), 1]]),
        MechanismError,
        ("finite numbers", "got nan at [1, 0]"),
    ),
    "rows of a table that are not there": (
        lambda _: law(2, 4, 3).log_probs(T([[0, 5]])),
        CodeError,
        ("value 5", "parent 1", "codes 0..3"),
    ),
    "rows of too many parents": (
        lambda _: law(2, 3).log_probs(T([[0, 1]])),
        ShapeError,
        ("(*batch, 1)", "got (1, 2)"),
    ),
    "a network asked of floats": (
        lambda _: NeuralMechanism(2, [2], seed=0).log_probs(T([[0.5]])),
        CodeError,
        ("integers", "torch.float32"),
    ),
    "a function of half codes": (
        lambda _: FunctionMechanism(lambda a: a, anything(2.0), [2]),
        MechanismError,
        ("integer cardinalities", "got 2.0 and (2,)"),
    ),
    "a choice per row by bools": (
        lambda s: s.small.do({"b": ct.PerRow([0, 1], T([True, False]))}),
        InterventionError,
        ("slot 'b'", "index= takes integers", "got dtype torch.bool"),
    ),
    "a row of lists": (
        lambda s: s.small.do([{"b": anything([1])}]),
        InterventionError,
        ("row 0", "slot 'b'", "got [1]"),
    ),
    "a class as a coupling": (
        lambda s: s.small.counterfactual(s.rows, do={"b": 1}, coupling=anything(ct.Gumbel)),
        CTVAEError,
        ("coupling= takes Gumbel()", "class"),
    ),
    "a class as a law": (
        lambda _: SCM(CausalGraph.from_edges(nodes=["a"]), [Slot("a", 2)], anything({"a": law})),
        MechanismError,
        ("mechanism of slot 'a'", "write ct.TableMechanism(probabilities)"),
    ),
    "a class of laws": (
        lambda _: SCM(
            CausalGraph.from_edges(nodes=["a"]), [Slot("a", 2)], {"a": anything(TableMechanism)}
        ),
        MechanismError,
        ("mechanism of slot 'a'", "write ct.TableMechanism(probabilities)"),
    ),
    "names of codes that are lists": (
        lambda _: Slot("a", 2, states=anything(([1], [2]))),
        CodeError,
        ("slot 'a'", "2 different non-empty texts"),
    ),
    "half a row": (
        lambda s: s.small.pyro_model(anything(1.5)),
        ShapeError,
        ("num_rows= takes an integer", "1.5"),
    ),
    "complex values": (
        lambda s: s.small.expectation(lambda b: b * 1j, "b"),
        CTVAEError,
        ("real numbers", "complex"),
    ),
    "codes compared with names": (
        lambda s: s.small.expectation(lambda b: anything(b == "yes"), "b"),
        CTVAEError,
        ("returned False for the whole grid", "not their names"),
    ),
    "covariates as a text": (
        lambda s: s.small.causation({"a": 1}, {"c": 1}, instead=0, covariates="b"),
        CTVAEError,
        ("covariates= takes a list of slots", "write ['b']"),
    ),
    "a rule without its parents": (
        lambda s: s.small.do({"b": anything(lambda a: a)}),
        InterventionError,
        ("slot 'b'", "write Conditional(rule, parents=[...])"),
    ),
    "a regime as a text": (
        lambda s: ct.Samples(s.rows, s.small.slots, anything("interventional")),
        RegimeError,
        ("Regime.INTERVENTIONAL", "got 'interventional'"),
    ),
    "a class of methods": (
        lambda s: ct.learn_graph(s.rows, method=anything(ct.graph.GES)),
        DataError,
        ("ct.graph.GES()", "got GES"),
    ),
    "a method as a text": (
        lambda s: ct.learn_graph(s.rows, method=anything("ges")),
        DataError,
        ("takes an object with discover()", "got 'ges'"),
    ),
    "a model in the place of a file": (
        lambda s: s.small.save(s.folder / "config.json"),
        FormatError,
        ("config.json is a file", "saved as a folder"),
    ),
    "a model over other files": (
        lambda s: s.small.save(s.folder.parent),
        FormatError,
        ("exists and is no saved model", "empty or a new folder"),
    ),
    "a model that has no table, over a saved one": (
        _save_what_has_no_table,
        StateSpaceError,
        ("14 parents", "2.68e+08 rows", "cannot be saved"),
    ),
    "a folder that is none": (
        lambda s: SCM.load(s.folder / "nowhere"),
        FormatError,
        ("nowhere is not a saved SCM", "config.json is missing"),
    ),
    "a file of another format": (
        _load_another_format,
        FormatError,
        ("has format version 9", "this library reads"),
    ),
}
