"""The base of every settings object: frozen, with no unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

__all__ = ["Settings"]


class Settings(BaseModel):
    """Frozen settings that refuse unknown keys, so that a typo fails before a night of training."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
