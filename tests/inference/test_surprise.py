"""What actions cannot explain: priors by counting, surprise against enumeration, tails, targets."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.inference.actions import ActionPosterior, action_posterior
from ctvae.inference.surprise import ActionPrior, code_surprise
from ctvae.inference.tails import TailTest
from ctvae.inference.tempering import fit_action_temperature
from ctvae.mechanisms.actions import ShiftAction
from ctvae.mechanisms.transition import TransitionProgram

SIZES = (4, 3)
ACTIONS = (
    ShiftAction("a+", 0, 1),
    ShiftAction("a-", 0, -1),
    ShiftAction("b+", 1, 1),
    ShiftAction("b-", 1, -1),
)


def one_hot(codes: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(codes, max(SIZES)).double()


def counted_law() -> tuple[TransitionProgram, ActionPrior]:
    """The law of +1 and -1 without wrap, counted on every pair there is, each 20 times."""
    rows = []
    for z in itertools.product(*map(range, SIZES)):
        for a, action in enumerate(ACTIONS):
            assert action.target is not None
            end = [*z]
            end[action.target] += action.direction
            if 0 <= end[action.target] < SIZES[action.target]:
                rows += [(*z, a, *end)] * 20
    table = torch.tensor(rows)
    before, labels, after = table[:, :2], table[:, 2], table[:, 3:]
    law = TransitionProgram.fit(before, labels, after, actions=ACTIONS, cardinalities=SIZES)
    return law, ActionPrior.fit(law, before, labels)


def test_the_prior_equals_a_count_of_where_actions_start(device: torch.device) -> None:
    _, prior = counted_law()
    moved = ActionPrior(prior.weights.to(device), prior.shares.to(device))
    at = torch.tensor([[1, 1], [0, 1], [3, 2]])
    found = moved.probs(one_hot(at).to(device)).cpu()

    # Of 17 steps, a+ and a- start from 9 cells each, b+ and b- from 8; p(a) p(z_k | a) / p(z_k).
    def chance(z: list[int], action: ShiftAction) -> float:
        k = action.target
        assert k is not None
        ends = (z[k] == 0, z[k] == SIZES[k] - 1)
        if ends[action.direction > 0]:
            return 0.0
        others = SIZES[1 - k]  # cells that share the value
        steps_of_others = 2 * (others - 1)
        return others / (others * (2 - sum(ends)) + steps_of_others)

    for row, z in enumerate(at.tolist()):
        expected = torch.tensor([chance(z, a) for a in ACTIONS]).double()
        assert torch.allclose(found[row], expected / expected.sum(), atol=0.003)
        assert bool((found[row][expected == 0] < 0.001).all())


def test_surprise_equals_its_definition_by_enumeration() -> None:
    law, prior = counted_law()
    cells = torch.cartesian_prod(*map(torch.arange, SIZES))
    before, after = cells.repeat_interleave(len(cells), 0), cells.repeat(len(cells), 1)
    found = code_surprise(law, prior, one_hot(before), one_hot(after))
    chances = prior.probs(one_hot(before))
    for row in range(0, len(before), 7):
        evidence, usual = 0.0, 0.0
        for a in range(len(ACTIONS)):
            p = float(chances[row, a])
            kernel = [law.kernels[a, k, before[row, k]] for k in range(2)]
            evidence += p * float(kernel[0][after[row, 0]] * kernel[1][after[row, 1]])
            usual -= p * math.log(p)
            usual += p * sum(float(torch.special.entr(line).sum()) for line in kernel)
        expected = -math.log(evidence) - usual
        assert float(found.excess[row]) == pytest.approx(expected, abs=1e-9)


def test_what_no_action_does_is_more_surprising_than_all_that_one_does() -> None:
    law, prior = counted_law()
    cells = torch.cartesian_prod(*map(torch.arange, SIZES))
    before, after = cells.repeat_interleave(len(cells), 0), cells.repeat(len(cells), 1)
    excess = code_surprise(law, prior, one_hot(before), one_hot(after)).excess
    one_step = (before - after).abs().sum(1) == 1
    assert float(excess[one_step].max()) < float(excess[~one_step].min())
    # A uniform prior books "nothing happened" at an end as a step that had nowhere to go.
    corner = (before == 0).all(1) & (after == 0).all(1)
    evidence = action_posterior(law, before, after).log_evidence
    assert float(evidence[corner]) > float(evidence[one_step].min())


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(5, 30))
def test_p_values_of_ordinary_cases_hold_their_level(seed: int, streams: int, half: int) -> None:
    # Of exchangeable cases, each judged by all others, a share t or less has a p of t or less.
    generator = torch.Generator().manual_seed(seed)
    even, odd = torch.randn(2, half, streams, generator=generator).double()
    p = []
    for row in range(half):
        others = torch.zeros(2 * half - 1, streams).double()
        others[::2], others[1::2] = even, torch.cat([odd[:row], odd[row + 1 :]])
        p.append(float(TailTest.fit(others).p_value(odd[row : row + 1])))
    for level in (0.1, 0.3, 0.7):
        assert sum(value <= level for value in p) <= level * half + 1e-9


def test_tails_are_counted(device: torch.device) -> None:
    evidence = torch.tensor([[0.0], [5.0], [1.0], [6.0], [2.0], [7.0]]).double().to(device)
    test = TailTest.fit(evidence)
    assert test.cases == 6
    assert test.streams.tolist() == [[0, 1, 2]]
    asked = torch.tensor([[-1.0], [1.0], [9.0]]).double().to(device)
    assert test.stream_probs(asked)[:, 0].tolist() == [1, 0.75, 0.25]
    # The other cases are 3, 4 and 5 units of 1 beyond the highest of these, the last one is 7.
    assert torch.allclose(-test.least.cpu(), torch.tensor([[1 / 16, 1 / 20, 1 / 24]]).double())
    assert test.p_value(asked).tolist() == [1, 1, 0.25]


def posterior_of(length: int) -> ActionPosterior:
    law, _ = counted_law()
    generator = torch.Generator().manual_seed(length)
    before, after = (
        torch.stack([torch.randint(k, (30,), generator=generator) for k in SIZES], 1)
        for _ in range(2)
    )
    return action_posterior(law, before, after, length=length)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_target_probs_equal_a_sum_over_sequences(length: int) -> None:
    posterior = posterior_of(length)
    once, often = torch.zeros(2, 30, 2).double()
    for s, sequence in enumerate(posterior.sequences.tolist()):
        for k in range(2):
            hits = sum(ACTIONS[a].target == k for a in sequence)
            once[:, k] += posterior.probs[:, s] * (hits > 0)
            often[:, k] += posterior.probs[:, s] * hits
    assert torch.allclose(posterior.target_probs, once)
    assert torch.allclose(posterior.target_counts, often)
    assert torch.allclose(posterior.target_counts.sum(1), torch.full((30,), float(length)).double())


def test_a_temperature_moves_no_mode_and_its_inverse_undoes_it() -> None:
    posterior = posterior_of(2)
    flat = posterior.tempered(3.0)
    assert torch.equal(flat.mode, posterior.mode)
    assert torch.equal(flat.log_evidence, posterior.log_evidence)
    assert torch.allclose(flat.tempered(1 / 3).probs, posterior.probs, atol=1e-9)
    assert bool((flat.entropy() >= posterior.entropy() - 1e-9).all())


@pytest.mark.parametrize("true", [0.4, 1.0, 2.5])
def test_the_temperature_that_labels_were_drawn_with_is_found(true: float) -> None:
    law, _ = counted_law()
    blurred = TransitionProgram(
        0.6 * law.kernels + 0.4 * law.kernels.mean(0, keepdim=True), SIZES, ACTIONS
    )
    generator = torch.Generator().manual_seed(0)
    before, after = (
        torch.stack([torch.randint(k, (20_000,), generator=generator) for k in SIZES], 1)
        for _ in range(2)
    )
    posterior = action_posterior(blurred, before, after)
    labels = posterior.tempered(true).probs.multinomial(1, generator=generator)[:, 0]
    found = fit_action_temperature(posterior, labels)
    assert found.temperature == pytest.approx(true, rel=0.1)
    assert found.nll_after <= found.nll_before
    nearby = [
        posterior.tempered(found.temperature * t).log_prob(labels).mean() for t in (0.97, 1.03)
    ]
    assert -found.nll_after >= float(max(nearby))


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: posterior_of(1).tempered(0.0), DataError, "finite number above 0, got 0.0"),
    (lambda: TailTest.fit(torch.zeros(4)), ShapeError, r"evidence is \(cases, streams\)"),
    (lambda: TailTest.fit(torch.zeros(1, 2)), DataError, "two or more ordinary cases"),
    (lambda: TailTest.fit(torch.full((4, 1), torch.nan)), DataError, "without NaN"),
    (
        lambda: TailTest.fit(torch.zeros(4, 2)).p_value(torch.zeros(4, 3)),
        ShapeError,
        r"evidence is \(batch, 2\), got \(4, 3\)",
    ),
    (
        lambda: ActionPrior.fit(counted_law()[0], torch.zeros(3, 2).long(), torch.zeros(2).long()),
        ShapeError,
        "need one action per pair, got 2",
    ),
]


@pytest.mark.parametrize(("call", "error", "says"), BAD)
def test_bad_input_is_refused(
    call: Callable[[], object], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        call()
