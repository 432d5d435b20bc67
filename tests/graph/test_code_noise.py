"""Codes read with errors: draws against exact posteriors, and graphs that come right again."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ctvae.counting import contingency_table
from ctvae.errors import CodeError, DataError, GraphError, RegimeError, ShapeError
from ctvae.graph import (
    FCI,
    GES,
    CausalGraph,
    NoiseCorrected,
    OrderMCMC,
    confusion_matrices,
    learn_graph,
    shd,
)
from ctvae.graph.imputation import NoisyRows
from ctvae.regimes import Regime, Samples
from ctvae.slots import SlotSpace
from tests.graph.oracles import rows_with_targets

CHAIN = np.zeros((4, 4), dtype=np.int8)  # d -> b -> a -> c
CHAIN[3, 1] = CHAIN[1, 0] = CHAIN[0, 2] = 1
SIZES = [3, 2, 3, 2]
METHOD = OrderMCMC(num_samples=0, starts=4)


def reading(size: int, error: float) -> torch.Tensor:
    laws = torch.full((size, size), error / (size - 1), dtype=torch.float64)
    return laws.fill_diagonal_(1 - error)


def misread(codes: torch.Tensor, laws: list[torch.Tensor], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    columns = [
        torch.multinomial(law[codes[:, k]], 1, generator=generator) for k, law in enumerate(laws)
    ]
    return torch.cat(columns, 1)


def test_confusions_are_those_that_were_made():
    laws = [reading(3, 0.1), torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)]
    true = torch.stack([torch.arange(60_000) % 3, torch.arange(60_000) % 2], 1)
    found = confusion_matrices(misread(true, laws, 0), true, SlotSpace.from_cardinalities([3, 2]))
    for one, law in zip(found, laws, strict=True):
        torch.testing.assert_close(one, law, atol=0.01, rtol=0)
    nothing = confusion_matrices(true[:0], true[:0], SlotSpace.from_cardinalities([3, 2]))
    assert nothing[0].tolist() == [[1 / 3] * 3] * 3


@dataclass(frozen=True)
class Pinned(NoisyRows):
    """A sampler with given tables in the place of drawn ones; set slots are even."""

    tables: tuple[torch.Tensor, ...] = ()

    def _table(
        self, codes: torch.Tensor, child: int, parents: object, generator: torch.Generator
    ) -> torch.Tensor:
        return self.tables[child].flatten(0, -2).log().to(codes.device)

    def _own(self, codes: torch.Tensor, slot: int, generator: torch.Generator) -> torch.Tensor:
        return torch.zeros(self.cardinalities[slot], dtype=torch.float64, device=codes.device)


@pytest.mark.parametrize("target", [None, 1, 2])
def test_draws_have_the_exact_posterior(target, device):
    """One row, read 4,000 times, against the sum over all 12 states."""
    parents: tuple[list[int], ...] = ([], [0], [0, 1])
    sizes, read = (2, 3, 2), (1, 2, 0)
    rng = np.random.default_rng(0)
    tables = [
        rng.dirichlet(np.ones(size), [sizes[p] for p in above] or [1])
        for size, above in zip(sizes, parents, strict=True)
    ]
    laws = [reading(size, 0.3) for size in sizes]
    joint = np.ones(sizes)
    for state in itertools.product(*map(range, sizes)):
        for k, above in enumerate(parents):
            law = tables[k][tuple(state[p] for p in above) or (0,)]
            joint[state] *= float(laws[k][state[k], read[k]]) * (
                1 if k == target else law[state[k]]
            )
    asked = torch.tensor([read], device=device).expand(4000, 3)
    rows = Pinned(
        asked,
        torch.arange(3, device=device).eq(-1 if target is None else target).expand(4000, 3),
        sizes,
        tuple(law.log().to(device) for law in laws),
        tuple(torch.from_numpy(table) for table in tables),
    )
    codes, generator = asked, torch.Generator(device).manual_seed(1)
    for _ in range(30):
        codes = rows.resample(codes, parents, generator=generator)
    shares = contingency_table(codes, sizes).cpu().numpy() / len(codes)
    np.testing.assert_allclose(shares, joint / joint.sum(), atol=0.03)


def test_codes_read_without_error_are_left_alone():
    codes, targets = rows_with_targets(CHAIN, SIZES, observational=300, per_target=50, seed=0)
    laws = tuple(torch.eye(size, dtype=torch.float64) for size in SIZES)
    rows = NoisyRows(codes, targets, tuple(SIZES), tuple(law.log() for law in laws))
    parents = [np.flatnonzero(column).tolist() for column in CHAIN.T]
    drawn = rows.resample(codes, parents, generator=torch.Generator().manual_seed(0))
    assert torch.equal(drawn, codes)
    one = learn_graph(codes, method=NoiseCorrected(METHOD, laws, rounds=2), targets=targets)
    other = learn_graph(codes, method=METHOD, targets=targets)
    assert one.graph == other.graph


@pytest.mark.slow
def test_false_edges_of_misread_codes_go_away(device):
    """One code in ten is misread: at most half as many wrong edges as without correction."""
    wrong: list[int] = []
    right: list[int] = []
    laws = [reading(size, 0.1) for size in SIZES]
    for seed in range(4):
        codes, targets = rows_with_targets(
            CHAIN, SIZES, observational=8000, per_target=2000, seed=seed
        )
        read = misread(codes, laws, seed).to(device)
        done = targets.to(device)
        slots = SlotSpace.from_cardinalities(SIZES)
        truth = CausalGraph.from_numpy(CHAIN, slots.names)
        plain = learn_graph(read, slots, method=METHOD, targets=done)
        found = learn_graph(read, slots, method=NoiseCorrected(METHOD, laws), targets=done)
        wrong.append(shd(plain.graph, truth))
        right.append(shd(found.graph, truth))
    assert sum(wrong) >= 4
    assert sum(right) <= sum(wrong) / 2


def test_permuting_the_columns_permutes_the_answer():
    codes, targets = rows_with_targets(CHAIN, SIZES, observational=400, per_target=100, seed=2)
    laws, order = [reading(size, 0.05) for size in SIZES], [2, 0, 3, 1]
    slots = SlotSpace.from_cardinalities(SIZES)
    moved = SlotSpace([slots[k] for k in order])
    one = learn_graph(codes, slots, method=NoiseCorrected(METHOD, laws, rounds=2), targets=targets)
    other = learn_graph(
        codes[:, order],
        moved,
        method=NoiseCorrected(METHOD, [laws[k] for k in order], rounds=2),
        targets=targets[:, order],
    )
    assert one.graph == other.graph


def test_graphs_with_open_directions_serve_too():
    codes, _ = rows_with_targets(CHAIN, SIZES, observational=3000, per_target=0, seed=1)
    laws = [reading(size, 0.02) for size in SIZES]
    found = learn_graph(misread(codes, laws, 1), method=NoiseCorrected(GES(), laws, rounds=2))
    assert found.graph.kind.name == "CPDAG"
    assert "2.0% misread" in repr(found.method)


def by_regimes() -> Samples:
    slots = SlotSpace.from_cardinalities([2])
    codes = torch.tensor([[0], [1], [0], [1]])
    return Samples(codes, slots, Regime.INTERVENTIONAL, regimes=torch.tensor([0, 0, 1, 1]))


TWO = reading(2, 0.1)
PAIRS = torch.randint(2, (50, 2), generator=torch.Generator().manual_seed(0))
BAD = {
    "not square": (lambda: NoiseCorrected(GES(), [torch.ones(2, 3)]), DataError, "square"),
    "no law": (lambda: NoiseCorrected(GES(), [torch.ones(2, 2)]), DataError, "is the law of"),
    "never itself": (lambda: NoiseCorrected(GES(), [1 - torch.eye(2)]), DataError, "as itself"),
    "alike": (
        lambda: NoiseCorrected(GES(), [torch.full((2, 2), 0.5)]),
        DataError,
        "too little",
    ),
    "rounds": (lambda: NoiseCorrected(GES(), [TWO], rounds=1), ShapeError, "at least 2"),
    "slots": (
        lambda: learn_graph(PAIRS, method=NoiseCorrected(GES(), [TWO])),
        ShapeError,
        r"one matrix per slot, of \(2, 2\) codes; got \(2,\)",
    ),
    "regimes": (
        lambda: learn_graph(by_regimes(), method=NoiseCorrected(GES(), [TWO])),
        RegimeError,
        "target_probabilities",
    ),
    "kind": (
        lambda: learn_graph(PAIRS[:, [0, 0]], method=NoiseCorrected(FCI(), [TWO, TWO])),
        GraphError,
        "gave a PAG",
    ),
    "shapes": (
        lambda: confusion_matrices(PAIRS, PAIRS[1:], SlotSpace.from_cardinalities([2, 2])),
        ShapeError,
        "must agree",
    ),
    "codes": (
        lambda: confusion_matrices(PAIRS, PAIRS + 1, SlotSpace.from_cardinalities([2, 2])),
        CodeError,
        "code",
    ),
    "pseudocount": (
        lambda: confusion_matrices(
            PAIRS, PAIRS, SlotSpace.from_cardinalities([2, 2]), pseudocount=0.0
        ),
        DataError,
        "above 0",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
