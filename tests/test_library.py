"""Every textbook model gives every answer that is known of it."""

from __future__ import annotations

import itertools

import pytest
import torch

import ctvae as ct
from ctvae import library
from ctvae.errors import CTVAEError
from ctvae.graph import GraphKind
from ctvae.library import Answer, Bounds, Effect, Published, Textbook

MODELS = {name: library.load(name) for name in library.names()}
ANSWERS = {
    f"{name}: {answer.question} is {getattr(answer, 'formula', 'in figures')}": (model, answer)
    for name, model in MODELS.items()
    for answer in model.answers
}
FORMULAS = {key: pair for key, pair in ANSWERS.items() if not isinstance(pair[1], Published)}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def over_observed(model: Textbook, scm: ct.SCM) -> torch.Tensor:
    return scm.query(list(model.observed))


def with_random_tables(model: Textbook, seed: int) -> ct.SCM:
    """A model of the same graph and slots."""
    drawn = ct.SCM.from_edges(
        sorted(model.scm.graph.directed),
        cardinality={slot.name: slot.cardinality for slot in model.scm.slots},
        seed=seed,
    )
    laws = {}
    for name, law in model.scm.mechanisms.items():
        # Parents stand in column order in both; the drawn model has columns of its own order.
        causes = model.scm.graph.parents(name)
        order = sorted(causes, key=drawn.slots.index)
        table = drawn.mechanisms[name].table()
        table = table.permute(*(order.index(cause) for cause in causes), len(causes))
        assert table.shape == law.table().shape
        laws[name] = ct.TableMechanism(table)
    return ct.SCM(model.scm.graph, model.scm.slots, laws)


def agrees(answer: Answer, scm: ct.SCM) -> None:
    got = answer.question.ask(scm)
    if isinstance(answer, Bounds):
        lower, upper = answer.expected(scm)
        assert (got >= lower - 1e-10).all()
        assert (got <= upper + 1e-10).all()
    else:
        torch.testing.assert_close(got, answer.expected(scm), rtol=0, atol=answer.tolerance)


