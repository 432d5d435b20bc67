"""Counterfactuals: consistency, effectiveness, and the law of the two worlds together."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ctvae.errors import CTVAEError, EvidenceError, InterventionError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms import (
    Conditional,
    Hard,
    Intervention,
    PerRow,
    Shift,
    Soft,
    Stochastic,
    TableMechanism,
)
from ctvae.mechanisms.couplings import Coupling, Gumbel, Independent, Maximal, Monotone
from ctvae.mechanisms.merging import Done
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotKey
from tests.inference.test_interventions import LAW_C, NEW_B, WORLDS, backwards
from tests.oracles import assert_counts_follow, enumerate_joint
from tests.strategies import SCMS

COUPLINGS: dict[str, Coupling] = {
    "gumbel": Gumbel(),
    "monotone": Monotone(),
    "maximal": Maximal(),
    "independent": Independent(),
}
DOS: dict[str, dict[str, Done]] = {
    "hard": {"c": 3},
    "two": {"c": 0, "d": 2},
    "soft": {"b": Soft(NEW_B)},
    "shift": {"c": Shift(1, wrap=False)},
    "stochastic": {"c": Stochastic(LAW_C[0])},
    "rule": {"b": Conditional(lambda c, d: (c + d) % 3, ["c", "d"])},
    "nothing": {},
}


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
class TestLaws:
    @pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
    def test_setting_a_slot_to_what_it_was_changes_nothing(self, make, coupling, device):
        scm = make().to(device)
        seen = scm.sample(300, seed=1)
        for slot in scm.slots.names:
            same = {slot: seen[:, scm.slots.index(slot)]}
            again = scm.counterfactual(seen, do=same, num_samples=2, coupling=coupling, seed=2)
            assert torch.equal(again, seen[:, None].expand_as(again))

    @pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS.keys())
    def test_doing_nothing_copies_units_of_every_world(self, make, coupling, device):
        scm = make().to(device)
        batch = scm.program.batch
        seen = scm.sample(1 if batch else 50, seed=1).reshape(-1, 4)
        again = scm.counterfactual(seen, do={}, num_samples=3, coupling=coupling, seed=2)
        assert torch.equal(again, seen[:, None].expand_as(again))

    def test_hard_values_are_effective_and_only_descendants_change(self, coupling, device):
        scm = backwards().to(device)
        seen = scm.sample(500, seed=3)
        other = scm.counterfactual(seen, do={"c": 2}, coupling=coupling, seed=4)[:, 0]
        assert bool((other[:, 2] == 2).all())
        assert torch.equal(other[:, 3], seen[:, 3])
        assert bool((other[:, 0] != seen[:, 0]).any())

    @pytest.mark.statistical
    @pytest.mark.parametrize("done", DOS.values(), ids=DOS.keys())
    def test_units_of_the_population_follow_the_interventional_law(self, coupling, done, device):
        scm = backwards().to(device)
        other = scm.counterfactual(scm.sample(30_000, seed=5), do=done, coupling=coupling, seed=6)
        joint = enumerate_joint(scm.do(done))
        cells = np.ravel_multi_index(other[:, 0].T.cpu().numpy(), joint.shape)
        assert_counts_follow(np.bincount(cells, minlength=joint.size), joint)

    @pytest.mark.statistical
    @pytest.mark.parametrize("seen_in", WORLDS.keys())
    def test_units_seen_in_any_world_follow_the_law_of_the_other(self, coupling, seen_in, device):
        """Also from worlds that are intervened on themselves, where noise may not be the unit's."""
        scm = WORLDS[seen_in]().to(device)
        batch = scm.program.batch or 1
        seen = scm.sample(12_000, seed=7).reshape(-1, 4)
        if scm.program.batch:
            rows = torch.arange(batch, device=device).repeat(12_000)
            scm = SCMRows(scm, rows).scm
        done: dict[str, Done] = {"d": Shift(1, wrap=True), "c": Soft(LAW_C, ["d"])}
        other = scm.counterfactual(seen, do=done, coupling=coupling, seed=8)[:, 0].cpu()
        world = WORLDS[seen_in]().do(done)
        for row in range(batch):
            joint = enumerate_joint(world, row)
            cells = np.ravel_multi_index(other[row::batch].T.numpy(), joint.shape)
            assert_counts_follow(np.bincount(cells, minlength=joint.size), joint)

    @pytest.mark.statistical
    def test_both_worlds_together_follow_the_product_of_kernels(self, coupling, device):
        """P(x, x') of a unit is P(x) times one kernel for each slot that responds."""
        scm = SCM.from_edges(
            [("a", "b"), ("a", "c"), ("b", "c")], cardinality={"a": 2, "b": 3, "c": 2}, seed=9
        ).to(device)
        b, c = (scm.mechanisms[name].table().cpu() for name in "bc")
        joint = enumerate_joint(scm)
        law = np.zeros((2, 3, 2, 3, 2))
        for x in itertools.product(range(2), range(3), range(2)):
            to_b = coupling.kernel(b[x[0]], b[1])[x[1]]
            for new_b in range(3):
                to_c = coupling.kernel(c[x[0], x[1]], c[1, new_b])[x[2]]
                if x[0] == 1:
                    to_b = torch.eye(3, dtype=torch.float64)[x[1]]
                    to_c = torch.eye(2, dtype=torch.float64)[x[2]] if new_b == x[1] else to_c
                law[(*x, new_b)] = joint[x] * float(to_b[new_b]) * to_c.numpy()
        seen = scm.sample(100_000, seed=10)
        other = scm.counterfactual(seen, do={"a": 1}, coupling=coupling, seed=11)[:, 0]
        pairs = torch.cat([seen, other[:, 1:]], 1).T.cpu().numpy()
        counts = np.bincount(np.ravel_multi_index(pairs, law.shape), minlength=law.size)
        assert_counts_follow(counts, law)


