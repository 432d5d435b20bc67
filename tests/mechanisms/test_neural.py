"""Networks as laws: what every law must hold, gradients, files, and what is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctvae.errors import CTVAEError, FormatError, MechanismError, ShapeError, StateSpaceError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.mechanisms.neural_training import FitSettings
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot

MAKERS: dict[str, Callable[[], NeuralMechanism]] = {
    "no parents": lambda: NeuralMechanism(5, seed=0),
    "one parent": lambda: NeuralMechanism(3, [4], seed=1),
    "unequal parents": lambda: NeuralMechanism(3, [2, 5, 4], seed=2),
    "one code": lambda: NeuralMechanism(1, [3], seed=3),
    "a parent of one code": lambda: NeuralMechanism(3, [1, 4], seed=4),
    "log-linear": lambda: NeuralMechanism(4, [3, 2], depth=0, seed=5),
    "deep and narrow": lambda: NeuralMechanism(
        2, [3, 3], width=5, depth=4, embedding_dim=2, seed=6
    ),
    "many codes": lambda: NeuralMechanism(512, [512], seed=7),
    "without a seed": lambda: NeuralMechanism(2, [2]),
    "fit": lambda: NeuralMechanism.fit(
        torch.tensor([0, 1, 2]).repeat(20),
        torch.tensor([[0], [1], [1]]).repeat(20, 1),
        cardinality=3,
        parent_cardinalities=[2],
        settings=FitSettings(epochs=2),
        seed=0,
    ),
}
"""Name to constructor. Every law below holds for each."""


def random_rows(law: NeuralMechanism, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    sizes = law.parent_cardinalities
    columns = [torch.randint(0, size, shape, generator=generator) for size in sizes]
    rows = torch.stack(columns, -1) if columns else torch.empty((*shape, 0), dtype=torch.long)
    return rows.to(law.device)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
class TestLawsOfNetworks:
    def test_rows_sum_to_one_and_shapes_agree(self, make, device):
        law = make().to(device)
        table = law.table()
        assert table.device.type == law.device.type == device.type
        assert tuple(table.shape) == (*law.parent_cardinalities, law.cardinality)
        assert bool((table > 0).all())
        torch.testing.assert_close(table.sum(-1), torch.ones_like(table.sum(-1)))

    def test_the_table_holds_the_law_at_every_row(self, make, device):
        law = make().to(device)
        rows = random_rows(law, (2, 7))
        table = law.table()
        expected = table[tuple(rows.unbind(-1))] if rows.shape[-1] else table.expand(2, 7, -1)
        torch.testing.assert_close(law.log_probs(rows).exp(), expected)

    def test_batches_have_any_shape(self, make):
        law = make()
        for shape in ((), (0,), (3,), (2, 0, 4), (2, 3, 1)):
            assert law.log_probs(random_rows(law, shape)).shape == (*shape, law.cardinality)

    def test_gradients_reach_every_parameter(self, make, device):
        """Through the rows and through the table; a slot of one code has nothing to learn."""
        law = make().to(device)
        law.module.requires_grad_()
        values = (law.log_probs(random_rows(law, (64,)))[..., 0], law.table()[..., 0])
        for value in values:
            for parameter in law.parameters():
                parameter.grad = None
            value.sum().backward()
            for parameter in law.parameters():
                assert parameter.grad is not None
                assert bool(torch.isfinite(parameter.grad).all())
                assert bool((parameter.grad != 0).any()) == (law.cardinality > 1)

    def test_saved_and_loaded_it_is_the_same_bit_by_bit(self, make, device):
        law = make().to(device)
        settings = json.loads(json.dumps(law.settings()))
        again = NeuralMechanism.from_tensors(settings, law.to_tensors())
        assert again.device == law.device
        assert (again.cardinality, again.parent_cardinalities) == (
            law.cardinality,
            law.parent_cardinalities,
        )
        rows = random_rows(law, (20,))
        assert torch.equal(again.log_probs(rows), law.log_probs(rows))

    def test_a_copy_is_equal_and_trained_apart(self, make):
        law = make()
        before = law.to_tensors()
        copied = law.to("cpu")
        with torch.no_grad():
            for parameter in copied.parameters():
                parameter.add_(1)
        for name, tensor in law.to_tensors().items():
            assert torch.equal(tensor, before[name])
            assert not torch.equal(tensor, copied.to_tensors()[name])

    def test_it_is_a_mechanism_that_says_its_size(self, make):
        law = make()
        count = sum(p.numel() for p in law.parameters())
        assert isinstance(law, Mechanism)
        assert f"{law.cardinality} codes" in repr(law)
        assert f"{count} parameters" in repr(law)


def test_devices_agree(device):
    law = NeuralMechanism(7, [5, 3], seed=0)
    torch.testing.assert_close(law.table(), law.to(device).table().cpu(), rtol=1e-4, atol=1e-6)


def test_without_hidden_layers_the_log_odds_are_a_sum_over_the_parents():
    """log-odds(a, b) - log-odds(a', b) does not depend on b."""
    table = NeuralMechanism(3, [4, 5], depth=0, seed=0).table().detach().double().log()
    odds = table[..., 1] - table[..., 0]
    steps = odds - odds[:1]
    torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), rtol=0, atol=1e-5)
    bent = NeuralMechanism(3, [4, 5], seed=0).table().detach().double().log()
    odds = bent[..., 1] - bent[..., 0]
    steps = odds - odds[:1]
    assert float((steps - steps[:, :1]).abs().max()) > 1e-2