@pytest.mark.parametrize(("model", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_the_known_answer_is_given(model, answer, device):
    agrees(answer, model.scm.to(device))


@pytest.mark.parametrize(("model", "formula"), FORMULAS.values(), ids=FORMULAS)
def test_a_formula_reads_only_what_is_observed(model, formula, monkeypatch):
    """It asks for nothing hidden, and does nothing."""
    scm = model.scm
    asked: list[str] = []
    plain = ct.SCM.query

    def query(self, slots, given=None):
        assert self is scm
        asked.extend([slots] if isinstance(slots, str) else slots)
        asked.extend(given or ())
        return plain(self, slots, given)

    monkeypatch.setattr(ct.SCM, "query", query)
    formula.expected(scm)
    assert asked
    assert set(asked) <= set(model.observed)


@pytest.mark.parametrize(("model", "formula"), FORMULAS.values(), ids=FORMULAS)
def test_a_formula_holds_whatever_the_tables(model, formula):
    for seed in range(5):
        agrees(formula, with_random_tables(model, seed))


@models
def test_the_rows_of_the_tables_sum_to_one(model):
    for scm in (model.scm, *model.rivals):
        for law in scm.mechanisms.values():
            rows = law.table().sum(-1)
            assert rows.dtype == torch.float64
            torch.testing.assert_close(rows, torch.ones_like(rows), rtol=0, atol=1e-12)


@models
def test_the_graph_has_hidden_causes_just_where_slots_are_hidden(model):
    assert set(model.hidden) <= set(model.scm.slots.names)
    assert model.graph.nodes == model.observed
    assert (model.graph.kind is GraphKind.ADMG) == bool(model.hidden)
    assert model.reference
    assert model.answers or model.rivals
    assert all(slot.states for slot in model.scm.slots)


@models
def test_rivals_look_the_same_and_do_not_act_the_same(model):
    seen = over_observed(model, model.scm)
    for rival in model.rivals:
        torch.testing.assert_close(over_observed(model, rival), seen, rtol=0, atol=1e-12)
        worst = max(
            float((rival.do({x: "yes"}).query(y) - model.scm.do({x: "yes"}).query(y)).abs().max())
            for x, y in itertools.permutations(model.observed, 2)
        )
        assert worst > 0.002


@models
def test_what_is_known_is_as_true_of_rivals(model):
    """They look the same, and so lie within the same bounds."""
    for rival, answer in itertools.product(model.rivals, model.answers):
        agrees(answer, rival)


def test_the_bounds_of_vitamin_a_are_the_published_ones_and_are_reached():
    """Balke and Pearl (1997): from -.1946 to .0054, since do(taken=no) is known to be .9936."""
    model = library.vitamin_a()
    lower, upper = model.answers[-1].expected(model.scm)
    ends = torch.stack([lower[1], upper[1]])
    published = torch.tensor([-0.1946, 0.0054], dtype=torch.float64)
    torch.testing.assert_close(ends - 0.9936, published, rtol=0, atol=1e-10)
    reached = torch.stack([scm.do({"taken": "yes"}).query("survived")[1] for scm in model.rivals])
    torch.testing.assert_close(reached, ends, rtol=0, atol=1e-12)


def test_the_law_of_vitamin_a_is_the_published_one():
    """P(survived, taken | offered): Balke and Pearl (1997), table 2."""
    seen = library.vitamin_a().scm.query(["taken", "survived"], {"offered": torch.tensor([0, 1])})
    published = [[[0.0064, 0.9936], [0.0, 0.0]], [[0.0028, 0.1972], [0.001, 0.799]]]
    expected = torch.tensor(published, dtype=torch.float64)
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-12)


def test_adjusting_where_one_must_not_is_biased():
    m_bias = library.m_bias().scm
    joint = m_bias.query(["m", "x", "y"])
    adjusted = m_bias.query("m") @ (joint[:, 1] / joint[:, 1].sum(-1, keepdim=True))
    truth = m_bias.do({"x": "yes"}).query("y")
    assert float((adjusted - truth).abs().max()) > 0.01
    bow = library.bow().scm
    seen = bow.query("y", given={"x": "no"})
    fork = library.fork().scm
    assert float((fork.query("c", {"a": "yes"}) - fork.do({"a": "yes"}).query("c")).abs()[0]) > 0.1
    torch.testing.assert_close(seen, bow.do({"x": "no"}).query("y"))  # x decides y in this one


def test_surgery_wins_in_both_groups_and_loses_in_the_sum():
    scm = library.kidney_stones().scm
    recovered = scm.query("recovered", given={"treatment": torch.tensor([0, 1])})[:, 1]
    assert recovered[0] < recovered[1]
    for stones in ("small", "large"):
        by = [
            float(scm.query("recovered", given={"stones": stones, "treatment": t})[1])
            for t in (0, 1)
        ]
        assert by[0] > by[1]
    effects = scm.effect("recovered", of="treatment")[:, 1]
    assert effects[0] > effects[1]


def test_women_are_admitted_more_often_when_departments_are_weighted_alike():
    """Freedman, Pisani and Purves (2007), chapter 2: 39% of the men, 43% of the women."""
    scm = library.berkeley().scm
    alike = ct.Stochastic(scm.query("department"))
    for gender, share in (("man", 0.39), ("woman", 0.43)):
        admitted = scm.do({"gender": gender, "department": alike}).query("admitted")[1]
        assert float(admitted) == pytest.approx(share, abs=5e-3)


def test_a_collider_makes_its_causes_dependent():
    scm = library.collider().scm
    apart = scm.query("b", given={"a": "yes", "c": "yes"}) - scm.query("b", given={"c": "yes"})
    assert float(apart.abs()[0]) > 0.05


@pytest.mark.parametrize("name", ["asia", "cancer", "earthquake", "sachs"])
def test_networks_are_those_of_the_repository(name, shared_data):
    """Graph, names of codes and, where we have them, tables; columns in whatever order."""
    theirs = ct.SCM.from_bif(shared_data / "bnlearn" / "bif" / f"{name}.bif.gz")
    ours = library.load(name).scm
    assert ours.graph.directed == theirs.graph.directed
    if name == "sachs":
        return
    for slot in ours.slots:
        family = [*ours.graph.parents(slot.name), slot.name]
        assert set(slot.states) == set(theirs.slots[slot.name].states)
        for states in itertools.product(*(ours.slots[member].states for member in family)):
            *causes, own = zip(family, states, strict=True)
            here = ours.do(dict(causes)).query(slot.name)[slot.states.index(own[1])]
            other = theirs.do(dict(causes)).query(slot.name)
            there = other[theirs.slots[slot.name].states.index(own[1])]
            assert float(here) == pytest.approx(float(there), abs=1e-12)


def test_an_unknown_name_is_told():
    with pytest.raises(
        CTVAEError, match=r"no textbook model 'kidney'.*did you mean 'kidney_stones'"
    ):
        library.load("kidney")


def test_questions_read_like_formulas():
    assert str(Effect("y")) == "P(y)"
    assert str(Effect("y", {"x": 1}, {"z": "no"})) == "P(y | do(x=1), z=no)"
    assert "front_door" in repr(library.front_door())
