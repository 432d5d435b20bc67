"""Quantizers: features to integer codes, one codebook per slot."""

from ctvae.quant.base import Quantized, Quantizer, perplexity
from ctvae.quant.categorical import CategoricalSlots
from ctvae.quant.modes import Modes, find_modes, lloyd
from ctvae.quant.scalar import ScalarBins
from ctvae.quant.shared import SharedCodebooks
from ctvae.quant.vector import SlotVQ

__all__ = [
    "CategoricalSlots",
    "Modes",
    "Quantized",
    "Quantizer",
    "ScalarBins",
    "SharedCodebooks",
    "SlotVQ",
    "find_modes",
    "lloyd",
    "perplexity",
]