def test_thirty_parents_of_512_codes_are_evaluated_without_a_table(device):
    law = NeuralMechanism(512, [512] * 30, seed=0).to(device)
    logs = law.log_probs(random_rows(law, (1000,)))
    assert logs.shape == (1000, 512)
    torch.testing.assert_close(logs.exp().sum(-1), torch.ones(1000, device=device))
    with pytest.raises(StateSpaceError, match=r"9\.71e\+83 entries") as told:
        law.table()
    assert told.value.entries == 512**31


def test_equal_seeds_give_equal_laws_and_others_do_not():
    laws = [NeuralMechanism(4, [3], seed=seed).table() for seed in (0, 0, 1)]
    assert torch.equal(laws[0], laws[1])
    assert not torch.equal(laws[0], laws[2])


def test_a_model_answers_with_networks_as_with_their_tables(device):
    graph = CausalGraph.from_edges([("a", "c"), ("b", "c"), ("a", "b")])
    slots = [Slot("a", 3), Slot("b", 4), Slot("c", 5)]
    laws = {
        "a": NeuralMechanism(3, seed=0),
        "b": NeuralMechanism(4, [3], seed=1),
        "c": NeuralMechanism(5, [3, 4], seed=2),
    }
    scm = SCM(graph, slots, laws).to(device)
    tables = {name: TableMechanism(law.table().detach()) for name, law in laws.items()}
    twin = SCM(graph, slots, tables).to(device)
    questions: tuple[Callable[[SCM], Tensor], ...] = (
        lambda model: model.query("c"),
        lambda model: model.do(slot="b", value=2).query("c", given={"a": 1}),
        lambda model: model.log_prob(scm.sample(200, seed=0)),
    )
    for ask in questions:
        torch.testing.assert_close(ask(scm), ask(twin), rtol=1e-4, atol=1e-6)


def test_laws_at_rest_answer_without_gradients_until_they_are_woken():
    law = NeuralMechanism.from_tensors(
        NeuralMechanism(3, [2], seed=0).settings(), NeuralMechanism(3, [2], seed=0).to_tensors()
    )
    assert not law.table().requires_grad
    assert not MAKERS["fit"]().table().requires_grad
    law.module.requires_grad_()
    assert law.table().requires_grad


def fit(codes: Tensor, parents: Tensor, weights: Tensor | None = None) -> NeuralMechanism:
    return NeuralMechanism.fit(
        codes, parents, cardinality=2, parent_cardinalities=[3], weights=weights, seed=0
    )


def loaded(**changed: object) -> NeuralMechanism:
    law = NeuralMechanism(2, [3], seed=0)
    return NeuralMechanism.from_tensors(law.settings() | changed, law.to_tensors())


def without_bias() -> NeuralMechanism:
    law = NeuralMechanism(2, [3], seed=0)
    tensors = law.to_tensors()
    del tensors["layers.0.bias"]
    return NeuralMechanism.from_tensors(law.settings(), tensors)


