"""Skewed and correlated factors: the laws they are drawn from, and what stays in a part."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ctvae.data import ImageSet
from ctvae.data.imbalance import (
    correlated_factors,
    correlated_rows,
    skewed_factors,
    skewed_law,
    skewed_rows,
)
from ctvae.errors import DataError
from ctvae.randomness import spawn
from ctvae.slots import SlotSpace
from tests.oracles import assert_counts_follow

SPACE = SlotSpace.from_cardinalities([3, 4, 6])


@pytest.fixture(scope="module")
def sprites() -> ImageSet:
    """The factors of mini-sprites, without their pictures."""
    sizes = {"shape": 3, "scale": 4, "orientation": 4, "x": 8, "y": 8}
    factors = torch.cartesian_prod(*[torch.arange(size) for size in sizes.values()])
    space = SlotSpace.from_cardinalities(sizes)
    return ImageSet(torch.zeros(len(factors), 1, 1, 1), factors, space)


@pytest.mark.parametrize("ratio", [1, 10, 100])
@pytest.mark.parametrize("size", [1, 2, 5])
def test_the_commonest_value_is_so_much_as_frequent(ratio: float, size: int) -> None:
    law = skewed_law(size, ratio=ratio, seed=0)
    assert float(law.sum()) == pytest.approx(1)
    assert float(law.max() / law.min()) == pytest.approx(ratio if size > 1 else 1)
    even = law.sort().values.log().diff()
    assert torch.allclose(even, even[:1].expand_as(even))


@pytest.mark.statistical
def test_skewed_factors_follow_the_product_of_their_laws() -> None:
    """Pearson's test, false alarm 1e-6."""
    codes = skewed_factors(SPACE, 20_000, ratio=10, seed=3)
    children = spawn(3, 3)
    laws = [
        skewed_law(slot.cardinality, ratio=10, seed=spawn(child, 2)[0])
        for slot, child in zip(SPACE, children, strict=True)
    ]
    joint = torch.einsum("a,b,c->abc", *laws)
    counts = torch.zeros(joint.shape).index_put_(
        tuple(codes.T), torch.ones(len(codes)), accumulate=True
    )
    assert_counts_follow(counts.numpy(), joint.numpy())


@pytest.mark.statistical
@pytest.mark.parametrize("strength", [0.0, 0.6])
def test_correlated_factors_are_uniform_and_agree_as_often_as_stated(strength: float) -> None:
    """P(both at the row's place) = s^2; else independent uniform. Pearson, false alarm 1e-6."""
    space = SlotSpace.from_cardinalities([3, 3])
    codes = correlated_factors(space, 20_000, strength=strength, seed=1)
    joint = (1 - strength**2) / 9 + strength**2 * torch.eye(3).double() / 3
    counts = torch.zeros(3, 3).index_put_(tuple(codes.T), torch.ones(20_000), accumulate=True)
    assert_counts_follow(counts.numpy(), joint.numpy())


@pytest.mark.parametrize(
    ("ratio", "num_rows", "names"),
    [(10, 300, ()), (10, 1200, ("shape",)), (100, 700, ("x",)), (100, 300, ("shape", "scale"))],
)
def test_a_part_of_a_grid_has_the_skew_and_keeps_every_value(
    sprites: ImageSet, ratio: float, num_rows: int, names: tuple[str, ...]
) -> None:
    """Each value's count is a sum of independent draws: within six standard deviations."""
    rows = skewed_rows(sprites, ratio, num_rows=num_rows, names=names, seed=0)
    assert bool((rows.diff() > 0).all())
    part = sprites.subset(rows)
    chosen = names or sprites.moved.names
    for name, child in zip(chosen, spawn(0, len(chosen) + 1)[1:], strict=True):
        law = skewed_law(sprites.space[name].cardinality, ratio=ratio, seed=child)
        counts = torch.bincount(part.factors[:, sprites.space.index(name)], minlength=len(law))
        expected = num_rows * law
        assert int(counts.min()) > 0
        assert bool(((counts - expected).abs() < 6 * expected.sqrt() + 2).all())
    for name in set(sprites.space.names) - set(chosen):
        counts = torch.bincount(part.factors[:, sprites.space.index(name)]).double()
        expected = counts.sum() / len(counts)
        assert bool(((counts - expected).abs() < 6 * expected.sqrt()).all())


def test_correlated_rows_go_together_and_keep_uniform_values(sprites: ImageSet) -> None:
    names = ("scale", "x", "y")
    columns = [sprites.space.index(name) for name in names]
    found = {}
    for sharpness in (0.0, 8.0):
        rows = correlated_rows(sprites, num_rows=600, names=names, sharpness=sharpness, seed=0)
        codes = sprites.factors[rows]
        for column in columns:
            counts = torch.bincount(codes[:, column]).double()
            expected = 600 / len(counts)
            assert bool(((counts - expected).abs() < 6 * expected**0.5 + 1).all())
        correlation = torch.corrcoef(codes[:, columns].T.double())
        found[sharpness] = (correlation.sum() - 3) / 6
    assert abs(float(found[0.0])) < 6 / 600**0.5
    assert float(found[8.0]) > 0.5


def test_equal_seeds_give_equal_parts(sprites: ImageSet) -> None:
    one, two, other = (
        skewed_rows(sprites, 10, num_rows=200, names=["shape"], seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


BAD: dict[str, tuple[Callable[[ImageSet], object], str]] = {
    "ratio below one": (lambda s: skewed_rows(s, 0.5, num_rows=9, seed=0), "commonest value"),
    "strength above one": (lambda s: correlated_factors(SPACE, 9, strength=2, seed=0), "probab"),
    "too many rows": (
        lambda s: skewed_rows(s.subset(torch.arange(0, 3072, 8)), 100, num_rows=300, seed=0),
        "keep fewer rows",
    ),
    "a value without a row": (
        lambda s: skewed_rows(s, 1000, num_rows=30, names=["x"], seed=0),
        "keep more rows",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(sprites: ImageSet, case: str) -> None:
    make, message = BAD[case]
    with pytest.raises(DataError, match=message):
        make(sprites)