PER_ROW = [
    name
    for name, make in WORLDS.items()
    if make().program.batch is None and name not in {"nothing", "rule, turned edge"}
]
"""Worlds that fit into one row beside one in which nothing is done."""


class SCMRows:
    """The worlds of ``scm`` repeated: interventions per row, picked by index."""

    def __init__(self, scm: SCM, rows: torch.Tensor) -> None:
        done: dict[str, Intervention] = {}
        for name, law in scm.interventions.items():
            if law.num_worlds is None:
                done[name] = law
            elif isinstance(law, PerRow):
                done[name] = PerRow(law.choices, law.index[rows.cpu()])
            elif isinstance(law, Shift):
                done[name] = Shift(torch.as_tensor(law.amount)[rows.cpu()], wrap=law.wrap)
            elif isinstance(law, Stochastic):
                done[name] = Stochastic(torch.as_tensor(law.probs)[rows.cpu()])
            else:
                assert isinstance(law, Hard)
                done[name] = Hard(torch.as_tensor(law.value)[rows.cpu()])
        self.scm = SCM(scm.graph, scm.slots, scm.mechanisms).do(done) if done else scm


def test_replay_is_exact_on_a_million_units(device):
    names = [f"s{k}" for k in range(10)]
    edges = [(names[j], names[k]) for k in range(10) for j in range(max(0, k - 3), k)]
    scm = SCM.from_edges(edges, cardinality=dict.fromkeys(names, 4), seed=0).to(device)
    seen = scm.sample(1_000_000, seed=1)
    again = scm.counterfactual(seen, do={"s0": seen[:, 0], "s4": seen[:, 4]}, seed=2)
    assert torch.equal(again[:, 0], seen)


def test_a_clipped_shift_is_replayed_and_undone_within_what_was_seen():
    """Under Shift(+1, clipped) the last code hides two natural ones: undoing draws between them."""
    law = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    scm = SCM(CausalGraph.from_edges(nodes=["a"]), [Slot("a", 4)], {"a": TableMechanism(law)})
    seen = torch.tensor([[3]]).expand(40_000, 1)
    shifted = scm.do({"a": Shift(1, wrap=False)})
    assert torch.equal(shifted.counterfactual(seen, do={}, seed=0)[:, 0], seen)
    undone = shifted.counterfactual(seen, do={"a": Shift(0, wrap=False)}, seed=0)[:, 0, 0]
    assert_counts_follow(np.bincount(undone, minlength=4), np.array([0, 0, 3, 4]) / 7)
    with pytest.raises(EvidenceError, match="probability zero"):
        shifted.counterfactual(torch.tensor([[0]]), do={"a": Shift(0, wrap=False)}, seed=0)