def with_another() -> NeuralMechanism:
    law = NeuralMechanism(2, [3], seed=0)
    return NeuralMechanism.from_tensors(
        law.settings(), law.to_tensors() | {"extra": torch.zeros(1)}
    )


ZEROS = torch.zeros(4, dtype=torch.long)
BAD: dict[str, tuple[Callable[[], object], type[CTVAEError], str]] = {
    "no codes": (
        lambda: NeuralMechanism(0, [2]),
        MechanismError,
        "cardinalities, a width and an embedding_dim of at least 1",
    ),
    "half a layer": (
        lambda: NeuralMechanism(2, [2], depth=-1),
        MechanismError,
        "a depth of at least 0, all integers; got cardinality=2, parent_cardinalities=(2,), "
        "width=64, depth=-1",
    ),
    "a float": (lambda: NeuralMechanism(2, [2], width=1.5), MechanismError, "width=1.5"),  # type: ignore[arg-type]
    "rows of other parents": (
        lambda: NeuralMechanism(2, [3, 3]).log_probs(torch.zeros(5, 1).long()),
        ShapeError,
        "parents must be (*batch, 2), got (5, 1)",
    ),
    "a number for rows": (
        lambda: NeuralMechanism(2, [3]).log_probs(torch.tensor(1)),
        ShapeError,
        "parents must be (*batch, 1), got ()",
    ),
    "rows that do not match": (
        lambda: fit(ZEROS, torch.zeros(3, 1).long()),
        MechanismError,
        "codes (rows,) and parents (rows, parents), got (4,) and (3, 1)",
    ),
    "a code outside": (
        lambda: fit(ZEROS + 2, ZEROS[:, None]),
        CTVAEError,
        "value 2 is outside the codebook of slot 'child' (codes 0..1)",
    ),
    "a parent outside": (
        lambda: fit(ZEROS, ZEROS[:, None] + 3),
        CTVAEError,
        "value 3 is outside the codebook of slot 'parent 0' (codes 0..2)",
    ),
    "no rows": (
        lambda: fit(ZEROS[:0], ZEROS[:0, None]),
        MechanismError,
        "a network is learned from rows that count, got none of 0",
    ),
    "no row that counts": (
        lambda: fit(ZEROS, ZEROS[:, None], torch.zeros(4)),
        MechanismError,
        "got none of 4; a TableMechanism is uniform without rows",
    ),
    "a negative weight": (
        lambda: fit(ZEROS, ZEROS[:, None], torch.tensor([1.0, 1.0, -1.0, 1.0])),
        MechanismError,
        "finite and not negative",
    ),
    "a weight too few": (
        lambda: fit(ZEROS, ZEROS[:, None], torch.ones(3)),
        MechanismError,
        "weights must be (4,), one per row, finite and not negative; got (3,)",
    ),
    "a file of other sizes": (
        lambda: loaded(width=32),
        FormatError,
        "has shape (64, 16), expected (32, 16)",
    ),
    "a file with a size that is none": (
        lambda: loaded(heads=3),
        FormatError,
        "a saved network has the sizes cardinality, parent_cardinalities, width, depth",
    ),
    "a file that lacks a parameter": (without_bias, FormatError, "'layers.0.bias' is missing"),
    "a file with one too many": (with_another, FormatError, "tensors ['extra'] belong to no"),
    "no epochs": (lambda: FitSettings(epochs=0), MechanismError, "epochs must be an integer"),
    "half a batch": (
        lambda: FitSettings(batch_size=0.5),  # type: ignore[arg-type]
        MechanismError,
        "batch_size must be an integer of at least 1, got 0.5",
    ),
    "no learning rate": (
        lambda: FitSettings(learning_rate=0),
        MechanismError,
        "learning_rate must be positive, got 0; 3e-3 is usual",
    ),
    "growth": (
        lambda: FitSettings(weight_decay=-0.1),
        MechanismError,
        "weight_decay must be zero or more, got -0.1",
    ),
    "all held out": (
        lambda: FitSettings(validation_fraction=1.0),
        MechanismError,
        "validation_fraction must be in [0, 1), got 1.0",
    ),
}


@pytest.mark.parametrize(("wrong", "error", "told"), BAD.values(), ids=BAD.keys())
def test_what_is_wrong_is_told(wrong, error, told):
    with pytest.raises(error, match=re.escape(told)):
        wrong()
