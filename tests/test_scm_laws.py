"""The meanings that must hold (DESIGN, section 3), for every way to make a model.

Beside the laws here: effectiveness, order and replacement of ``do``, non-descendants and files are
in ``test_scm.py``; both Pyro faces in ``inference/test_variational.py`` and ``test_structural.py``;
units that stay as they are in ``inference/test_counterfactual.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import EvidenceError
from ctvae.mechanisms import Conditional, Shift, Soft, Stochastic, TableMechanism
from ctvae.scm import SCM
from tests.oracles import all_rows, condition, enumerate_joint
from tests.strategies import SCMS, scms

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-6}
"""In float32 some twenty roundings of numbers below one."""


def base() -> SCM:
    """Six slots of mixed cardinalities, the columns against the causes."""
    edges = [("f", "d"), ("f", "e"), ("e", "c"), ("d", "b"), ("c", "b"), ("b", "a"), ("e", "a")]
    sizes = {"a": 2, "b": 3, "c": 2, "d": 4, "e": 3, "f": 2}
    return SCM.from_edges(edges, cardinality=sizes, seed=12)


def loaded(scm: SCM) -> SCM:
    with tempfile.TemporaryDirectory() as folder:
        return SCM.load(scm.save(Path(folder) / "scm"))


def single(scm: SCM) -> SCM:
    laws = {name: TableMechanism(law.table().float()) for name, law in scm.mechanisms.items()}
    return SCM(scm.graph, scm.slots, laws)


def joined() -> SCM:
    """A twin network of two slots that respond."""
    scm = SCM.from_edges([("a", "b"), ("b", "c")], cardinality={"a": 2, "b": 3, "c": 2}, seed=4)
    return scm.twin({"a": 1})


MAKERS: dict[str, Callable[[], SCM]] = {
    **SCMS,
    "six slots": base,
    "six slots, single": lambda: single(base()),
    "fit": lambda: SCM.fit(base().graph, base().sample(300, seed=0), slots=base().slots),
    "fit with gaps": lambda: SCM.fit(
        SCMS["chain"]().graph,
        SCMS["chain"]().sample(60, seed=0),
        slots=SCMS["chain"]().slots,
        observed=torch.arange(180).reshape(60, 3) % 5 > 0,
    ),
    "load": lambda: loaded(base()),
    "load of a world": lambda: loaded(base().do({"b": 1, "e": Shift(1, wrap=True)})),
    "BIF": lambda: SCM.from_bif(base().to_bif()),
    "to": lambda: base().to("cpu"),
    "hard": lambda: base().do({"b": 2, "e": 0}),
    "shift": lambda: base().do({"d": Shift(-1, wrap=False)}),
    "soft": lambda: base().do({"b": Soft(TableMechanism.random(3, [3], seed=1), ["e"])}),
    "experiment": lambda: base().do({"c": Stochastic([0.25, 0.75])}),
    "rule": lambda: base().do({"a": Conditional(lambda d: d % 2, ["d"])}),
    "swig": lambda: base().do({"c": 1}).swig(),
    "twin": joined,
}
"""Name to constructor: every one of them makes a model, of which every law holds."""


def close(got: torch.Tensor, expected: np.ndarray | torch.Tensor) -> None:
    torch.testing.assert_close(
        got.cpu().double(),
        torch.as_tensor(expected, dtype=torch.float64).expand_as(got),
        rtol=0,
        atol=TOLERANCE[got.dtype],
    )


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
class TestLawsOfEveryConstructor:
    def test_the_joint_is_the_product_of_the_laws_and_sums_to_one(self, make, device):
        scm, joint = make().to(device), enumerate_joint(make())
        assert joint.sum() == pytest.approx(1, abs=1e-5)
        close(scm.query(scm.slots.names), joint)
        close(scm.log_prob(all_rows(scm).to(device)).exp(), joint.reshape(-1))

    def test_a_batch_of_evidence_is_answered_row_by_row(self, make, device):
        """Posterior, log-evidence and likeliest row, given each code of the last two slots."""
        scm, joint = make().to(device), enumerate_joint(make())
        columns = list(range(len(scm.slots)))[-2:]
        sizes = [scm.slots[c].cardinality for c in columns]
        seen = torch.cartesian_prod(*(torch.arange(k) for k in sizes)).reshape(-1, len(sizes))
        weights = np.array([_evidence(joint, columns, row).sum() for row in seen.tolist()])
        able = torch.as_tensor(weights > 0)
        given = {c: seen[:, k].to(device) for k, c in enumerate(columns)}
        close(scm.log_evidence(given).exp(), weights)
        given = {c: codes[able.to(device)] for c, codes in given.items()}
        answer = scm.query(0, given)
        best = scm.most_probable(given)
        for place, row in enumerate(seen[able].tolist()):
            close(answer[place], condition(joint, [0], dict(zip(columns, row, strict=True))))
            top = _evidence(joint, columns, row)
            assert float(best.log_prob[place].exp()) == pytest.approx(top.max(), rel=1e-4)
            assert top[tuple(best.codes[place].tolist())] == pytest.approx(top.max(), rel=1e-4)

    def test_parents_keep_their_law_and_a_set_slot_does_not_listen_to_them(self, make, device):
        """P(parents, slot = v | do(slot = v)) = P(parents), and no cause moves the set slot."""
        scm = make().to(device)
        for name in scm.slots.names:
            world = scm.do(slot=name, value=0)
            for parent in scm.graph.parents(name):
                close(world.query([parent, name])[:, 0], scm.query(parent).cpu())
                if parent not in world.interventions:
                    assert bool((world.effect(name, of=parent)[:, 0] == 1).all())

    def test_setting_all_slots_leaves_one_row(self, make, device):
        scm = make().to(device)
        row = scm.sample(1, seed=3)[0]
        world = scm.do({name: int(row[k]) for k, name in enumerate(scm.slots.names)})
        assert float(world.log_prob(row)) == 0
        assert bool((world.sample(5, seed=0) == row).all())

    def test_setting_a_slot_to_what_it_was_is_conditioning_on_its_causes(self, make, device):
        """Composition: P(y, x = v | do(x = v), pa) = P(y | x = v, pa) where that can be."""
        scm, joint = make().to(device), enumerate_joint(make())
        names = scm.slots.names
        name = next((n for n in names if n not in scm.interventions), None)
        if name is None:
            pytest.skip("every slot is set")
        column = names.index(name)
        parents = [names.index(p) for p in scm.graph.parents(name)]
        row = np.unravel_index(int(joint.argmax()), joint.shape)
        known = {c: int(row[c]) for c in parents}
        others = [c for c in range(len(names)) if c not in {column, *parents}]
        if not others:
            pytest.skip("no slot is left to ask for")
        world = scm.do({name: int(row[column])})
        got = world.query(others, known)
        close(got, condition(joint, others, known | {column: int(row[column])}))

    def test_do_returns_another_model_over_the_same_mechanisms(self, make):
        scm = make()
        before = scm.query(scm.slots.names)
        world = scm.do({0: 0})
        assert world is not scm
        assert world.mechanisms is scm.mechanisms
        assert torch.equal(scm.query(scm.slots.names), before)


def _evidence(joint: np.ndarray, columns: list[int], row: list[int]) -> np.ndarray:
    """The joint table, zero where it does not agree."""
    mask = np.zeros_like(joint)
    where: list[int | slice] = [slice(None)] * joint.ndim
    for column, code in zip(columns, row, strict=True):
        where[column] = code
    mask[tuple(where)] = 1
    return joint * mask


@settings(max_examples=40, deadline=None)
@given(scms(max_slots=6), st.data())
def test_answers_in_any_world_given_any_batch_equal_enumeration(scm: SCM, data: st.DataObject):
    """Up to six slots of one to four codes, some set, some seen in two rows."""
    names = scm.slots.names
    some = st.lists(st.sampled_from(names), max_size=2, unique=True)

    def code(name: str) -> int:
        return data.draw(st.integers(0, scm.slots[name].cardinality - 1))

    world = scm.do({name: code(name) for name in data.draw(some)})
    seen = {name: [code(name), code(name)] for name in data.draw(some)}
    asked = data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    asked = [name for name in asked if name not in seen] or [n for n in names if n not in seen][:1]
    if not asked:
        return
    joint = enumerate_joint(world)
    columns, given = [names.index(n) for n in asked], {n: torch.tensor(v) for n, v in seen.items()}
    rows = [
        _evidence(joint, [names.index(n) for n in seen], [v[row] for v in seen.values()])
        for row in range(2)
    ]
    totals = np.array([row.sum() for row in rows])
    if seen:
        close(world.log_evidence(given).exp(), totals)
    if not totals.all():
        with pytest.raises(EvidenceError, match="probability zero"):
            world.query(asked, given)
        return
    answer = world.query(asked, given)
    for row in range(2):
        close(answer[row] if seen else answer, condition(rows[row], columns))


def test_no_evidence_rows_have_no_answers():
    """A batch of no rows is a batch: every question keeps its shape."""
    scm, none = base(), {"b": torch.zeros(0, dtype=torch.long)}
    assert scm.query("a", none).shape == (0, 2)
    assert scm.log_evidence(none).shape == (0,)
    assert scm.most_probable(none).codes.shape == (0, 6)
    assert scm.sample(3, given=none, seed=0).shape == (3, 0, 6)
    assert scm.counterfactual(torch.zeros(0, 6, dtype=torch.long), do={"b": 1}).shape == (0, 1, 6)