def test_some_slots_seen_are_completed_by_their_law():
    scm = backwards()
    draws = scm.counterfactual({"a": 1, "b": 0}, do={"c": 1}, num_samples=20_000, seed=0)
    assert draws.shape == (20_000, 4)
    assert_counts_follow(
        np.bincount(draws[:, 3], minlength=3), scm.query("d", {"a": 1, "b": 0}).numpy()
    )
    many = scm.counterfactual({"a": torch.tensor([0, 1])}, do={"c": 1}, num_samples=5, seed=0)
    assert many.shape == (2, 5, 4)


def test_equal_seeds_give_equal_units_and_the_model_is_untouched():
    scm = backwards()
    seen = scm.sample(20, seed=0)
    first = scm.counterfactual(seen, do={"c": 1}, num_samples=3, seed=5)
    assert torch.equal(first, scm.counterfactual(seen, do={"c": 1}, num_samples=3, seed=5))
    assert not scm.interventions
    assert scm.counterfactual(seen[0], do={"c": 1}, seed=0).shape == (1, 4)
    assert scm.counterfactual(seen.reshape(4, 5, 4), do={"c": 1}, seed=0).shape == (4, 5, 1, 4)


def test_what_cannot_be_is_told():
    zeros = SCMS["zeros in tables"]()
    with pytest.raises(EvidenceError, match=r"unit 1 has a code of slot 'b'.*probability zero"):
        zeros.counterfactual(torch.tensor([[0, 1], [0, 0]]), do={"a": 2}, seed=0)
    with pytest.raises(ShapeError, match="3 worlds, one per unit; got 2 units"):
        backwards().counterfactual(
            torch.zeros(2, 4, dtype=torch.long), do={"c": torch.tensor([0, 1, 2])}
        )
    with pytest.raises(EvidenceError, match="observed= is empty"):
        backwards().counterfactual({}, do={"c": 1})
    with pytest.raises(InterventionError, match="outside the codebook"):
        backwards().counterfactual({"a": 1}, do={"c": 9})


def chain_of_three() -> SCM:
    return SCM.from_edges(
        [("a", "b"), ("b", "c")], cardinality={"a": 2, "b": 3, "c": 4}, concentration=5.0, seed=1
    )


def test_an_experiment_in_one_row_is_not_redrawn_because_another_row_has_parents():
    kinds = PerRow([Stochastic([0.2, 0.3, 0.5]), None], torch.tensor([0, 1]))
    world = chain_of_three().do({"b": kinds})
    units = torch.tensor([[0, 1, 1], [0, 1, 1]])
    other = world.counterfactual(units, do={"a": 1}, num_samples=500, seed=0)
    assert bool((other[0, :, 1:] == units[0, 1:]).all())
    assert not bool((other[1, :, 1] == 1).all())


def test_experiments_of_partly_seen_units_are_those_of_whole_units():
    """An experiment in each row, not reached by what is done: it stays as it was seen."""
    odds = torch.tensor([[0.5, 0.5], [0.3, 0.7]], dtype=torch.float64)
    world = chain_of_three().do({"a": Stochastic(odds)})
    units = {"a": torch.tensor([0, 1]), "b": torch.tensor([1, 1]), "c": torch.tensor([2, 2])}
    other = world.counterfactual(units, do={"c": 0}, num_samples=300, seed=0)
    for column, name in enumerate("ab"):
        assert bool((other[:, :, column] == units[name][:, None]).all())
    assert world.counterfactual({"a": units["a"]}, do={"c": 0}, num_samples=0).shape == (2, 0, 3)


def test_a_unit_that_a_shift_cannot_bring_about_is_refused_wherever_it_is():
    world = chain_of_three().do({"a": Shift(1, wrap=False)})
    assert float(world.log_prob(torch.tensor([[0, 1, 2]]))) == -torch.inf
    with pytest.raises(EvidenceError, match="a"):
        world.counterfactual(torch.tensor([[0, 1, 2]]), do={"c": 0}, seed=0)


