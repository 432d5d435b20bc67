"""The program with explicit noise: one law with the other faces, one unit in all worlds."""

from __future__ import annotations

import numpy as np
import pyro
import pytest
import torch

from ctvae.errors import EvidenceError, ShapeError
from ctvae.inference.structural import structural_model
from ctvae.mechanisms import Shift
from ctvae.randomness import scoped_seed
from tests.inference.test_interventions import WORLDS, backwards
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


def test_what_cannot_be_abducted_is_told():
    zeros = SCMS["zeros in tables"]()
    with pytest.raises(EvidenceError, match="slot 'b' that has probability zero"):
        zeros.abduct(torch.tensor([[0, 0]]))
    with pytest.raises(ShapeError, match="is shifted: its natural code was not seen"):
        backwards().do({"c": Shift(1, wrap=True)}).abduct(torch.zeros(1, 4, dtype=torch.long))
    with pytest.raises(ShapeError, match="2 worlds, one per unit; got 1"):
        backwards().do({"c": torch.tensor([0, 1])}).abduct(torch.zeros(1, 4, dtype=torch.long))
