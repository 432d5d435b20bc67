"""Options and guards that hold for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyro
import pytest
import torch

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="the device tensors live on: cpu or cuda")


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    chosen = torch.device(str(request.config.getoption("--device")))
    if chosen.type == "cuda" and not torch.cuda.is_available():
        pytest.skip("no accelerator on this machine")
    return chosen


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the data pack is not beside the checkout ({SHARED_DATA.name})")
    return SHARED_DATA


def _numpy_state() -> np.ndarray:
    return np.array(np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002


@pytest.fixture(autouse=True)
def guard_global_state() -> Iterator[None]:
    """No test, and so no call of the library, may change the state of the user's process."""
    torch_state, numpy_state = torch.get_rng_state(), _numpy_state()
    cuda_state = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    dtype, validate = torch.get_default_dtype(), torch.distributions.Distribution._validate_args
    grad, stores = torch.is_grad_enabled(), set(pyro.get_param_store().keys())
    yield
    assert torch.equal(torch.get_rng_state(), torch_state), "the global torch RNG was used"
    assert np.array_equal(_numpy_state(), numpy_state), "the global numpy RNG was used"
    for before, after in zip(
        cuda_state, torch.cuda.get_rng_state_all() if cuda_state else [], strict=True
    ):
        assert torch.equal(before, after), "the global CUDA RNG was used"
    assert torch.get_default_dtype() == dtype, "the default dtype was changed"
    assert torch.distributions.Distribution._validate_args == validate, "validation was changed"
    assert torch.is_grad_enabled() == grad, "the grad mode was changed"
    assert set(pyro.get_param_store().keys()) == stores, "Pyro's parameter store was changed"
