"""Our tables as mechanisms of DoWhy's gcm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from ctvae.errors import CodeError
from ctvae.mechanisms.interventions import Shift
from ctvae.scm import SCM
from tests.oracles import assert_counts_follow, enumerate_joint
from tests.strategies import SCMS

gcm = pytest.importorskip("dowhy.gcm", reason="DoWhy is not installed (ctvae[interop])")


@contextmanager
def gcm_seed(seed: int) -> Iterator[None]:
    """gcm draws from NumPy's global generator; this seeds it and puts it back."""
    before = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(seed)  # noqa: NPY002
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


def reversed_names() -> SCM:
    """The names sort against the columns, and all sizes differ."""
    edges = [("z", "y"), ("z", "x"), ("y", "x"), ("x", "w")]
    sizes = {"z": 2, "y": 3, "x": 4, "w": 5}
    return SCM.from_edges(edges, cardinality=sizes, concentration=1.0, seed=0)


def assert_rows_follow(rows: np.ndarray, law: np.ndarray) -> None:
    cells = np.ravel_multi_index(tuple(rows.T), law.shape)
    assert_counts_follow(np.bincount(cells, minlength=law.size), law)


@pytest.mark.statistical
@pytest.mark.parametrize("make", [reversed_names, SCMS["zeros in tables"], SCMS["isolated slots"]])
def test_samples_follow_the_joint(make):
    scm = make()
    with gcm_seed(1):
        rows = gcm.draw_samples(scm.to_gcm(), num_samples=40_000)
    assert set(rows.columns) == set(scm.slots.names)
    assert_rows_follow(rows[list(scm.slots.names)].to_numpy(), enumerate_joint(scm))


@pytest.mark.statistical
def test_samples_of_an_intervened_world_follow_its_law():
    world = reversed_names().do({"y": 2})
    with gcm_seed(2):
        rows = gcm.draw_samples(world.to_gcm(), num_samples=40_000)
    assert_rows_follow(rows[list(world.slots.names)].to_numpy(), enumerate_joint(world))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("slot", "rule", "done"),
    [
        ("y", lambda _: 2, 2),
        ("z", lambda _: 1, 1),
        ("x", lambda value: (value + 1) % 4, Shift(1, wrap=True)),
    ],
)
def test_gcms_interventions_agree_with_our_exact_law(slot, rule, done):
    scm = reversed_names()
    with gcm_seed(3):
        rows = gcm.interventional_samples(
            scm.to_gcm(), {slot: rule}, num_samples_to_draw=40_000
        )  # fmt: skip
    law = scm.do({slot: done}).query(list(scm.slots.names)).numpy()
    assert_rows_follow(rows[list(scm.slots.names)].to_numpy(), law)


def test_fit_leaves_the_tables_as_they_are():
    scm = reversed_names()
    model = scm.to_gcm()
    with gcm_seed(4):
        before = gcm.draw_samples(model, num_samples=100)
    gcm.fit(model, before)
    with gcm_seed(4):
        after = gcm.draw_samples(model, num_samples=100)
    assert (before == after).all(axis=None)


def test_a_value_that_is_no_code_is_refused_and_not_read_as_one():
    model = reversed_names().to_gcm()
    for value in (-1, 3, 0.5, float("nan")):
        with gcm_seed(5), pytest.raises(CodeError, match="which is no code"):
            gcm.interventional_samples(model, {"y": lambda _, v=value: v}, num_samples_to_draw=10)