def test_couplings_by_column_are_those_by_name():
    scm, units = chain_of_three(), chain_of_three().sample(500, seed=0)
    by_column, by_name = (
        scm.counterfactual(units, do={"a": 1}, coupling={key: Maximal()}, num_samples=3, seed=1)
        for key in (1, "b")
    )
    assert torch.equal(by_column, by_name)
    twice: dict[SlotKey, Coupling] = {1: Maximal(), "b": Maximal()}
    with pytest.raises(CTVAEError, match="'b' twice"):
        scm.counterfactual(units, do={"a": 1}, coupling=twice, seed=0)


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
class TestWhatIsNotTouched:
    """Laws of every kind of world, whichever coupling: what no change reaches stays as it was."""

    @pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS.keys())
    def test_slots_that_are_not_reached_keep_their_codes(self, make, coupling, device):
        scm = make().to(device)
        batch = scm.program.batch or 1
        rows = SCMRows(scm, torch.arange(batch).repeat_interleave(20)).scm
        units = rows.sample(1, seed=1)[0] if scm.program.batch else rows.sample(20, seed=1)
        some = {name: units[:, rows.slots.index(name)] for name in "abcd"}
        for name in "abcd":
            column = rows.slots.index(name)
            reached = rows.do({name: 0}).program.descendants({column})
            kept = sorted(set(range(4)) - reached)
            for seen in (units, some):
                other = rows.counterfactual(seen, do={name: 0}, coupling=coupling, seed=2)[:, 0]
                assert torch.equal(other[:, kept], units[:, kept])

    @pytest.mark.parametrize("world", PER_ROW)
    def test_rows_in_which_nothing_is_done_keep_their_codes(self, world, coupling, device):
        natural = backwards().to(device)
        units = natural.sample(30, seed=1)
        done = dict(WORLDS[world]().interventions)
        rows: list[dict[str, Intervention]] = [done, {}]
        other = natural.counterfactual(units, do=rows * 15, coupling=coupling, seed=2)[:, 0]
        assert torch.equal(other[1::2], units[1::2])
        assert bool((other != units).any())


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
def test_doing_again_what_was_done_changes_nothing(coupling, device):
    """A slot's own law, the same object once more, and a table of equal numbers."""
    scm = backwards().to(device)
    own, table = scm.mechanisms["b"], Soft(NEW_B.table())
    soft = Soft(NEW_B)
    kinds = PerRow([soft, table, None], torch.arange(60) % 3)
    for first, again in (
        ({}, {"b": Soft(own)}),
        ({}, {"b": Soft(own.table())}),
        ({"b": soft}, {"b": soft}),
        ({"b": soft}, {"b": Soft(NEW_B.table().clone())}),
        ({"b": table}, {"b": table}),
        ({"b": kinds}, {"b": kinds}),
        ({"b": kinds}, {"b": PerRow([table, soft, None], torch.tensor([1, 0, 2] * 20))}),
    ):
        world = scm.do(first)
        units = world.sample(1, seed=0)[0] if world.program.batch else world.sample(60, seed=0)
        other = world.counterfactual(units, do=again, coupling=coupling, seed=1)[:, 0]
        assert torch.equal(other, units)
        if world.program.batch is None:
            twin = world.twin(again, coupling=coupling)
            pair = twin.query(["b", "b'"])
            assert float(pair.diagonal().sum()) == pytest.approx(1.0, abs=1e-12)
    halves = scm.do({"b": Soft(own)}).swig(coupling=coupling).query(["b", "do(b)"])
    assert float(halves.diagonal().sum()) == pytest.approx(1.0, abs=1e-12)


def test_rows_with_laws_of_their_own_cost_no_pairs_of_laws():
    """One law for each of 3,000 rows in both worlds: quadratic work would take minutes."""
    scm = chain_of_three()
    laws = [Soft(row, []) for row in torch.full((3000, 3), 1 / 3, dtype=torch.float64)]
    world = scm.do([{"b": law} for law in laws])
    units = world.sample(1, seed=0)[0]
    rows = [{"b": laws[k] if k % 2 else laws[-1 - k]} for k in range(3000)]
    other = world.counterfactual(units, do=rows, coupling=Independent(), seed=1)[:, 0]
    assert torch.equal(other[1::2], units[1::2])
    assert not torch.equal(other[::2], units[::2])


def test_a_shift_is_one_shift_whether_given_per_row_or_for_all():
    """Rows of one amount have the same law behind their regimes; no coupling redraws them."""
    scm = chain_of_three().do({"b": Shift(torch.tensor([1, 1]), wrap=True)})
    units = torch.tensor([[0, 1, 1], [1, 2, 3]])
    again = scm.counterfactual(
        units, do={"b": Shift(1, wrap=True)}, num_samples=200, coupling=Independent(), seed=0
    )
    assert bool((again[:, :, 1] == units[:, None, 1]).all())
