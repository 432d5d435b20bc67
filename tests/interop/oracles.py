"""pgmpy's variable elimination, the one of its engines without a known fault."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pgmpy", reason="pgmpy is not installed (pip install ctvae[baselines])")

with warnings.catch_warnings():
    # pgmpy 1.1 warns of its own modules when it imports them.
    warnings.filterwarnings("ignore", message="`pgmpy", category=FutureWarning)
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.inference import VariableElimination
    from pgmpy.models import DiscreteBayesianNetwork
    from pgmpy.readwrite import BIFReader, BIFWriter

__all__ = ["BIFReader", "BIFWriter", "DiscreteBayesianNetwork", "TabularCPD", "eliminate"]


def eliminate(
    network: Any, asked: Sequence[str], given: Mapping[str, Any] | None = None
) -> np.ndarray:
    """P(asked | given), one axis per name asked for, by pgmpy.

    Args:
        network: A ``DiscreteBayesianNetwork``.
        asked: Names.
        given: Name to state.

    Returns:
        The table.
    """
    engine = VariableElimination(network)
    joint = engine.query(list(asked), evidence=dict(given or {}), show_progress=False)
    return joint.values.transpose([joint.variables.index(name) for name in asked])
