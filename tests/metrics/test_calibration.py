"""Calibration error against a closed form, and its band against a model that is calibrated."""

from __future__ import annotations

import pytest
import torch

from ctvae.metrics import calibration_band, calibration_curve, calibration_error


def test_calibration_error_of_a_closed_form() -> None:
    confidence = torch.tensor([0.95] * 10 + [0.55] * 10)
    correct = torch.tensor([True] * 10 + [True] * 3 + [False] * 7)
    assert calibration_error(confidence, correct) == pytest.approx(0.5 * 0.05 + 0.5 * 0.25)
    assert int(calibration_curve(confidence, correct).size.sum()) == 20


@pytest.mark.statistical
def test_a_calibrated_model_lies_in_its_band_and_an_overconfident_one_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    confidence = 0.5 + 0.5 * torch.rand(4000, generator=generator)
    correct = torch.rand(4000, generator=generator) < confidence
    low, high = calibration_band(confidence)
    assert low <= calibration_error(confidence, correct) <= high
    assert calibration_error((confidence + 0.15).clamp(max=1), correct) > high


@pytest.mark.statistical
def test_the_band_covers_as_often_as_said() -> None:
    """400 calibrated models: a cover of .95 gives 380 +- 4.4; 340 is nine standard errors off."""
    generator = torch.Generator().manual_seed(1)
    confidence = 0.3 + 0.7 * torch.rand(300, generator=generator)
    low, high = calibration_band(confidence, simulations=4000)
    inside = 0
    for _ in range(400):
        correct = torch.rand(300, generator=generator) < confidence
        inside += low <= calibration_error(confidence, correct) <= high
    assert 340 < inside < 400


def test_the_band_is_the_same_in_any_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    confidence = torch.linspace(0.1, 1, 500)
    whole = calibration_band(confidence, simulations=300)
    monkeypatch.setattr("ctvae.metrics.calibration.CHUNK_CELLS", 5000)
    assert calibration_band(confidence, simulations=300) == pytest.approx(whole, abs=1e-12)
