"""The second slice: units that respond, against twin models and draws."""

from __future__ import annotations

import itertools

import pytest
import torch

from ctvae.errors import ShapeError
from ctvae.inference.actions import action_posterior
from ctvae.inference.responses import respond
from ctvae.mechanisms.actions import SetAction
from ctvae.mechanisms.couplings import Coupling, Gumbel, Maximal, Monotone
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.scm import SCM

COUPLINGS: dict[str, Coupling] = {"gumbel": Gumbel(), "monotone": Monotone(), "maximal": Maximal()}
SIZES = {"a": 2, "b": 3, "c": 2, "d": 3}
EDGES = [("b", "a"), ("a", "c"), ("b", "c"), ("c", "d"), ("a", "d")]
ACTIONS = tuple(
    SetAction(f"{name}={v}", k, v)
    for k, (name, size) in enumerate(SIZES.items())
    for v in range(size)
)


def _scm() -> SCM:
    return SCM.from_edges(EDGES, cardinality=SIZES, seed=3)


def _setting() -> TransitionProgram:
    """Set actions that are always obeyed, and codes that are always read right."""
    codes = max(SIZES.values())
    kernels = torch.zeros(len(ACTIONS), len(SIZES), codes, codes).double()
    for k, size in enumerate(SIZES.values()):
        kernels[:, k, :size, :size] = torch.eye(size).double()
    for a, action in enumerate(ACTIONS):
        size = list(SIZES.values())[action.target or 0]
        kernels[a, action.target, :size] = 0
        kernels[a, action.target, :size, action.value] = 1
    return TransitionProgram(kernels, list(SIZES.values()), ACTIONS)


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
def test_the_evidence_of_an_action_is_the_twin_models_conditional(
    coupling: Coupling, device: torch.device
) -> None:
    """P(z' | z, do) by enumeration of the twin model, for every action and every z'."""
    scm, moves = _scm().to(device), _setting().to(device)
    every = torch.tensor(list(itertools.product(*map(range, SIZES.values()))), device=device)
    unit = torch.tensor([[1, 2, 0, 1]], device=device).expand(len(every), -1)
    law = respond(scm.program, [coupling] * 4, unit, every)
    posterior = action_posterior(moves, law, torch.nn.functional.one_hot(every, 3).double())
    joint = posterior.probs * posterior.log_evidence.exp()[:, None] * len(ACTIONS)
    names = list(SIZES)
    given = {name: int(code) for name, code in zip(names, unit[0], strict=True)}
    for a, action in enumerate(ACTIONS):
        twin = scm.twin({names[action.target or 0]: action.value}, coupling=coupling)
        there = [name + "'" if name + "'" in twin.slots.names else name for name in names]
        responds = [name for name in there if name not in given]
        table = twin.query(responds, given=given)
        for row, after in enumerate(every.tolist()):
            held = all(after[k] == int(unit[0, k]) for k, name in enumerate(there) if name in given)
            index = tuple(after[k] for k, name in enumerate(there) if name not in given)
            expected = float(table[index]) if held else 0.0
            assert float(joint[row, a]) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
def test_slots_whose_parents_kept_their_codes_are_copied(
    coupling: Coupling, device: torch.device
) -> None:
    scm = _scm().to(device)
    units = scm.sample(200, seed=1)
    other = units.clone()
    other[:, 3] = (units[:, 3] + 1) % 3  # d has no children
    law = respond(scm.program, [coupling] * 4, units, other)
    assert torch.equal(law.argmax(-1), units)
    assert torch.equal(law.amax(-1), torch.ones_like(law.amax(-1)))


def test_two_actions_add_up_as_do_does(device: torch.device) -> None:
    scm, moves = _scm().to(device), _setting().to(device)
    units = scm.sample(300, seed=2)
    other = scm.counterfactual(units, do={"b": 0, "c": 1}, seed=3)[:, 0]
    law = respond(scm.program, [Gumbel()] * 4, units, other)
    hot = torch.nn.functional.one_hot(other, 3).double()
    posterior = action_posterior(moves, law, hot, length=2)
    numbers = {tuple(s): i for i, s in enumerate(posterior.sequences.tolist())}
    names = [action.name for action in ACTIONS]
    one, two = names.index("b=0"), names.index("c=1")
    here, back = posterior.probs[:, numbers[one, two]], posterior.probs[:, numbers[two, one]]
    assert bool((here > 0).all())
    assert torch.allclose(here, back)


def test_uncertain_codes_mix_the_responses_of_each(device: torch.device) -> None:
    scm = _scm().to(device)
    before = torch.tensor([[0, 0, 0, 0], [0, 0, 0, 1]], device=device)
    after = torch.tensor([[1, 0, 1, 0], [1, 0, 1, 0]], device=device)
    each = respond(scm.program, [Gumbel()] * 4, before, after)
    mixed = torch.nn.functional.one_hot(before[:1], 3).double()
    mixed[0, 3] = torch.tensor([0.25, 0.75, 0.0], dtype=torch.double)
    found = respond(scm.program, [Gumbel()] * 4, before[:1], after[:1], uncertain=mixed)
    assert torch.allclose(found[0, 3], 0.25 * each[0, 3] + 0.75 * each[1, 3])


def test_kernels_made_in_parts_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scm = _scm()
    units = scm.sample(400, seed=4)
    other = scm.do(slot="b", value=1).sample(400, seed=5)
    whole = respond(scm.program, [Gumbel()] * 4, units, other)
    monkeypatch.setattr("ctvae.inference.responses.KERNEL_BUDGET", 20)
    assert torch.equal(respond(scm.program, [Gumbel()] * 4, units, other), whole)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"after": torch.zeros(3, 4).long()}, "both slices"),
        ({"uncertain": torch.zeros(2, 4, 2)}, r"must be \(2, 4, 3\)"),
        ({"program": _scm().do(slot="a", value=1).program}, "without do"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    whole: dict[str, object] = {
        "program": _scm().program,
        "couplings": [Gumbel()] * 4,
        "before": torch.zeros(2, 4).long(),
        "after": torch.zeros(2, 4).long(),
    } | change
    with pytest.raises(ShapeError, match=message):
        respond(**whole)  # type: ignore[arg-type]  # one part is wrong on purpose
