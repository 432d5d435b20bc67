"""The two-slice law: counting, composition, classes, against brute force."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctvae.errors import CodeError, MechanismError, ShapeError, UnknownActionError
from ctvae.inference.actions import action_posterior
from ctvae.mechanisms.action_files import action_from_dict, action_to_dict
from ctvae.mechanisms.actions import Action, SetAction, ShiftAction, action_index, targets_of
from ctvae.mechanisms.transition import TransitionProgram

SIZES = (3, 4, 2)
ACTIONS: tuple[Action, ...] = (
    ShiftAction("a+", 0, 1),
    ShiftAction("b+", 1, 1),
    ShiftAction("a-", 0, -1),
    ShiftAction("b-", 1, -1),
    SetAction("c=0", 2, 0),
    SetAction("c=1", 2, 1),
)


def random_law(seed: int = 0, *, leak: float = 0.05) -> TransitionProgram:
    """Random kernels for targets; a shared copying kernel with a leak for all other slots."""
    generator = torch.Generator().manual_seed(seed)
    codes = max(SIZES)
    kernels = torch.zeros(len(ACTIONS), len(SIZES), codes, codes).double()
    for k, size in enumerate(SIZES):
        copy = (1 - leak) * torch.eye(size) + leak / size
        kernels[:, k, :size, :size] = copy.double()
        for a, action in enumerate(ACTIONS):
            if k in targets_of(action):
                own = torch.rand(size, size, generator=generator).double() ** 2
                kernels[a, k, :size, :size] = own / own.sum(1, keepdim=True)
    return TransitionProgram(kernels, SIZES, ACTIONS)


def random_codes(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(k, (n,), generator=generator) for k in SIZES], 1)


@pytest.mark.parametrize("length", [1, 2])
def test_posterior_equals_enumeration(length: int, device: torch.device) -> None:
    law = random_law()
    before, after = random_codes(20, 1), random_codes(20, 2)
    posterior = action_posterior(law.to(device), before.to(device), after.to(device), length=length)
    every = list(itertools.product(range(len(ACTIONS)), repeat=length))
    assert posterior.sequences.tolist() == [list(s) for s in every]
    for row in range(20):
        joint = []
        for sequence in every:
            value = 1.0 / len(every)
            for k in range(len(SIZES)):
                mine = [a for a in sequence if k in targets_of(ACTIONS[a])] or [sequence[0]]
                kernel = torch.eye(max(SIZES)).double()
                for a in mine:
                    kernel = kernel @ law.kernels[a, k]
                value *= float(kernel[before[row, k], after[row, k]])
            joint.append(value)
        total = sum(joint)
        assert posterior.log_evidence[row].exp().item() == pytest.approx(total, rel=1e-10)
        expected = torch.tensor(joint).double() / total
        assert torch.allclose(posterior.probs[row].cpu(), expected, atol=1e-10)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_certain_probabilities_give_the_answer_of_their_codes(length: int) -> None:
    law, before, after = random_law(), random_codes(30, 3), random_codes(30, 4)
    hard = action_posterior(law, before, after, length=length)
    one_hot = [torch.nn.functional.one_hot(codes, max(SIZES)).double() for codes in (before, after)]
    soft = action_posterior(law, *one_hot, length=length)
    assert torch.allclose(hard.probs, soft.probs, atol=1e-10)
    assert torch.allclose(hard.log_evidence, soft.log_evidence, atol=1e-10)


def test_uncertain_codes_are_summed_out_slot_by_slot() -> None:
    law, generator = random_law(), torch.Generator().manual_seed(0)
    codes = max(SIZES)
    q = torch.rand(2, 5, len(SIZES), codes, generator=generator).double()
    for k, size in enumerate(SIZES):
        q[:, :, k, size:] = 0
    q = q / q.sum(-1, keepdim=True)
    soft = action_posterior(law, q[0], q[1])
    joint = torch.zeros(5, len(ACTIONS)).double()
    cells = [range(k) for k in SIZES]
    for z in itertools.product(*cells):
        for w in itertools.product(*cells):
            weight = torch.ones(5).double()
            likelihood = torch.ones(len(ACTIONS)).double()
            for k in range(len(SIZES)):
                weight = weight * q[0, :, k, z[k]] * q[1, :, k, w[k]]
                likelihood = likelihood * law.kernels[:, k, z[k], w[k]]
            joint += weight[:, None] * likelihood / len(ACTIONS)
    assert torch.allclose(soft.log_evidence.exp(), joint.sum(1), rtol=1e-9)
    assert torch.allclose(soft.probs, joint / joint.sum(1, keepdim=True), atol=1e-9)


def test_orders_of_actions_on_different_slots_share_a_class_and_split_evenly() -> None:
    law, before, after = random_law(), random_codes(40, 5), random_codes(40, 6)
    posterior = action_posterior(law, before, after, length=2)
    number = {tuple(s): i for i, s in enumerate(posterior.sequences.tolist())}
    one, two = number[0, 1], number[1, 0]  # a+ then b+, and the other way round
    assert torch.allclose(posterior.probs[:, one], posterior.probs[:, two], atol=1e-12)
    classes = posterior.equivalence_class
    assert torch.equal(classes[:, one], classes[:, two])
    assert bool((classes[:, number[0, 0]] != classes[:, one]).all())
    sequence = torch.tensor([[1, 0]]).expand(40, 2)
    mode_is_pair = (posterior.mode.sort(1).values == torch.tensor([0, 1])).all(1)
    assert bool(posterior.same_class(sequence)[mode_is_pair].all())


def test_class_members_are_the_first_of_their_class() -> None:
    posterior = action_posterior(random_law(), random_codes(9, 0), random_codes(9, 1), length=2)
    classes = posterior.equivalence_class
    assert bool((classes <= torch.arange(classes.shape[1])).all())
    assert torch.equal(classes.gather(1, classes), classes)


def test_a_collapsed_slot_earns_no_credit_for_telling_its_actions_apart() -> None:
    kernels = torch.ones(4, 2, 2, 2).double()
    kernels[:, 0] = torch.eye(2)
    kernels[0, 0] = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    kernels[1, 0] = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    kernels[:, 1] = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    actions = [ShiftAction(name, slot, 1) for name, slot in (("a+", 0), ("a-", 0))]
    actions += [ShiftAction(name, 1, 1) for name in ("b+", "b-")]
    law = TransitionProgram(kernels, [2, 1], actions)
    same = torch.tensor([[0, 0]])
    posterior = action_posterior(law, same, same)  # b+, b- and, from here, a- do nothing
    truth = torch.tensor([2])
    assert bool(posterior.same_class(truth))
    assert float(posterior.accuracy_credit(truth)) == pytest.approx(1 / 3)
    moved = action_posterior(law, same, torch.tensor([[1, 0]]))
    assert float(moved.accuracy_credit(torch.tensor([0]))) == 1


def test_prior_moves_the_posterior_by_bayes_rule() -> None:
    law, before, after = random_law(), random_codes(10, 7), random_codes(10, 8)
    plain = action_posterior(law, before, after)
    prior = torch.tensor([0.5, 0.1, 0.1, 0.1, 0.1, 0.1]).double()
    moved = action_posterior(law, before, after, prior=prior)
    expected = plain.probs * prior
    assert torch.allclose(moved.probs, expected / expected.sum(1, keepdim=True), atol=1e-12)
    per_row = action_posterior(law, before, after, prior=prior.expand(10, -1))
    assert torch.allclose(per_row.probs, moved.probs)


def test_entropy_is_between_nothing_and_all() -> None:
    posterior = action_posterior(random_law(), random_codes(30, 9), random_codes(30, 10))
    entropy = posterior.entropy()
    assert bool((entropy >= 0).all())
    assert bool((entropy <= torch.tensor(len(ACTIONS)).double().log() + 1e-12).all())


def test_an_impossible_pair_has_low_evidence() -> None:
    law = random_law(leak=1e-6)
    possible = action_posterior(law, torch.tensor([[0, 0, 0]]), torch.tensor([[1, 0, 0]]))
    impossible = action_posterior(law, torch.tensor([[0, 0, 0]]), torch.tensor([[1, 1, 1]]))
    assert float(impossible.log_evidence) < float(possible.log_evidence) - 10


def test_counting_recovers_the_law_it_was_drawn_from() -> None:
    law = random_law(3)
    generator = torch.Generator().manual_seed(1)
    n = 60_000
    before = random_codes(n, 11)
    action = torch.randint(len(ACTIONS), (n,), generator=generator)
    columns = []
    for k in range(len(SIZES)):
        probs = law.kernels[action, k, before[:, k]]
        uniform = torch.rand(n, 1, generator=generator).double()
        columns.append((uniform > probs.cumsum(1)).sum(1).clamp(max=SIZES[k] - 1))
    fitted = TransitionProgram.fit(
        before, action, torch.stack(columns, 1), actions=ACTIONS, cardinalities=SIZES, smoothing=0.1
    )
    # 2,500 pairs or more per row: five standard errors of a probability are below .05
    assert float((fitted.kernels - law.kernels).abs().max()) < 0.05


def test_rows_never_seen_copy() -> None:
    before = torch.tensor([[0, 0, 0], [0, 0, 0]])
    after = torch.tensor([[1, 0, 0], [0, 1, 0]])
    law = TransitionProgram.fit(
        before, torch.tensor([0, 1]), after, actions=ACTIONS, cardinalities=SIZES, smoothing=0.1
    )
    never = law.kernels[0, 0, 2, :3]
    assert never.argmax().item() == 2
    assert float(never[2]) > 0.99


def test_renaming_and_back_is_nothing() -> None:
    law = random_law()
    orders = [torch.tensor([2, 0, 1]), torch.tensor([3, 1, 0, 2]), torch.tensor([1, 0])]
    slots = [2, 0, 1]
    renamed = law.permuted(slots, [orders[s] for s in slots])
    back_slots = [slots.index(k) for k in range(3)]
    back = renamed.permuted(back_slots, [orders[k].argsort() for k in range(3)])
    assert torch.equal(back.kernels, law.kernels)
    assert back.actions == law.actions
    before, after = random_codes(20, 1), random_codes(20, 2)
    new = [
        torch.stack([orders[s].argsort()[codes[:, s]] for s in slots], 1)
        for codes in (before, after)
    ]
    assert torch.allclose(
        action_posterior(renamed, *new).probs, action_posterior(law, before, after).probs
    )


def test_actions_survive_json() -> None:
    assert tuple(action_from_dict(action_to_dict(a)) for a in ACTIONS) == ACTIONS


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "rows of a kernel": (
        lambda: TransitionProgram(torch.ones(6, 3, 4, 4), SIZES, ACTIONS),
        MechanismError,
        "probabilities",
    ),
    "kernels of another shape": (
        lambda: TransitionProgram(torch.ones(6, 3, 4), SIZES, ACTIONS),
        ShapeError,
        "kernels must be",
    ),
    "two actions of one name": (
        lambda: TransitionProgram(random_law().kernels, SIZES, (ACTIONS[0],) * 6),
        UnknownActionError,
        "two actions are named 'a\\+'",
    ),
    "unknown action name": (lambda: action_index(ACTIONS, "a"), UnknownActionError, "'a'"),
    "action id outside": (lambda: action_index(ACTIONS, 6), UnknownActionError, "not one of the 6"),
    "no steps": (lambda: random_law().sequences(0), ShapeError, "length 0"),
    "too many sequences": (lambda: random_law().sequences(9), ShapeError, "shorter length"),
    "rows that do not match": (
        lambda: action_posterior(random_law(), random_codes(3, 0), random_codes(4, 0)),
        ShapeError,
        "must match",
    ),
    "codes outside their codebook": (
        lambda: action_posterior(random_law(), random_codes(3, 0) + 4, random_codes(3, 1)),
        CodeError,
        "outside the codebook",
    ),
    "probabilities that are none": (
        lambda: action_posterior(random_law(), torch.full((2, 3, 4), -3.0), torch.ones(2, 3, 4)),
        ShapeError,
        "sum to one",
    ),
    "a sequence outside the set": (
        lambda: action_posterior(random_law(), random_codes(1, 0), random_codes(1, 1)).log_prob(
            torch.tensor([6])
        ),
        UnknownActionError,
        "action id 6",
    ),
    "prior of another length": (
        lambda: action_posterior(
            random_law(), random_codes(3, 0), random_codes(3, 1), prior=torch.ones(4) / 4
        ),
        ShapeError,
        "a prior is a tensor",
    ),
    "prior that does not sum to one": (
        lambda: action_posterior(
            random_law(), random_codes(3, 0), random_codes(3, 1), prior=torch.ones(6)
        ),
        ShapeError,
        "sum to one",
    ),
    "foreign action": (lambda: action_from_dict({"class": "Jump"}), UnknownActionError, "Jump"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(case: str) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make()
