"""Training: ``fit`` and its settings."""

from ctvae.training.checks import Alarm, TrainingStatus
from ctvae.training.config import (
    CodebookStage,
    DecoderStage,
    ReadingStage,
    RecombiningStage,
    TrainingConfig,
    WarmUpStage,
)
from ctvae.training.loop import Progress
from ctvae.training.published import AutoencoderStage, LayerStage, fit_autoencoder, fit_layer
from ctvae.training.trainer import History, fit

__all__ = [
    "Alarm",
    "AutoencoderStage",
    "CodebookStage",
    "DecoderStage",
    "History",
    "LayerStage",
    "Progress",
    "ReadingStage",
    "RecombiningStage",
    "TrainingConfig",
    "TrainingStatus",
    "WarmUpStage",
    "fit",
    "fit_autoencoder",
    "fit_layer",
]
