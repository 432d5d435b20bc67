"""Factors that are rare, and factors that go together: bases for edits, and parts of a grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.data.images import ImageSet
from ctvae.errors import DataError
from ctvae.randomness import Seed, check_count, make_generator, spawn
from ctvae.slots import SlotSpace

__all__ = [
    "correlated_factors",
    "correlated_rows",
    "skewed_factors",
    "skewed_law",
    "skewed_rows",
]

SCALING_STEPS = 1000
"""Sweeps over the factors when a part of a grid is fitted to its marginals."""
TOLERANCE = 1e-3
"""How far from its share, as a part of it, the expected number of rows of a value may end."""


def skewed_law(cardinality: int, *, ratio: float, seed: Seed) -> Float[Tensor, " codes"]:
    r"""Gives an uneven law: the commonest value is ``ratio`` times as frequent as the rarest.

    .. math:: p_v \propto \mathrm{ratio}^{-r_v / (K - 1)}

    with the ranks :math:`r_v = 0 .. K - 1` in random order.

    Args:
        cardinality: K, the number of values.
        ratio: At least 1.
        seed: For the order of the ranks.

    Returns:
        Probabilities, float64.

    Raises:
        DataError: When the ratio is below 1.

    Example:
        >>> law = skewed_law(4, ratio=10, seed=0)
        >>> round(float(law.max() / law.min()), 6)
        10.0
    """
    if not ratio >= 1:
        msg = f"ratio= is the frequency of the commonest value over that of the rarest, got {ratio}"
        raise DataError(msg)
    rank = torch.randperm(cardinality, generator=make_generator(seed)).double()
    return torch.softmax(-rank / max(cardinality - 1, 1) * torch.tensor(float(ratio)).log(), 0)


def skewed_factors(
    space: SlotSpace, num_rows: int, *, ratio: float, seed: Seed
) -> Int[Tensor, "rows factors"]:
    """Draws independent factors whose marginals are skewed, as bases for ``edits``.

    Args:
        space: The factors.
        num_rows: How many rows.
        ratio: The frequency of the commonest value of each factor over that of its rarest.
        seed: For the order of the values and the draws.

    Returns:
        Codes.

    Raises:
        DataError: When the ratio is below 1.

    Example:
        >>> skewed_factors(SlotSpace.from_cardinalities([2, 3]), 5, ratio=10, seed=0).shape
        torch.Size([5, 2])
    """
    num_rows = check_count(num_rows, "num_rows", least=1)
    columns = []
    for slot, child in zip(space, spawn(seed, len(space)), strict=True):
        for_law, for_rows = spawn(child, 2)
        law = skewed_law(slot.cardinality, ratio=ratio, seed=for_law)
        generator = make_generator(for_rows)
        columns.append(torch.multinomial(law, num_rows, replacement=True, generator=generator))
    return torch.stack(columns, 1)


def correlated_factors(
    space: SlotSpace, num_rows: int, *, strength: float, seed: Seed
) -> Int[Tensor, "rows factors"]:
    """Draws factors that go together although each of them is uniform, as bases for ``edits``.

    With probability ``strength`` a factor takes the value at the row's own place on the scale from
    its first to its last value, the same place for all factors; otherwise a uniform one.

    Args:
        space: The factors.
        num_rows: How many rows.
        strength: In [0, 1].
        seed: For the draws.

    Returns:
        Codes.

    Raises:
        DataError: When the strength is outside [0, 1].

    Example:
        >>> space = SlotSpace.from_cardinalities([3, 3])
        >>> codes = correlated_factors(space, 50, strength=1, seed=0)
        >>> bool((codes[:, 0] == codes[:, 1]).all())
        True
    """
    if not 0 <= strength <= 1:
        msg = f"strength= is a probability, got {strength}"
        raise DataError(msg)
    num_rows = check_count(num_rows, "num_rows", least=1)
    generator = make_generator(seed)
    shape = (num_rows, len(space))
    place = torch.rand(num_rows, 1, generator=generator)
    own = torch.rand(shape, generator=generator)
    joins = torch.rand(shape, generator=generator) < strength
    sizes = torch.tensor(space.cardinalities)
    return (torch.where(joins, place, own) * sizes).long().clamp(max=sizes - 1)


def skewed_rows(
    images: ImageSet,
    ratio: float,
    *,
    num_rows: int,
    names: Sequence[str] = (),
    seed: Seed,
) -> Int[Tensor, " rows"]:
    """Picks rows of a set so that values of its factors are common or rare, and all still occur.

    Each image is kept with a probability of its own, the most even ones that give every value its
    share; where the set is a grid and few rows are kept, factors stay almost independent. A grid
    has few rows in which several rare values meet: of the 3,072 mini-sprites no more than 393 have
    all five factors skewed 1:10, and no more than 37 all five 1:100, so skew one or two there.

    Args:
        images: A set in which the factors are about balanced, as a grid.
        ratio: The frequency of the commonest value of each factor over that of its rarest.
        num_rows: About how many rows to keep.
        names: The factors to skew; all that actions may move where empty.
        seed: For the order of the values and the draws.

    Returns:
        Row numbers, increasing: for ``images.subset``, or ``rows=`` of ``transition_pairs``.

    Raises:
        DataError: When no part of so many rows has these shares, or a value is left out.

    Example:
        >>> factors = torch.cartesian_prod(torch.arange(3), torch.arange(300))
        >>> space = SlotSpace.from_cardinalities({"shape": 3, "place": 300})
        >>> grid = ImageSet(torch.zeros(900, 1, 8, 8), factors, space)
        >>> rows = skewed_rows(grid, 10, num_rows=400, names=["shape"], seed=0)
        >>> shown = torch.bincount(factors[rows, 0])
        >>> 7 < float(shown.max() / shown.min()) < 14
        True

    Cost: at most a thousand sweeps over the rows for each factor.
    """
    chosen = names or images.moved.names
    seeds = spawn(seed, len(chosen) + 1)
    shares = {
        name: skewed_law(images.space[name].cardinality, ratio=ratio, seed=child)
        for name, child in zip(chosen, seeds[1:], strict=True)
    }
    return _part(images, shares, torch.zeros(len(images)).double(), num_rows, seeds[0])


def correlated_rows(
    images: ImageSet,
    *,
    num_rows: int,
    names: Sequence[str] = (),
    sharpness: float = 8.0,
    seed: Seed,
) -> Int[Tensor, " rows"]:
    r"""Picks rows of a set so that factors go together, although each keeps uniform values.

    Each image is kept with odds in proportion to

    .. math:: \exp(-\text{sharpness} \cdot \operatorname{Var}(q)), \qquad
        q_j = 2 \sqrt{3} \, (v_j + 1/2) / K_j

    times what gives every value its share; q is the place of each factor's value on the scale from
    its first to its last, of unit variance where values are uniform.

    Args:
        images: A set in which the factors are about balanced, as a grid.
        num_rows: About how many rows to keep.
        names: The factors that go together; all that actions may move where empty.
        sharpness: 0 for independent factors.
        seed: For the draws.

    Returns:
        Row numbers, increasing.

    Raises:
        DataError: When no part of so many rows has these shares, or a value is left out.

    Cost: at most a thousand sweeps over the rows for each factor.
    """
    chosen = names or images.moved.names
    sizes = [images.space[name].cardinality for name in chosen]
    codes = images.factors[:, [images.space.index(name) for name in chosen]].double()
    place = (codes + 0.5) / torch.tensor(sizes, device=codes.device) * 12**0.5
    shares = {
        name: torch.full((size,), 1 / size).double()
        for name, size in zip(chosen, sizes, strict=True)
    }
    return _part(images, shares, -sharpness * place.var(1, correction=0), num_rows, seed)


def _part(
    images: ImageSet,
    shares: dict[str, Tensor],
    log_odds: Float[Tensor, " n"],
    num_rows: int,
    seed: Seed,
) -> Int[Tensor, " rows"]:
    """Draws rows by probabilities of greatest entropy, given odds and the share of every value."""
    num_rows = check_count(num_rows, "num_rows", least=1)
    codes = [images.factors[:, images.space.index(name)].cpu() for name in shares]
    wanted = [num_rows * share for share in shares.values()]
    kept = _keep_probabilities(codes, wanted, log_odds.cpu())
    draws = torch.rand(len(kept), generator=make_generator(seed)).double() < kept
    for name, column, goal in zip(shares, codes, wanted, strict=True):
        absent = torch.bincount(column[draws], minlength=len(goal)) == 0
        if bool(absent.any()):
            value = int(absent.nonzero()[0])
            msg = (
                f"value {value} of factor {name!r} has no row among {int(draws.sum())}, "
                f"{float(goal[value]):.2g} expected; keep more rows, or take a smaller ratio"
            )
            raise DataError(msg)
    return draws.nonzero()[:, 0].to(images.factors.device)


def _keep_probabilities(
    codes: Sequence[Int[Tensor, " n"]], wanted: Sequence[Tensor], log_odds: Float[Tensor, " n"]
) -> Float[Tensor, " n"]:
    r"""Solves for the probabilities with which rows are kept.

    .. math:: \pi_i = \sigma(o_i + \sum_j \lambda_j(v_{ij})), \qquad
        \sum_{i: v_{ij} = v} \pi_i = n_j(v)

    Args:
        codes: The value of each row, for each factor.
        wanted: The expected number of rows of each value, for each factor.
        log_odds: o, of each row.

    Returns:
        The probabilities.

    Raises:
        DataError: When there are no such probabilities.

    Source: Deming and Stephan (1940), iterative proportional fitting, with odds for frequencies.
    """
    for _ in range(SCALING_STEPS):
        worst = 0.0
        for column, goal in zip(codes, wanted, strict=True):
            found = log_odds.new_zeros(len(goal)).index_add(0, column, log_odds.sigmoid())
            worst = max(worst, float((found / goal - 1).abs().max()))
            # The sum grows more slowly than exp(lambda): such a step never goes too far.
            log_odds = log_odds + (goal / found).log()[column]
        if worst < TOLERANCE:
            return log_odds.sigmoid()
    msg = (
        f"no part of about {float(wanted[0].sum()):.0f} of {len(log_odds)} rows has these shares "
        f"of all values (off by {worst:.0%} at worst); keep fewer rows, or skew fewer factors"
    )
    raise DataError(msg)
