"""Scores: pure functions of tensors."""

from ctvae.metrics.disentanglement import (
    Alignment,
    align_codes,
    exactly_one_changed,
    information_matrix,
    match_slots,
    slots_changed,
)
from ctvae.metrics.retrieval import (
    CalibrationCurve,
    calibration_band,
    calibration_curve,
    calibration_error,
)

__all__ = [
    "Alignment",
    "CalibrationCurve",
    "align_codes",
    "calibration_band",
    "calibration_curve",
    "calibration_error",
    "exactly_one_changed",
    "information_matrix",
    "match_slots",
    "slots_changed",
]
