"""Packages that only some users want, loaded at use."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ctvae.errors import CTVAEError

__all__ = ["load_extra"]


def load_extra(module: str, *, extra: str) -> Any:  # noqa: ANN401  # an untyped package
    """Loads a module of a package that is not among the requirements.

    Args:
        module: Its name, such as ``pgmpy.models``.
        extra: The extra of this library that installs it.

    Returns:
        The module.

    Raises:
        CTVAEError: When it cannot be loaded.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        msg = f"{package} could not be loaded ({error}); install it by pip install ctvae[{extra}]"
        raise CTVAEError(msg) from error
