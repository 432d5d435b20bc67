"""Bad data for every method: a typed error, or a graph with a stated status; never a stranger's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ctvae.errors import CTVAEError
from ctvae.graph import (
    BOSS,
    CDNOD,
    FCI,
    GES,
    PC,
    DifferentiableDiscovery,
    DiscoveryMethod,
    DiscoveryResult,
    DiscoveryStatus,
    GRaSP,
    InterventionalBDeu,
    NoiseCorrected,
    OrderMCMC,
    ResidualTest,
    bootstrap,
    learn_graph,
    permute_columns,
)
from ctvae.regimes import Regime, Samples
from ctvae.slots import Slot, SlotSpace

NEARLY = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
METHODS: dict[str, Callable[[int], DiscoveryMethod]] = {
    "PC": lambda _: PC(),
    "PC, residual test": lambda _: PC(test=ResidualTest()),
    "FCI": lambda _: FCI(),
    "CD-NOD": lambda _: CDNOD(),
    "GES": lambda _: GES(),
    "BOSS": lambda _: BOSS(starts=1),
    "GRaSP": lambda _: GRaSP(),
    "InterventionalBDeu": lambda _: InterventionalBDeu(),
    "OrderMCMC": lambda _: OrderMCMC(starts=2, num_samples=4),
    "DifferentiableDiscovery": lambda _: DifferentiableDiscovery(steps=8, width=4),
    "NoiseCorrected": lambda size: NoiseCorrected(
        GES(),
        [NEARLY] * 3 if size == 2 else [torch.eye(size) * 0.9 + 0.1 / size] * 3,
        rounds=2,
        sweeps=2,
    ),
}
every_method = pytest.mark.parametrize("make", METHODS.values(), ids=METHODS.keys())


def draws(rows: int, codes: int) -> torch.Tensor:
    return torch.randint(codes, (rows, 3), generator=torch.Generator().manual_seed(0))


def regimes_for(method: DiscoveryMethod, rows: int) -> torch.Tensor | None:
    return torch.arange(rows) % 2 if isinstance(method, CDNOD) else None


def learn(
    method: DiscoveryMethod, codes: torch.Tensor, slots: SlotSpace | None = None
) -> DiscoveryResult:
    return learn_graph(codes, slots, method=method, regimes=regimes_for(method, len(codes)))


@every_method
def test_a_constant_column_has_no_edges(make):
    codes = draws(400, 2)
    codes[:, 1] = 0
    codes[:, 2] = codes[:, 0] ^ (torch.arange(400) % 9 == 0)
    result = learn(make(2), codes, SlotSpace.from_cardinalities([2, 2, 2]))
    assert result.graph.mark("slot0", "slot1") == result.graph.mark("slot1", "slot2") == "none"
    assert result.graph.mark("slot0", "slot2") != "none"


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("name", sorted(set(METHODS) - {"NoiseCorrected"}))
def test_a_constant_column_is_told_and_has_no_edges(name, size):
    """Beside one parent: priors over sizes prefer two parents to one, whatever the other says."""
    draw = torch.Generator().manual_seed(1)
    a = torch.randint(2, (600,), generator=draw)
    flip = torch.rand(600, generator=draw) < 0.1
    codes = torch.stack([a, a ^ flip, torch.zeros_like(a)], 1)
    slots = SlotSpace.from_cardinalities({"a": 2, "c": 2, "still": size})
    result = learn(METHODS[name](2), codes, slots)
    assert result.graph.neighbours("still") == result.graph.parents("still") == ()
    assert result.graph.children("still") == ()
    assert result.warnings == ("still: one code in all 600 rows, of which no edge can be learned",)
    assert "still: one code" in repr(result)
    if result.edge_probabilities is not None:
        assert float(result.edge_probabilities[2].max()) < 0.5


def test_a_column_that_numbers_the_rows_is_told():
    codes = torch.stack([torch.arange(50) % 2, torch.arange(50)], 1)
    slots = SlotSpace.from_cardinalities({"a": 2, "id": 50})
    result = learn_graph(codes, slots, method=GES())
    assert result.warnings == (
        "id: 50 codes in 50 rows; leave the column out if it numbers the rows",
    )


def test_what_was_set_is_no_constant():
    """The slot is 1 wherever it was set, and 0 elsewhere: a cause of the other all the same."""
    draw = torch.Generator().manual_seed(2)
    still = torch.arange(800) % 2
    effect = still ^ (torch.rand(800, generator=draw) < 0.1)
    targets = torch.stack([still == 1, torch.zeros(800, dtype=torch.bool)], 1)
    for method in (InterventionalBDeu(), OrderMCMC()):
        result = learn_graph(torch.stack([still, effect], 1), method=method, targets=targets)
        assert result.graph.mark("slot0", "slot1") == "->"
        assert result.warnings == ()


NEED_ROWS = {"PC, residual test", "CD-NOD", "DifferentiableDiscovery"}


@pytest.mark.parametrize("name", METHODS)
def test_one_row_is_no_evidence(name):
    codes, slots = torch.tensor([[0, 1, 0]]), SlotSpace.from_cardinalities([2, 2, 2])
    method = METHODS[name](2)
    if name in NEED_ROWS:
        with pytest.raises(CTVAEError, match=r"row|regime"):
            learn(method, codes, slots)
        return
    result = learn(method, codes, slots)
    assert result.graph.num_edges == 0
    assert isinstance(result.status, DiscoveryStatus)


@every_method
def test_more_codes_than_rows(make):
    codes = draws(30, 64)
    result = learn(make(64), codes, SlotSpace.from_cardinalities([64, 64, 64]))
    assert isinstance(result.status, DiscoveryStatus)
    assert result.rows_used == 30


BAD_CODES = {
    "floats": lambda: draws(50, 2) + 0.5,
    "missing values": lambda: torch.where(draws(50, 2) == 0, torch.nan, 1.0),
    "a code of -1": lambda: draws(50, 2) - 1,
    "a code too large": lambda: draws(50, 3),
    "no rows": lambda: draws(0, 2),
    "one axis": lambda: draws(50, 2)[:, 0],
    "a column too many": lambda: draws(50, 2)[:, [0, 1, 2, 0]],
}


@every_method
@pytest.mark.parametrize("codes", BAD_CODES.values(), ids=BAD_CODES.keys())
def test_codes_that_are_none(make, codes):
    with pytest.raises(CTVAEError):
        learn(make(2), codes(), SlotSpace.from_cardinalities([2, 2, 2]))


@every_method
def test_entries_that_were_not_observed(make):
    codes = draws(50, 2)
    samples = Samples(codes, SlotSpace.from_cardinalities([2, 2, 2]), observed=codes > 0)
    with pytest.raises(CTVAEError, match=r"observed\.all"):
        learn_graph(samples, method=make(2))


@pytest.mark.parametrize("again", [bootstrap, permute_columns])
def test_entries_that_were_not_observed_are_no_codes_of_resamples(again):
    codes = draws(50, 2)
    samples = Samples(codes, SlotSpace.from_cardinalities([2, 2, 2]), observed=codes > 0)
    with pytest.raises(CTVAEError, match=r"observed\.all"):
        again(samples, method=GES())
    whole = samples.take_rows(torch.zeros(50, dtype=torch.bool))
    with pytest.raises(CTVAEError, match="no rows"):
        again(whole, method=GES())


@every_method
def test_targets_outside_the_graph(make):
    slots = SlotSpace.from_cardinalities([2, 2, 2])
    for targets in (torch.zeros(50, 4, dtype=torch.bool), torch.full((50,), 7)):
        with pytest.raises(CTVAEError, match="targets"):
            learn_graph(draws(50, 2), slots, method=make(2), targets=targets)


@every_method
def test_rows_of_one_unit_are_not_samples(make):
    targets = torch.zeros(50, 3, dtype=torch.bool)
    slots = SlotSpace.from_cardinalities([2, 2, 2])
    for regime in (Regime.EDIT, Regime.COUNTERFACTUAL):
        with pytest.raises(CTVAEError, match="no samples of do"):
            learn_graph(Samples(draws(50, 2), slots, regime, targets), method=make(2))


def test_names_that_occur_twice():
    with pytest.raises(CTVAEError, match="'a'"):
        SlotSpace([Slot("a", 2), Slot("a", 2)])
