"""Bounds: closed forms against linear programmes, published numbers, couplings inside them."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ctvae.errors import DataError, MechanismError, ShapeError, StateSpaceError
from ctvae.inference.bounds import (
    CausationBounds,
    Interval,
    causation_bounds,
    causation_exogenous,
    causation_monotone,
    frechet_bounds,
    kernel_bounds,
)
from ctvae.inference.response_bounds import response_bounds
from ctvae.mechanisms.couplings import Coupling, Gumbel, Independent, Maximal, Monotone

LINKED: dict[str, Coupling] = {"gumbel": Gumbel(), "monotone": Monotone(), "maximal": Maximal()}
MODELS = 1000
NAMES = CausationBounds._fields


class Models(NamedTuple):
    """Random models c -> x, c -> y, x -> y with a binary x; one code of c is x -> y alone."""

    covariate: Tensor  # models, covariates
    cause: Tensor  # models, covariates, 2
    effect: Tensor  # models, covariates, 2, codes
    event: Tensor  # models, codes: the codes of y that count as the effect

    @property
    def observed(self) -> Tensor:
        return self.covariate[..., None, None] * self.cause[..., None] * self.effect

    def to(self, device: torch.device) -> Models:
        return Models._make(part.to(device) for part in self)

    def closed_form(self) -> tuple[Tensor, Tensor]:
        """P(x, effect or not) and P(effect | do(x)), the covariate summed out."""
        chance = torch.einsum("mcxk,mk->mcx", self.effect, self.event)
        joint = self.covariate[..., None] * self.cause * torch.stack([1 - chance, chance])
        done = torch.einsum("mc,mcx->mx", self.covariate, chance)
        return joint.sum(2).permute(1, 2, 0), done

    def points(self, coupling: Coupling) -> dict[str, Tensor]:
        """PN, PS and PNS when the noise of y is coupled so."""
        without, present = self.effect[:, :, 0], self.effect[:, :, 1]
        yes, no = self.event, 1 - self.event
        kept = torch.einsum(
            "mc,mci,mcij,mi,mj->m",
            *(self.covariate * self.cause[..., 1], present, coupling.kernel(present, without)),
            *(yes, no),
        )
        gained = torch.einsum(
            "mc,mci,mcij,mi,mj->m",
            *(self.covariate * self.cause[..., 0], without, coupling.kernel(without, present)),
            *(no, yes),
        )
        observed = self.closed_form()[0]
        return {
            "necessity": kept / observed[:, 1, 1],
            "sufficiency": gained / observed[:, 0, 0],
            "both": kept + gained,
        }


def random_law(*shape: int, generator: torch.Generator, sharpness: float) -> Tensor:
    weight = torch.rand(*shape, generator=generator, dtype=torch.float64).clamp(min=1e-3)
    return (sharpness * weight.log()).softmax(-1)


def random_models(
    covariates: int, codes: int, seed: int, count: int = MODELS, sharpness: float = 2.0
) -> Models:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(count, covariates), (count, covariates, 2), (count, covariates, 2, codes)]
    laws = [random_law(*shape, generator=generator, sharpness=sharpness) for shape in shapes]
    split = torch.randint(1, codes, (count, 1), generator=generator)
    order = torch.rand(count, codes, generator=generator).argsort(-1)
    covariate, cause, effect = laws
    return Models(covariate, cause, effect, (order < split).double())


def causation_events(event: Tensor, covariates: int = 1) -> dict[str, Tensor]:
    """PN, PS and PNS as tables over covariate, cause, y_0 and y_1."""
    both = ((1 - event)[:, None] * event).expand(covariates, 2, -1, -1)
    return {
        "necessity": both * torch.tensor([0.0, 1.0]).double()[:, None, None],
        "sufficiency": both * torch.tensor([1.0, 0.0]).double()[:, None, None],
        "both": both,
    }


def assert_inside(value: Tensor, bounds: Interval, tolerance: float = 1e-9) -> None:
    assert bool((value >= bounds.lower - tolerance).all())
    assert bool((value <= bounds.upper + tolerance).all())


def test_frechet_bounds_are_the_best_that_any_coupling_can_do() -> None:
    """The extremes over all tables of two margins, by vertex: each end is reached."""
    for a, b in itertools.product([0.0, 0.2, 0.5, 0.9, 1.0], repeat=2):
        lower, upper = frechet_bounds(*torch.tensor([a, b], dtype=torch.float64))
        # of all P(A, B) = t the table [[t, a - t], [b - t, 1 - a - b + t]] must be non-negative
        grid = torch.arange(10_001, dtype=torch.float64) / 10_000
        fits = (grid <= a + 1e-12) & (grid <= b + 1e-12) & (1 - a - b + grid >= -1e-12)
        assert float(lower) == pytest.approx(float(grid[fits].min()), abs=1e-9)
        assert float(upper) == pytest.approx(float(grid[fits].max()), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6))
def test_every_coupling_lies_inside_the_frechet_bounds(seed: int, codes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    p, q = random_law(2, 20, codes, generator=generator, sharpness=3.0)
    masks = torch.randint(0, 2, (2, 20, codes), generator=generator).double()
    bounds = frechet_bounds((p * masks[0]).sum(-1), (q * masks[1]).sum(-1))
    for coupling in (*LINKED.values(), Independent()):
        kernel = coupling.kernel(p, q)
        entries, weight = kernel_bounds(p, q), p[..., None]  # rare codes divide rounding errors
        weighted = Interval(weight * entries.lower, weight * entries.upper)
        assert_inside(weight * kernel, weighted, 1e-12)
        joint = torch.einsum("bi,bij,bi,bj->b", p, kernel, *masks)
        assert_inside(joint, bounds, 1e-12)


def test_codes_that_cannot_be_seen_have_no_bounds(device: torch.device) -> None:
    p, q = torch.tensor([[0.0, 1.0], [0.3, 0.7]], device=device)
    lower, upper = kernel_bounds(p, q)
    assert lower.device.type == device.type
    assert lower[0].tolist() == [0, 0]
    assert upper[0].tolist() == [1, 1]
    torch.testing.assert_close(lower[1], q)
    torch.testing.assert_close(upper[1], q)


def test_published_bounds_of_a_drug_and_deaths() -> None:
    """Tian and Pearl (2000); Pearl (2009), Causality, table 9.2 and section 9.3.4.

    Of 1,000 each, 16 and 14 died in the two arms of a trial, and 2 and 28 of those who chose:
    1 <= PN <= 1, .002 <= PS <= .031, .002 <= PNS <= .016.
    """
    observed = torch.tensor([[972, 28], [998, 2]], dtype=torch.float64) / 2000
    bounds = causation_bounds(observed, torch.tensor([0.014, 0.016], dtype=torch.float64))
    assert [round(float(end), 9) for end in bounds.necessity] == [1, 1]
    assert [round(float(end), 3) for end in bounds.sufficiency] == [0.002, 0.031]
    assert [round(float(end), 3) for end in bounds.both] == [0.002, 0.016]


@pytest.mark.parametrize("covariates", [1, 3])
@pytest.mark.parametrize("coupling", LINKED.values(), ids=LINKED.keys())
def test_every_coupling_lies_inside_the_bounds_on_a_thousand_models(
    coupling: Coupling, covariates: int, device: torch.device
) -> None:
    """Confounded by three codes of c, and x -> y alone, where the tighter bounds hold too."""
    models = random_models(covariates, 4, seed=covariates).to(device)
    observed, done = models.closed_form()
    bounds, points = causation_bounds(observed, done), models.points(coupling)
    for name in NAMES:
        assert_inside(points[name], getattr(bounds, name))
    if covariates == 1:
        exogenous = causation_exogenous(observed[..., 1] / observed.sum(-1))
        for name in NAMES:
            assert_inside(points[name], getattr(exogenous, name))


@pytest.mark.parametrize("covariates", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_coupling_lies_inside_the_programmes_on_a_thousand_models(covariates: int) -> None:
    models = random_models(covariates, 3, seed=10 + covariates)
    points = {name: models.points(coupling) for name, coupling in LINKED.items()}
    joint = models.closed_form()[0]
    condition = {"necessity": joint[:, 1, 1], "sufficiency": joint[:, 0, 0]}
    for k in range(MODELS):
        events = causation_events(models.event[k], covariates)
        for name in NAMES:
            whole = float(condition[name][k]) if name in condition else 1.0
            found = response_bounds(models.observed[k], models.effect[k], events[name], given=whole)
            for kind in LINKED:
                assert_inside(points[kind][name][k], found)


def test_without_covariates_the_programme_is_the_closed_form() -> None:
    models = random_models(3, 2, seed=3, count=40)
    observed, done = models.closed_form()
    bounds, effect = causation_bounds(observed, done), torch.stack([1 - done, done], -1)
    whole = {"necessity": observed[:, 1, 1], "sufficiency": observed[:, 0, 0]}
    events = causation_events(torch.tensor([0.0, 1.0]).double())
    for k, name in itertools.product(range(40), NAMES):
        share = float(whole[name][k]) if name in whole else 1.0
        found = response_bounds(observed[k, None], effect[k, None], events[name], given=share)
        for end, closed in zip(found, getattr(bounds, name), strict=True):
            assert float(end) == pytest.approx(float(closed[k]), abs=1e-9)


def test_covariates_tighten_the_bounds_and_never_loosen_them() -> None:
    models = random_models(2, 3, seed=4, count=40)
    observed, effect = models.observed, models.effect
    pooled = torch.einsum("mc,mcxk->mxk", models.covariate, effect)
    gains = []
    for k in range(40):
        with_one = causation_events(models.event[k])["both"]
        without = response_bounds(observed[k].sum(0, keepdim=True), pooled[k, None], with_one)
        event = causation_events(models.event[k], 2)["both"]
        inside = response_bounds(observed[k], effect[k], event)
        assert_inside(inside.lower, without)
        assert_inside(inside.upper, without)
        gains.append(float((without.upper - without.lower) - (inside.upper - inside.lower)))
    assert max(gains) > 0.05


def test_trying_tightens_the_bounds_and_never_loosens_them() -> None:
    models = random_models(1, 3, seed=5, count=20)
    for k in range(20):
        event = causation_events(models.event[k])["both"]
        seen = response_bounds(models.observed[k], None, event)
        tried = response_bounds(models.observed[k], models.effect[k], event)
        assert_inside(tried.lower, seen)
        assert_inside(tried.upper, seen)
        yes = (models.observed[k, 0, 1] * models.event[k]).sum()
        no = (models.observed[k, 0, 0] * (1 - models.event[k])).sum()
        assert float(seen.upper) == pytest.approx(float(yes + no), abs=1e-9)
        assert float(seen.lower) == 0


def test_three_causes_contain_the_law_they_were_made_from(device: torch.device) -> None:
    """A random law of cause and responses, its margins, and random real events."""
    generator = torch.Generator().manual_seed(6)
    for _ in range(20):
        law = random_law(2 * 3 * 27, generator=generator, sharpness=4).reshape(2, 3, 3, 3, 3)
        own = [law[:, x].sum([1 + k for k in range(3) if k != x]) for x in range(3)]
        whole = law.sum(1)
        done = torch.stack([whole.sum([1 + k for k in range(3) if k != x]) for x in range(3)], 1)
        done = done / done.sum(-1, keepdim=True)
        event = torch.rand(2, 3, 3, 3, 3, generator=generator).double()
        observed = torch.stack(own, 1).to(device)
        found = response_bounds(observed, done.to(device), event.to(device))
        assert found.lower.device.type == device.type
        assert_inside((law * event).sum().to(device), found)
        assert 0 <= float(found.lower) <= float(found.upper) <= 1


def test_monotone_units_are_identified() -> None:
    """A law of responses without a prevented unit: PN, PS and PNS are read off it."""
    generator = torch.Generator().manual_seed(7)
    law = random_law(200, 8, generator=generator, sharpness=2).reshape(200, 2, 2, 2).clone()
    law[:, :, 1, 0] = 0  # y without the cause and not with it
    law = law / law.sum((1, 2, 3), keepdim=True)
    observed = torch.stack([law[:, 0].sum(-1), law[:, 1].sum(-2)], 1)
    done = torch.stack([law.sum((1, 3))[:, 1], law.sum((1, 2))[:, 1]], -1)
    points, bounds = causation_monotone(observed, done), causation_bounds(observed, done)
    truth = {
        "necessity": law[:, 1, 0, 1] / observed[:, 1, 1],
        "sufficiency": law[:, 0, 0, 1] / observed[:, 0, 0],
        "both": law[:, :, 0, 1].sum(1),
    }
    for name in NAMES:
        point = getattr(points, name)
        assert torch.equal(point.lower, point.upper)
        torch.testing.assert_close(point.lower, truth[name], atol=1e-12, rtol=0)
        assert_inside(point.lower, getattr(bounds, name))


def test_of_no_unit_nothing_is_known() -> None:
    observed = torch.tensor([[0.0, 0.5], [0.5, 0.0]])
    bounds = causation_bounds(observed, torch.tensor([1.0, 0.0]))
    assert [float(end) for end in bounds.necessity] == [0, 1]
    assert [float(end) for end in bounds.sufficiency] == [0, 1]
    assert [float(end) for end in bounds.both] == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_bounds_keep_dtype_and_shape(dtype: torch.dtype) -> None:
    observed, done = (side.to(dtype) for side in random_models(2, 3, 8, 6).closed_form())
    bounds = causation_bounds(observed.reshape(2, 3, 2, 2), done.reshape(2, 3, 2))
    for interval in bounds:
        assert interval.lower.shape == interval.upper.shape == (2, 3)
        assert interval.lower.dtype == dtype
        assert bool((interval.lower <= interval.upper).all())


HALF = torch.full((2, 2), 0.25)
TRIED = torch.tensor([0.5, 0.5])
ERRORS = {
    "no probability": (lambda: frechet_bounds(torch.tensor(1.5), torch.tensor(0.5)),
        MechanismError, "first must hold probabilities, got 1.5"),
    "nan": (lambda: frechet_bounds(torch.tensor(0.5), torch.tensor(torch.nan)),
        MechanismError, "second must hold probabilities, got nan"),
    "laws of two shapes": (lambda: kernel_bounds(torch.ones(1), TRIED),
        ShapeError, r"one shape expected, got \(1,\) and \(2,\)"),
    "no law": (lambda: kernel_bounds(TRIED, TRIED / 2),
        MechanismError, "after must sum to one over its last 1 axes, off by 0.5"),
    "done is a table": (lambda: causation_bounds(HALF, torch.ones(3)),
        ShapeError, r"done must be \(\*batch, 2\)"),
    "observed is a row": (lambda: causation_bounds(TRIED, TRIED),
        ShapeError, r"observed must be \(2, 2\), got \(2,\)"),
    "observed is conditional": (lambda: causation_bounds(HALF * 2, TRIED),
        MechanismError, "observed must sum to one over its last 2 axes, off by 1"),
    "no model": (lambda: causation_bounds(HALF, torch.tensor([0.1, 0.5])),
        DataError, r"\(0, 1\) P\(y \| do\(x\)\) is 0.15 below .* from one population"),
    "a prevented unit": (lambda: causation_monotone(HALF, torch.tensor([0.6, 0.5])),
        DataError, "without the cause is 0.1 on the wrong side .* use causation_bounds"),
    "exogenous of a number": (lambda: causation_exogenous(torch.tensor(0.5)),
        ShapeError, r"given must be \(\*batch, 2\)"),
    "no covariate axis": (lambda: response_bounds(HALF, None, HALF),
        ShapeError, r"\(covariates, causes, effects\), got \(2, 2\)"),
    "event of one response": (lambda: response_bounds(HALF[None], None, HALF[None]),
        ShapeError, r"event must be \(1, 2, 2, 2\), got \(1, 2, 2\)"),
    "done of another shape": (
        lambda: response_bounds(HALF[None], HALF, torch.ones(1, 2, 2, 2)),
        ShapeError, r"done must be \(1, 2, 2\) as observed, got \(2, 2\)"),
    "done is joint": (
        lambda: response_bounds(HALF[None], HALF[None], torch.ones(1, 2, 2, 2)),
        MechanismError, "done must sum to one"),
    "programme without a model": (
        lambda: response_bounds(
            HALF[None], torch.tensor([[[0.9, 0.1], [0.5, 0.5]]]), torch.ones(1, 2, 2, 2)),
        DataError, r"\(0, 0, 1\) P\(y \| do\(x\)\) is 0.15 below"),
    "impossible condition": (
        lambda: response_bounds(HALF[None], None, torch.ones(1, 2, 2, 2), given=0.0),
        ShapeError, "given must be a probability above 0, got 0.0"),
    "too large": (
        lambda: response_bounds(torch.ones(1, 6, 6) / 36, None, torch.ones(1)),
        StateSpaceError, r"1 x 6 x 6\^6 = 279,936 variables, more than 32,768"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_what_cannot_be_answered_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
