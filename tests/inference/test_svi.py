"""Networks from incomplete rows, against missing entries summed out by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

import ctvae as ct
from ctvae.errors import GraphError, MechanismError, RegimeError, ShapeError, StateSpaceError
from ctvae.inference.guides import Proposals
from ctvae.inference.svi import Amortised, Enumerated, fit_svi
from ctvae.inference.svi_bounds import Batch, Family, importance_loss, log_evidence_loss
from ctvae.mechanisms import Mechanism
from ctvae.mechanisms.neural_training import FitSettings
from ctvae.scm import SCM
from ctvae.slots import SlotSpace

SIZES = (2, 3, 4, 2)
PARENTS: dict[str, tuple[int, ...]] = {"a": (), "b": (0,), "c": (0, 1), "d": (2,)}
SLOTS = SlotSpace(ct.Slot(name, size) for name, size in zip(PARENTS, SIZES, strict=True))
QUICK = FitSettings(epochs=60, batch_size=200, learning_rate=1e-2, weight_decay=0.0)


def networks(seed: int = 0) -> dict[str, ct.NeuralMechanism]:
    """A network for each slot, its weights at random."""
    return {
        name: ct.NeuralMechanism(SIZES[k], [SIZES[p] for p in parents], seed=seed + k)
        for k, (name, parents) in enumerate(PARENTS.items())
    }


def families(laws: dict[str, Mechanism], observed: Tensor) -> tuple[Family, ...]:
    complete = observed.all(0).tolist()
    return tuple(
        Family(k, parents, laws[name], complete[k])
        for k, (name, parents) in enumerate(PARENTS.items())
    )


def rows_with_gaps(device: torch.device, count: int = 12) -> Batch:
    """Rows of which any entry may be missing, and observed ones may have been set by do."""
    generator = torch.Generator().manual_seed(7)
    codes = torch.stack([torch.randint(k, (count,), generator=generator) for k in SIZES], 1)
    observed = torch.rand(count, 4, generator=generator) < 0.6
    observed[:, 1] = True  # one slot that is never missing
    natural = (torch.rand(count, 4, generator=generator) < 0.7) | ~observed
    return Batch(codes.to(device), observed.to(device), natural.to(device))


def by_hand(laws: dict[str, Mechanism], batch: Batch) -> Tensor:
    """The mean negative log-evidence, a sum over the joint codes of whatever is missing."""
    total = torch.zeros((), dtype=torch.float64, device=batch.codes.device)
    for codes, observed, natural in zip(*batch, strict=True):
        terms = []
        missing = [
            range(k) if not seen else [None] for k, seen in zip(SIZES, observed, strict=True)
        ]
        for filling in itertools.product(*missing):
            full = [int(c) if f is None else f for c, f in zip(codes, filling, strict=True)]
            log_prob = torch.zeros((), dtype=torch.float64, device=batch.codes.device)
            for k, (name, parents) in enumerate(PARENTS.items()):
                if natural[k]:
                    index = torch.tensor([full[p] for p in parents], dtype=torch.long)
                    logs = laws[name].log_probs(index.to(batch.codes.device))
                    log_prob = log_prob + logs[full[k]].double()
            terms.append(log_prob)
        total = total - torch.stack(terms).logsumexp(0)
    return total / len(batch.codes)


@pytest.mark.parametrize("done", [True, False], ids=["do", "no do"])
def test_the_enumerated_loss_is_the_log_evidence_and_so_is_its_gradient(done, device):
    laws = {name: law.to(device) for name, law in networks().items()}
    batch = rows_with_gaps(device)
    assert bool((~batch.natural).any())
    batch = batch if done else batch._replace(natural=torch.ones_like(batch.natural))
    parameters = [p for law in laws.values() for p in law.module.requires_grad_().parameters()]
    ours = log_evidence_loss(families(dict(laws), batch.observed), batch)
    expected = by_hand(dict(laws), batch)
    assert float(ours.detach()) == pytest.approx(float(expected.detach()), abs=1e-6)
    found = torch.autograd.grad(ours, parameters, allow_unused=True)
    wanted = torch.autograd.grad(expected, parameters, allow_unused=True)
    for mine, theirs in zip(found, wanted, strict=True):
        if mine is None or theirs is None:
            assert mine is theirs
        else:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def peaked_tables(device: torch.device) -> dict[str, Mechanism]:
    """Tables of rows far from uniform, where draws from the parents alone are poor proposals."""
    scm = SCM.from_edges(
        [(list(PARENTS)[p], name) for name, parents in PARENTS.items() for p in parents],
        cardinality=dict(zip(PARENTS, SIZES, strict=True)),
        concentration=0.3,
        seed=3,
    )
    return dict(scm.to(device).mechanisms)


def test_in_double_precision_the_loss_is_exact(device):
    laws, batch = peaked_tables(device), rows_with_gaps(device)
    with torch.no_grad():
        ours = float(log_evidence_loss(families(laws, batch.observed), batch))
    assert ours == pytest.approx(float(by_hand(laws, batch)), abs=1e-10)


def test_particles_bound_the_log_evidence_from_below_and_close_the_gap(device):
    """E log mean w <= log E w: the mean of many draws, less six standard errors, is not above."""
    laws, batch = peaked_tables(device), rows_with_gaps(device)
    parts = families(laws, batch.observed)
    exact = float(by_hand(laws, batch))
    with ct.randomness.scoped_seed(0, device), torch.no_grad():
        guide = Proposals(SLOTS, 16, 4).to(device)
        few, many = (
            torch.stack([importance_loss(parts, guide, batch, count) for _ in range(draws)])
            for count, draws in ((2, 300), (2000, 20))
        )
    for losses in (few, many):
        error = float(losses.std()) / math.sqrt(len(losses))
        assert float(losses.mean()) > exact - 6 * error - 1e-6
    assert float(many.mean()) - exact < 0.05
    assert float(few.mean()) > float(many.mean()) + 0.05


def with_gaps(rows: Tensor, share: float, seed: int) -> Tensor:
    """Entries observed, the others missing completely at random."""
    return torch.rand(rows.shape, generator=torch.Generator().manual_seed(seed)) >= share


def chain_by_em(rows: Tensor, observed: Tensor, rounds: int = 200) -> Tensor:
    """The joint of a -> b -> c by EM over all 27 joint codes, one cell of each table as prior.

    It is the maximum of the likelihood of the entries that are there, up to that prior.
    """
    states = torch.cartesian_prod(*[torch.arange(3)] * 3)
    fits = (~observed[:, None] | (rows[:, None] == states)).all(-1).double()
    joint = torch.full((27,), 1 / 27, dtype=torch.float64)
    for _ in range(rounds):
        posterior = fits * joint
        counts = (posterior / posterior.sum(-1, keepdim=True)).sum(0).reshape(3, 3, 3)
        first, second, third = counts.sum((1, 2)) + 1, counts.sum(2) + 1, counts.sum(0) + 1
        pairs = second / second.sum(-1, keepdim=True)
        ends = third / third.sum(-1, keepdim=True)
        joint = ((first / first.sum())[:, None, None] * pairs[..., None] * ends).flatten()
    return joint.reshape(3, 3, 3)


@pytest.mark.parametrize(
    "posterior",
    [Enumerated(), pytest.param(Amortised(num_particles=8), marks=pytest.mark.slow)],
    ids=repr,
)
def test_laws_learned_with_gaps_explain_fresh_rows_as_exact_counts_do(posterior):
    """Held-out likelihood within .02 nats per row of tables by EM, written out above."""
    truth = SCM.from_edges(
        [("a", "b"), ("b", "c")],
        cardinality={"a": 3, "b": 3, "c": 3},
        concentration=0.5,
        seed=5,
    )
    rows, fresh = truth.sample(1500, seed=0), truth.sample(4000, seed=1)
    observed = with_gaps(rows, 0.3, seed=2)
    samples = ct.Samples(rows, truth.slots, observed=observed)
    start = {
        "a": ct.NeuralMechanism(3, seed=0),
        "b": ct.NeuralMechanism(3, [3], seed=1),
        "c": ct.NeuralMechanism(3, [3], seed=2),
    }
    before = {name: law.table().clone() for name, law in start.items()}
    chain = {"a": (), "b": (0,), "c": (1,)}
    learned = fit_svi(start, samples, chain, posterior=posterior, settings=QUICK, seed=3)
    ours = SCM(truth.graph, truth.slots, learned.mechanisms)
    by_em = chain_by_em(rows, observed)[tuple(fresh.unbind(-1))].log()
    lost = float((by_em - ours.log_prob(fresh)).mean())
    assert abs(lost) < 0.02
    assert all(torch.equal(law.table(), before[name]) for name, law in start.items())
    assert learned.bounds[-1] > learned.bounds[0]
    again = fit_svi(start, samples, chain, posterior=posterior, settings=QUICK, seed=3)
    assert all(
        torch.equal(learned.mechanisms[name].table(), again.mechanisms[name].table())
        for name in start
    )


def test_what_is_missing_at_random_does_not_bias_the_law():
    """``b`` is missing in nine of ten rows with a = 1: complete rows see a = 1 too seldom.

    P(a = 1) = .5; among complete rows it is .05 / .55 = .0909.
    """
    fair = ct.TableMechanism([0.5, 0.5])
    law = ct.TableMechanism([[0.9, 0.1], [0.2, 0.8]])
    graph = ct.CausalGraph.from_edges([("a", "b")])
    truth = SCM(graph, [ct.Slot("a", 2), ct.Slot("b", 2)], {"a": fair, "b": law})
    rows = truth.sample(6000, seed=0)
    observed = torch.ones_like(rows, dtype=torch.bool)
    kept = torch.rand(6000, generator=torch.Generator().manual_seed(1)) < 0.1
    observed[:, 1] = (rows[:, 0] == 0) | kept
    complete = observed.all(1)
    assert float(rows[complete, 0].double().mean()) == pytest.approx(0.0909, abs=0.03)
    learned = SCM.fit(
        graph, rows, slots=truth.slots, observed=observed, mechanism=ct.NeuralMechanism, seed=2
    )
    # 6,000 rows: a standard error of .0065 for a, of .023 for the 300 rows of b given a = 1.
    assert float(learned.query("a")[1]) == pytest.approx(0.5, abs=6 * 0.0065)
    assert float(learned.query("b", {"a": 1})[1]) == pytest.approx(0.8, abs=6 * 0.023)


def test_nothing_is_left_behind_in_pyro_or_the_global_generators():
    import pyro

    rows = ct.Samples(
        torch.tensor([[0, 0], [1, 1]]).repeat(30, 1),
        SlotSpace.from_cardinalities({"a": 2, "b": 2}),
        observed=torch.tensor([[True, False], [True, True]]).repeat(30, 1),
    )
    network = ct.NeuralMechanism(2, [2], seed=0)
    laws: dict[str, Mechanism] = {"a": ct.TableMechanism([0.5, 0.5]), "b": network}
    stored, state = set(pyro.get_param_store().keys()), torch.get_rng_state()
    learned = fit_svi(
        laws, rows, {"a": (), "b": (0,)}, posterior=Amortised(2), settings=FitSettings(epochs=2)
    )
    assert set(pyro.get_param_store().keys()) == stored
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(learned.mechanisms["a"].table(), laws["a"].table())  # held fixed
    found = learned.mechanisms["b"]
    assert isinstance(found, ct.NeuralMechanism)
    assert not any(parameter.requires_grad for parameter in found.parameters())


@pytest.mark.parametrize("posterior", [Enumerated(), Amortised(2)], ids=repr)
def test_a_row_impossible_under_a_law_held_fixed_is_told(posterior):
    laws: dict[str, Mechanism] = {"a": ct.TableMechanism([1.0, 0.0])}
    laws["b"] = ct.NeuralMechanism(2, [2], seed=0)
    rows = ct.Samples(
        torch.tensor([[0, 0], [1, 1]]).repeat(20, 1),
        SlotSpace.from_cardinalities({"a": 2, "b": 2}),
        observed=torch.tensor([[True, False], [True, True]]).repeat(20, 1),
    )
    with pytest.raises(MechanismError, match="impossible under a mechanism that is held fixed"):
        fit_svi(laws, rows, {"a": (), "b": (0,)}, posterior=posterior, seed=0)


def test_more_slots_with_gaps_than_enumeration_holds_are_proposed():
    """``SCM.fit`` turns to the guide by itself where ``fit_svi`` refuses to enumerate."""
    names = [f"s{k}" for k in range(22)]
    edges = list(itertools.pairwise(names))
    truth = SCM.from_edges(edges, cardinality=dict.fromkeys(names, 2), seed=0)
    rows = truth.sample(30, seed=1)
    samples = ct.Samples(rows, truth.slots, observed=with_gaps(rows, 0.3, seed=2))
    laws = {n: ct.NeuralMechanism(2, [2] * (n != "s0"), seed=0) for n in names}
    chain = {n: () if k == 0 else (k - 1,) for k, n in enumerate(names)}
    with pytest.raises(StateSpaceError, match=r"22 slots have missing entries.*Amortised"):
        fit_svi(laws, samples, chain, seed=0)
    learned = SCM.fit(truth.graph, samples, mechanism=ct.NeuralMechanism, seed=0)
    assert bool(learned.log_prob(rows).isfinite().all())


PLAIN = torch.tensor([[0, 0, 0, 0], [1, 2, 3, 1]])


def bad(**changed: object) -> dict[str, object]:
    """The arguments of a fit, some of them wrong."""
    gaps = torch.ones_like(PLAIN, dtype=torch.bool)
    gaps[0, 2] = False
    good = {
        "mechanisms": networks(),
        "rows": ct.Samples(PLAIN, SLOTS, observed=gaps),
        "parents": PARENTS,
    }
    return good | changed


SET_UNSEEN = ct.Samples(
    PLAIN,
    SLOTS,
    ct.Regime.INTERVENTIONAL,
    torch.tensor([[True, False, False, False], [False] * 4]),
    observed=torch.tensor([[False, True, True, True], [True] * 4]),
)
BAD = {
    "no network": (
        bad(mechanisms={n: ct.TableMechanism(law.table()) for n, law in networks().items()}),
        MechanismError,
        r"no mechanism is a NeuralMechanism.*learn_tables",
    ),
    "a law missing": (bad(mechanisms={"a": networks()["a"]}), MechanismError, "b"),
    "edits": (
        bad(rows=ct.Samples(PLAIN, SLOTS, ct.Regime.EDIT, torch.zeros_like(PLAIN).bool())),
        RegimeError,
        "edit",
    ),
    "set and not seen": (bad(rows=SET_UNSEEN), ShapeError, "observed must be true"),
    "no rows": (bad(rows=ct.Samples(PLAIN[:0], SLOTS)), MechanismError, "got none"),
    "a cycle": (
        bad(
            mechanisms={
                "a": ct.NeuralMechanism(2, [3], seed=0),
                **{n: law for n, law in networks().items() if n != "a"},
            },
            parents={**PARENTS, "a": (1,)},
        ),
        GraphError,
        "cycle: ",
    ),
    "a budget too small": (
        bad(posterior=Enumerated(budget=3)),
        StateSpaceError,
        r"budget 3\); posterior=Amortised",
    ),
}


@pytest.mark.parametrize(("arguments", "error", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_fitted_is_told(arguments, error, message):
    with pytest.raises(error, match=message):
        fit_svi(**arguments, seed=0)


@pytest.mark.parametrize("number", [0, -1, True, 1.5])
def test_a_guide_is_at_least_one_wide(number):
    with pytest.raises(MechanismError, match="at least 1"):
        Amortised(num_particles=number)
