"""Models that users train."""

from ctvae.models.config import CTVAEConfig
from ctvae.models.ctvae import CTVAE
from ctvae.models.explanation import Explanation, ExplanationTest
from ctvae.models.naming import Naming
from ctvae.models.pictures import Edit, Pictures, World

__all__ = [
    "CTVAE",
    "CTVAEConfig",
    "Edit",
    "Explanation",
    "ExplanationTest",
    "Naming",
    "Pictures",
    "World",
]
