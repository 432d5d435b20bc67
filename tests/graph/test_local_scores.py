"""Scores in searches: BIC of tables and Gaussian BIC, against definitions and causal-learn."""

from __future__ import annotations

import io
import math
import warnings
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import pytest
import torch

from ctvae.errors import DataError
from ctvae.graph import (
    BIC,
    BOSS,
    FCI,
    GES,
    BDeu,
    BICScores,
    CausalGraph,
    FisherZ,
    GaussianBIC,
    GraphKind,
    GRaSP,
    OrderMCMC,
    learn_continuous_graph,
    learn_graph,
)


def linear_data(seed: int, variables: int, rows: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    weights = np.triu(rng.uniform(0.4, 1, (variables, variables)), 1)
    weights *= np.triu(rng.random((variables, variables)) < 0.4, 1)
    data = np.zeros((rows, variables))
    for k in range(variables):
        data[:, k] = data @ weights[:, k] + rng.normal(size=rows)
    return torch.from_numpy(data[:, rng.permutation(variables)])


def their_ges(data: torch.Tensor) -> np.ndarray:
    from causallearn.search.ScoreBased.GES import ges

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = ges(data.numpy(), score_func="local_score_BIC")
    return CausalGraph.from_causallearn(found["G"].graph).to_numpy()


def test_gaussian_bic_is_the_likelihood_of_a_regression(device):
    data = linear_data(0, 5, 200)
    scores = GaussianBIC(penalty_discount=2.0).bind(data.to(device)).scores
    sets = [(), (0,), (3, 1), (0, 1, 3, 4)]
    found = scores.batch(2, sets)
    centred = (data - data.mean(0)).numpy()
    for value, parents in zip(found.tolist(), sets, strict=True):
        fit = np.linalg.lstsq(centred[:, list(parents)], centred[:, 2], rcond=None)[0]
        left = ((centred[:, 2] - centred[:, list(parents)] @ fit) ** 2).mean()
        price = (len(parents) + 1) * math.log(200)
        assert value == pytest.approx(-100 * (1 + math.log(left)) - price)


def test_gaussian_ges_equals_the_stored_output_of_causal_learn(shared_data):
    folder = shared_data / "causal_learn_tests"
    data = torch.from_numpy(np.loadtxt(folder / "data_linear_10.txt.gz", skiprows=1))
    stored = np.loadtxt(folder / "linear_10_ges_local_score_BIC_none_none.txt")
    found = learn_continuous_graph(data, method=GES(score=GaussianBIC()))
    np.testing.assert_array_equal(found.raw.graph.to_causallearn().graph, stored)
    assert found.num_differences == 0


@pytest.mark.parametrize("seed", range(6))
def test_gaussian_ges_equals_causal_learn_on_random_models(seed):
    data = linear_data(seed, 7, 600)
    found = learn_continuous_graph(data, method=GES(score=GaussianBIC())).raw.graph
    np.testing.assert_array_equal(found.to_numpy(), their_ges(data))


def test_gaussian_fci_equals_causal_learn(shared_data):
    """To the last mark; the stored output is older and has three tails for three circles."""
    from causallearn.search.ConstraintBased.FCI import fci

    folder = shared_data / "causal_learn_tests"
    data = np.loadtxt(folder / "data_linear_10.txt.gz", skiprows=1)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        theirs = fci(data, "fisherz", 0.05, show_progress=False)[0].graph
    found = learn_continuous_graph(torch.from_numpy(data), method=FCI(alpha=0.05, test=FisherZ()))
    assert found.raw.graph.kind is GraphKind.PAG
    ours = found.raw.graph.to_causallearn().graph
    np.testing.assert_array_equal(ours, theirs)
    assert found.num_differences == 0
    stored = np.loadtxt(folder / "linear_10_fci_fisherz_0.05.txt")
    assert np.argwhere(ours != stored).tolist() == [[7, 8], [7, 13], [7, 18]]
    np.testing.assert_array_equal(ours != 0, stored != 0)


@pytest.mark.parametrize("method", [BOSS(score=GaussianBIC()), GRaSP(score=GaussianBIC())])
def test_searches_by_orders_find_the_class_of_a_linear_model(method):
    noise = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0)).double()
    a, b = noise[:, 0], noise[:, 1]
    c = a + b + noise[:, 2]
    data = torch.stack([a, b, c, c + noise[:, 3]], 1)
    found = learn_continuous_graph(data, ["a", "b", "c", "d"], method=method).raw.graph
    assert found == CausalGraph.from_edges([("a", "c"), ("b", "c"), ("c", "d")])


@pytest.mark.parametrize("method", [GES(score=BIC()), BOSS(score=BIC()), GRaSP(score=BIC())])
def test_bic_of_tables_in_searches(method, device):
    rng = np.random.default_rng(0)
    a, b = rng.integers(3, size=3000), rng.integers(2, size=3000)
    c = (a + b + (rng.random(3000) < 0.2)) % 4
    codes = torch.from_numpy(np.stack([a, b, 2 * c], 1)).to(device)  # codes 1, 3, 5 never occur
    result = learn_graph(codes, method=method)
    assert result.graph.directed == {("slot0", "slot2"), ("slot1", "slot2")}
    gain = result.evidence("slot0", "slot2").score_gain
    seen = BICScores(codes.cpu() // torch.tensor([1, 1, 2]), [3, 2, 4])
    assert gain == pytest.approx(float(seen.local(2, [0, 1]) - seen.local(2, [1])))


FLOATS = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
BAD: dict[str, Any] = {
    "BDeu of floats": (lambda: learn_continuous_graph(FLOATS, method=GES()), "GaussianBIC"),
    "BIC of floats": (lambda: learn_continuous_graph(FLOATS, method=BOSS(score=BIC())), "floats"),
    "codes": (lambda: learn_graph((FLOATS > 0).long(), method=GES(score=GaussianBIC())), "BDeu"),
    "sum": (
        lambda: learn_continuous_graph(FLOATS[:, [0, 1, 0]], method=GES(score=GaussianBIC())),
        "sum of the others",
    ),
    "few rows": (
        lambda: learn_continuous_graph(FLOATS.reshape(-1, 20), method=GES(score=GaussianBIC())),
        "fewer rows",
    ),
    "no estimate": (
        lambda: learn_continuous_graph(FLOATS, method=OrderMCMC()),  # type: ignore[arg-type]
        r"object with estimate\(\)",
    ),
    "discount": (lambda: GaussianBIC(penalty_discount=0.0), "above 0"),
    "size": (lambda: BDeu(equivalent_sample_size=0.0), "above 0 rows"),
}


@pytest.mark.parametrize("case", BAD, ids=BAD.keys())
def test_wrong_scores_are_refused(case):
    call, text = BAD[case]
    with pytest.raises(DataError, match=text):
        call()
