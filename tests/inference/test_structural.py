"""The program with explicit noise: one law with the other faces, one unit in all worlds."""

from __future__ import annotations

import numpy as np
import pyro
import pytest
import torch

from ctvae.errors import EvidenceError, ShapeError
from ctvae.inference.structural import structural_model
from ctvae.mechanisms import PerRow, Shift, Stochastic
from ctvae.randomness import scoped_seed
from tests.inference.test_counterfactual import SCMRows
from tests.inference.test_interventions import LAW_C, WORLDS, backwards
from tests.inference.test_two_worlds import ONE_WORLD
from tests.oracles import assert_counts_follow, enumerate_joint
from tests.strategies import SCMS


@pytest.mark.statistical
@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS.keys())
def test_it_has_the_law_of_the_other_faces(make, device):
    scm = make().to(device)
    batch = scm.program.batch or 1
    # Each world as many times over, where there is one per row.
    index = torch.arange(batch, device=scm.program.device).repeat(12_000 // batch)
    with scoped_seed(0, device=scm.program.device):
        values = structural_model(scm.program.rows(index), len(index))()
    codes = torch.stack([values[name] for name in scm.slots.names], 1).cpu()
    for row in range(batch):
        joint = enumerate_joint(scm, row)
        cells = np.ravel_multi_index(codes[row::batch].T.numpy(), joint.shape)
        assert_counts_follow(np.bincount(cells, minlength=joint.size), joint)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_abducted_noise_gives_back_every_unit(make, device):
    scm = make().to(device)
    seen = scm.sample(20_000, seed=1)
    noise = scm.abduct(seen, seed=2)
    codes = pyro.condition(scm.structural_model(len(seen)), data=noise)()
    assert torch.equal(torch.stack([codes[name] for name in scm.slots.names], 1), seen)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["columns against causes", "zeros in tables", "collider"])
def test_abducted_noise_of_the_population_is_gumbel_noise(name):
    """Kolmogorov-Smirnov; a false alarm in 1e-6 of runs."""
    from scipy import stats

    scm = SCMS[name]()
    noise = scm.abduct(scm.sample(20_000, seed=3), seed=4)
    tests = [values[:, code] for values in noise.values() for code in range(values.shape[1])]
    for values in tests:
        p = stats.kstest(values.numpy(), stats.gumbel_r.cdf).pvalue
        assert p > 1e-6 / len(tests)


@pytest.mark.statistical
def test_one_noise_in_two_worlds_is_the_gumbel_coupling(device):
    scm = backwards().to(device)
    seen = scm.sample(50_000, seed=5)
    noise = scm.abduct(seen, seed=6)
    world = scm.do({"d": 1})
    kept = {site: g for site, g in noise.items() if not site.startswith("d.")}
    codes = pyro.condition(world.structural_model(len(seen)), data=kept)()
    twin = scm.twin({"d": 1})
    for name in "abc":
        law = twin.query([name, name + "'"]).cpu().numpy()
        pairs = torch.stack([seen[:, scm.slots.index(name)], codes[name]]).cpu().numpy()
        counts = np.bincount(np.ravel_multi_index(pairs, law.shape), minlength=law.size)
        assert_counts_follow(counts, law)


@pytest.mark.statistical
@pytest.mark.parametrize("world", ONE_WORLD)
def test_one_noise_in_two_worlds_is_one_unit_whatever_is_done(world, device):
    """Also an experiment: what it draws is not the unit's, and its noise is not abducted."""
    natural = backwards().to(device)
    seen = natural.sample(50_000, seed=7)
    noise = natural.abduct(seen, seed=8)
    done = dict(WORLDS[world]().interventions)
    model = natural.do(done).structural_model(len(seen))
    with scoped_seed(0, device=natural.program.device):  # for the experiment
        codes = pyro.condition(model, data=noise)()
    twin = natural.twin(done)
    for column, name in enumerate("abcd"):
        if name + "'" not in twin.slots.names:
            assert torch.equal(codes[name], seen[:, column])
            continue
        law = twin.query([name, name + "'"]).cpu().numpy()
        pairs = torch.stack([seen[:, column], codes[name]]).cpu().numpy()
        counts = np.bincount(np.ravel_multi_index(pairs, law.shape), minlength=law.size)
        assert_counts_follow(counts, law)


NOT_SHIFTED = [
    name
    for name, make in WORLDS.items()
    if all(law.response is None for law in make().program.laws)
]


@pytest.mark.parametrize("world", NOT_SHIFTED)
def test_units_of_intervened_worlds_are_given_back(world, device):
    scm = WORLDS[world]()
    index = torch.arange(scm.program.batch or 1).repeat_interleave(500)
    rows = SCMRows(scm.to(device), index).scm
    seen = rows.sample(1, seed=1)[0] if scm.program.batch else rows.sample(500, seed=1)
    noise = rows.abduct(seen, seed=2)
    codes = pyro.condition(rows.structural_model(len(seen)), data=noise)()
    assert torch.equal(torch.stack([codes[name] for name in "abcd"], 1), seen)


@pytest.mark.statistical
def test_an_experiment_tells_nothing_of_the_units_own_noise():
    """Natural codes of units that took part in an experiment follow the natural law."""
    natural = backwards()
    kinds = PerRow([Stochastic(LAW_C[0]), None], torch.arange(40_000) % 2)
    seen = natural.do({"c": kinds}).sample(1, seed=3)[0]
    noise = natural.do({"c": kinds}).abduct(seen, seed=4)
    codes = pyro.condition(natural.structural_model(len(seen)), data=noise)()
    assert torch.equal(codes["c"][1::2], seen[1::2, 2])
    law = natural.query(["c", "d"]).numpy()
    pairs = torch.stack([codes["c"][::2], codes["d"][::2]]).numpy()
    counts = np.bincount(np.ravel_multi_index(pairs, law.shape), minlength=law.size)
    assert_counts_follow(counts, law)
    same = (codes["c"][::2] == seen[::2, 2]).double().mean()
    chance = sum(float(LAW_C[0, c] * law[c].sum()) for c in range(4))
    assert abs(float(same) - chance) < 6 * (0.25 / 20_000) ** 0.5


def test_what_cannot_be_abducted_is_told():
    zeros = SCMS["zeros in tables"]()
    with pytest.raises(EvidenceError, match="slot 'b' that has probability zero"):
        zeros.abduct(torch.tensor([[0, 0]]))
    with pytest.raises(ShapeError, match="is shifted: its natural code was not seen"):
        backwards().do({"c": Shift(1, wrap=True)}).abduct(torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(ShapeError, match="2 worlds, one per unit; got 1"):
        backwards().do({"c": torch.tensor([0, 1])}).abduct(torch.zeros(1, 4, dtype=torch.long))
