"""Every kind of do, against the definition of each kind on the enumerated joint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest
import torch

from ctvae.errors import InterventionError
from ctvae.mechanisms import Conditional, Hard, PerRow, Shift, Soft, Stochastic
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.merging import Done
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import SlotSpace
from tests.oracles import all_rows, assert_counts_follow, condition, enumerate_joint


def backwards() -> SCM:
    """d causes b and c, c causes b and a, b causes a; the columns are not in causal order."""
    edges = [("d", "b"), ("d", "c"), ("c", "b"), ("b", "a"), ("c", "a")]
    return SCM.from_edges(edges, cardinality={"a": 2, "b": 3, "c": 4, "d": 3}, seed=2)


def add_one(c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    return (c + d + 1) % 3


NEW_B = TableMechanism.random(3, [4, 3], seed=7)
FLIPPED_B = NEW_B.table().permute(1, 0, 2)  # axes d, c
LAW_C = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]]).double()
ROWS = torch.tensor([0, 2, 1])

WORLDS: dict[str, Callable[[], SCM]] = {
    "nothing": backwards,
    "hard": lambda: backwards().do({"c": 3}),
    "hard per row": lambda: backwards().do({"c": torch.tensor([3, 0, 1]), "a": 0}),
    "soft": lambda: backwards().do({"b": Soft(NEW_B)}),
    "soft, a table": lambda: backwards().do({"b": Soft(NEW_B.table())}),
    "soft, parents listed": lambda: backwards().do({"b": Soft(FLIPPED_B, parents=["d", "c"])}),
    "soft, fewer parents": lambda: backwards().do({"b": Soft(NEW_B.table()[:, 0], ["c"])}),
    "soft, a new edge": lambda: backwards().do({"a": Soft(LAW_C[:, [0, 3]].softmax(-1), ["d"])}),
    "shift, clipped": lambda: backwards().do({"c": Shift(2, wrap=False)}),
    "shift, wrapped": lambda: backwards().do({"c": Shift(-1, wrap=True), "d": Shift(7, wrap=True)}),
    "shift per row": lambda: backwards().do({"b": Shift(torch.tensor([-1, 0, 1]), wrap=False)}),
    "stochastic": lambda: backwards().do({"c": Stochastic(LAW_C[0])}),
    "stochastic per row": lambda: backwards().do({"c": Stochastic(LAW_C)}),
    "rule": lambda: backwards().do({"b": Conditional(add_one, parents=["c", "d"])}),
    "rule, parents turned": lambda: backwards().do({"b": Conditional(add_one, ["d", "c"])}),
    "rule, turned edge": lambda: backwards().do({
        "c": Conditional(lambda a: 3 * a, parents=["a"]),
        "b": Conditional(lambda d: d, parents=["d"]),
        "a": Soft([[0.3, 0.7], [0.6, 0.4], [1.0, 0.0]], parents=["b"]),
    }),
    "kinds per row": lambda: backwards().do({
        "c": PerRow([None, 2, Shift(1, wrap=False), Stochastic(LAW_C[1])], torch.tensor([3, 0, 2])),
        "b": PerRow([Soft(NEW_B), Conditional(lambda d: d, ["d"])], torch.tensor([1, 0, 1])),
    }),
    "a mapping per row": lambda: backwards().do([{"c": 1}, {"b": 2, "d": 0}, {}]),
    "nothing in any row": lambda: backwards().do([{}, {}, {}]),
    "nothing in any row on top": lambda: backwards().do({"c": 1}).do([{}, {}, {}]),
    "a mapping per row on top": lambda: backwards().do({"b": 0}).do([{"c": 1}, {"b": 2}, {}]),
    "codes per row by choice": lambda: backwards().do({
        "c": PerRow([1, 3], torch.tensor([1, 0, 1]))
    }),
}


def num_worlds(scm: SCM) -> int:
    return scm.program.batch or 1


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS.keys())
class TestLawsOfWorlds:
    def test_queries_equal_enumeration(self, make, device):
        scm = make().to(device)
        for row in range(num_worlds(scm)):
            joint = enumerate_joint(scm, row)
            for targets in (["a"], ["c"], ["b", "d"], ["d", "a", "b", "c"]):
                columns = [scm.slots.index(name) for name in targets]
                got = scm.query(targets).cpu()
                got = got[row] if scm.program.batch else got
                np.testing.assert_allclose(got, condition(joint, columns), rtol=0, atol=1e-10)
            if condition(joint, [0])[0] > 0:
                got = scm.query(["d", "b"], given={"a": 0}).cpu()
                got = got[row] if scm.program.batch else got
                np.testing.assert_allclose(got, condition(joint, [3, 1], {0: 0}), atol=1e-10)

    def test_log_prob_sums_to_one_and_equals_enumeration(self, make, device):
        scm = make().to(device)
        rows = all_rows(scm).to(device)
        batch = scm.program.batch
        rows = rows if batch is None else rows[:, None].expand(-1, batch, -1)
        got = scm.log_prob(rows).exp().cpu()
        got = got[:, None] if batch is None else got
        for row in range(num_worlds(scm)):
            expected = enumerate_joint(scm, row).reshape(-1)
            np.testing.assert_allclose(got[:, row], expected, rtol=0, atol=1e-10)

    @pytest.mark.statistical
    def test_draws_follow_the_enumerated_law(self, make, device):
        scm = make().to(device)
        draws = scm.sample(20_000, seed=1).cpu()
        draws = draws[:, None] if scm.program.batch is None else draws
        for row in range(num_worlds(scm)):
            cells = np.ravel_multi_index(draws[:, row].T.numpy(), scm.slots.cardinalities)
            joint = enumerate_joint(scm, row)
            assert_counts_follow(np.bincount(cells, minlength=joint.size), joint)

    @pytest.mark.statistical
    def test_draws_given_evidence_follow_the_conditional_law(self, make, device):
        scm = make().to(device)
        draws = scm.sample(20_000, given={"a": 0}, seed=2).cpu()
        draws = draws[:, None] if scm.program.batch is None else draws
        assert bool((draws[..., 0] == 0).all())
        for row in range(num_worlds(scm)):
            cells = np.ravel_multi_index(draws[:, row].T.numpy(), scm.slots.cardinalities)
            joint = enumerate_joint(scm, row).copy()
            joint[1:] = 0
            law = joint / joint.sum()
            assert_counts_follow(np.bincount(cells, minlength=law.size), law)

    def test_the_likeliest_row_is_the_mode_of_the_joint(self, make, device):
        scm = make().to(device)
        for given in ({}, {"a": 0}):
            found = scm.most_probable(given)
            codes = found.codes.reshape(-1, 4).cpu()
            log_probs = found.log_prob.reshape(-1).cpu()
            for row in range(num_worlds(scm)):
                joint = enumerate_joint(scm, row).copy()
                joint[1 if given else 2 :] = 0
                at = tuple(codes[row if len(codes) > 1 else 0].tolist())
                assert joint[at] == pytest.approx(joint.max(), abs=1e-12)
                best = float(log_probs[row if len(log_probs) > 1 else 0].exp())
                assert best == pytest.approx(joint.max(), abs=1e-12)

    @pytest.mark.statistical
    def test_an_estimate_is_within_its_standard_error(self, make, device):
        """Five standard errors; a two-sided normal leaves 6e-7 outside."""
        scm = make().to(device)
        answer = scm.estimate(["b"], given={"a": 0}, num_samples=20_000, seed=3)
        off = (answer.value - scm.query(["b"], given={"a": 0})).abs()
        assert bool((off <= 5 * answer.standard_error + 1e-12).all())

    def test_without_evidence_the_error_is_that_of_a_share(self, make, device):
        answer = make().to(device).estimate(["b", "d"], num_samples=1000, seed=4)
        binomial = (answer.value * (1 - answer.value) / 1000).sqrt()
        torch.testing.assert_close(answer.standard_error, binomial, rtol=0, atol=1e-12)

    def test_log_evidence_equals_the_marginal(self, make, device):
        scm = make().to(device)
        got = scm.log_evidence({"a": 0, "d": 1}).exp().cpu().reshape(-1)
        for row in range(num_worlds(scm)):
            expected = enumerate_joint(scm, row)[0, :, :, 1].sum()
            assert float(got[row]) == pytest.approx(expected, abs=1e-12)

    def test_saved_worlds_answer_the_same_to_the_last_bit(self, make, tmp_path):
        scm = make()
        again = SCM.load(scm.save(tmp_path / "m"))
        assert torch.equal(again.query(["a", "b", "c", "d"]), scm.query(["a", "b", "c", "d"]))
        assert torch.equal(again.sample(50, seed=0), scm.sample(50, seed=0))
        assert str(again) == str(scm)

    def test_effects_equal_one_do_at_a_time(self, make, device):
        scm = make().to(device)
        table = scm.effect(["b", "a"], of="c")
        for value in range(4):
            alone = scm.do({"c": value}).query(["b", "a"])
            got = table[..., value, :, :]
            np.testing.assert_allclose(got.cpu(), alone.expand_as(got).cpu(), rtol=0, atol=1e-12)


def test_effects_on_slots_that_do_not_respond_and_given_evidence():
    scm = backwards()
    assert torch.equal(scm.effect("d", of="b"), scm.query("d").expand(3, 3))
    both = scm.effect("a", of=["b", "c"], given={"d": 1})
    for b in range(3):
        for c in range(4):
            alone = scm.do({"b": b, "c": c}).query("a", given={"d": 1})
            torch.testing.assert_close(both[b, c], alone, rtol=0, atol=1e-12)


def test_a_shift_keeps_the_influence_of_the_parents_and_hard_cuts_it():
    scm = backwards()
    shifted = scm.do({"c": Shift(1, wrap=True)})
    for d in range(3):
        natural = scm.query("c", given={"d": d})
        torch.testing.assert_close(shifted.query("c", given={"d": d}), natural.roll(1))
    assert shifted.effect("c", of="d").std(0).max() > 0.01
    assert scm.do({"c": 1}).effect("c", of="d").std(0).max() == 0


BAD: dict[str, tuple[Callable[[], object], str]] = {
    "a rule that makes a cycle": (
        lambda: backwards().do({"d": Conditional(lambda a: a, ["a"])}),
        "cycle: (d -> |a -> |b -> |c -> )+",
    ),
    "a rule that reads its own slot": (
        lambda: backwards().do({"b": Conditional(lambda b: b, ["b"])}),
        "cycle b -> b.*Shift",
    ),
    "a new edge that makes a cycle": (
        lambda: backwards().do({"c": Soft(LAW_C.T[:2, :3].softmax(-1), ["a"])}),
        "4 codes|expected",
    ),
    "a table for other parents": (
        lambda: backwards().do({"b": Soft(NEW_B.table()[:, 0])}),
        r"for parents \(4,\) and 3 codes, expected \(4, 3\) \(c, d\) and 3",
    ),
    "an unnormalised law": (
        lambda: backwards().do({"b": Stochastic([0.5, 0.6, 0.1])}),
        "Stochastic of slot 'b': a table's rows must sum to one.*off by 0.2",
    ),
    "nan": (
        lambda: backwards().do({"b": Stochastic([float("nan"), 0.5, 0.5])}),
        "finite numbers",
    ),
    "a law over other codes": (
        lambda: backwards().do({"b": Stochastic([0.5, 0.5])}),
        r"probabilities \(3,\) or \(batch, 3\), got \(2,\)",
    ),
    "half a shift": (
        lambda: backwards().do({"b": Shift(0.5, wrap=True)}),  # type: ignore[arg-type]
        "Shift of slot 'b' takes a whole number of codes, got 0.5",
    ),
    "a shift that does not say how it ends": (
        lambda: backwards().do({"b": Shift(1, wrap="yes")}),  # type: ignore[arg-type]
        "wrap must be True .cyclic. or False .clipped.",
    ),
    "a rule outside the codebook": (
        lambda: backwards().do({"b": Conditional(lambda c: c, ["c"])}),
        r"rule of slot 'b': the function gives 3 for parents \[3\].*codes 0..2",
    ),
    "a rule that gives floats": (
        lambda: backwards().do({"b": Conditional(lambda c: c / 2, ["c"])}),
        "integer codes 0..2, got dtype torch.float32",
    ),
    "a rule that fails": (
        lambda: backwards().do({"b": Conditional(lambda c, d: c, ["c"])}),
        "the function failed on the grid",
    ),
    "a rule's parents as a text": (
        lambda: backwards().do({"b": Conditional(lambda c: c, "c")}),
        r"parents= takes a list of slots, got 'c'; write parents=\['c'\]",
    ),
    "a rule's parents twice": (
        lambda: backwards().do({"b": Conditional(lambda c, d: c, ["c", "c"])}),
        "names a slot twice",
    ),
    "a choice that differs per row": (
        lambda: backwards().do({"c": PerRow([torch.tensor([1, 2])], ROWS)}),  # type: ignore[list-item]
        "each choice of PerRow is for one world",
    ),
    "a choice of lists": (
        lambda: backwards().do({"c": PerRow([Stochastic(LAW_C.tolist())], ROWS)}),
        "each choice of PerRow is for one world",
    ),
    "a truth value in a row": (
        lambda: backwards().do([{"c": True}, {"c": True}]),
        r"row 0: slot 'c' takes integer codes 0..3",
    ),
    "a code outside in a row": (
        lambda: backwards().do([{"c": 1}, {"c": 9}]),
        "row 1: value 9 is outside the codebook of slot 'c'",
    ),
    "a class": (
        lambda: backwards().do({"c": Shift}),  # type: ignore[dict-item]
        "slot 'c': an intervention or codes, got the class Shift",
    ),
    "a class in a row": (
        lambda: backwards().do([{"c": Shift}]),  # type: ignore[arg-type]
        "row 0, slot 'c': an intervention, got the class Shift",
    ),
    "a class as a law": (
        lambda: backwards().do({"c": Soft(TableMechanism)}),  # type: ignore[arg-type]
        "new law of slot 'c' is the class TableMechanism",
    ),
    "a row without a choice": (
        lambda: backwards().do({"c": PerRow([1, 2], ROWS)}),
        "one of the 2 choices, got 3 rows from 0 to 2",
    ),
    "rows of two lengths": (
        lambda: backwards().do({"c": PerRow([1, 2], torch.tensor([0, 1])), "d": ROWS}),
        "one length, got c: 2, d: 3",
    ),
    "a row twice by name and index": (
        lambda: backwards().do([{"c": 1, 2: 2}]),  # type: ignore[type-var]
        "row 0 sets slot 'c' twice",
    ),
    "no row": (lambda: backwards().do([]), "one mapping per row"),
    "rows left out of a slot done per row": (
        lambda: backwards().do({"c": Shift(ROWS, wrap=True)}).do([{"c": 1}, {}, {"c": 2}]),
        "slot 'c' was done per row before",
    ),
}


def test_a_row_reads_only_what_it_picks():
    """A choice that no row picks brings no parents, and codes in all rows are hard values."""
    done = backwards().do([{"c": 1}, {"c": 2}])
    assert done.program.parents[2] == ()
    assert torch.equal(done.program.forced[2], torch.tensor([1, 2]))
    against = Conditional(lambda a: a, ["a"])  # a comes after c: a cycle, were it picked
    picked = backwards().do({"b": PerRow([against, 1, 2], torch.tensor([1, 2, 1]))})
    assert torch.equal(picked.query("b").argmax(1), torch.tensor([1, 2, 1]))
    again = done.do([{"c": 0}, {"c": 3}])
    assert torch.equal(again.program.forced[2], torch.tensor([0, 3]))
    above = backwards().do({"c": 3}).do([{"c": 1}, {}])
    assert torch.equal(above.program.forced[2], torch.tensor([1, 3]))
    beside = backwards().do({"c": ROWS}).do([{"c": 1}, {}, {"c": 3}])
    assert torch.equal(beside.program.forced[2], torch.tensor([1, 2, 3]))
    first: list[dict[str, Done]] = [{"c": Stochastic(LAW_C[2])}, {"c": 2}, {}]
    mixed = backwards().do(first).do([{}, {}, {"c": 1}])
    assert torch.equal(mixed.query("c").argmax(1), torch.tensor([0, 2, 1]))


def test_rows_in_which_nothing_is_done_again_leave_what_was_done():
    for name in "ac":
        world = backwards().do({name: torch.tensor([0, 1])})
        again = world.do([{}, {}])
        assert list(again.interventions) == [name]
        assert torch.equal(again.query("b"), world.query("b"))
    with pytest.raises(InterventionError, match="one length, got a: 2, b: 3"):
        backwards().do({"b": ROWS}).do([{}, {}])


def test_an_intervention_of_ones_own_goes_into_rows_by_identity():
    """A plain dataclass is equal by value and has no hash; two of them are two interventions."""

    @dataclass
    class Always:
        code: int

        @property
        def num_worlds(self) -> None:
            return None

        def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Hard:
            return Hard(self.code).checked(slots, column, parents)

        def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
            return Hard(self.code).reads(slots, parents)

        def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
            return Hard(self.code).rewrite(slots, law)

    first, second = Always(1), Always(1)
    done = backwards().do([{"b": first}, {"b": second}, {"b": Always(2)}, {"b": first}])
    assert torch.equal(done.query("b").argmax(1), torch.tensor([1, 1, 2, 1]))


def test_codes_in_rows_are_codes_whatever_holds_them():
    picked = PerRow([cast("int", np.int64(1)), 0], torch.tensor([0, 1]))
    assert torch.equal(backwards().do({"b": picked}).query("b").argmax(1), torch.tensor([1, 0]))
    codes: list[Done] = [1, cast("int", np.int64(1)), torch.tensor(1), 0]
    rows: list[dict[str, Done]] = [{"b": code} for code in codes]
    done = backwards().do(rows)
    assert torch.equal(done.program.forced[1], torch.tensor([1, 1, 1, 0]))


@pytest.mark.parametrize(("wrong", "told"), BAD.values(), ids=BAD.keys())
def test_bad_interventions_are_told(wrong, told):
    with pytest.raises(InterventionError, match=told):
        wrong()
