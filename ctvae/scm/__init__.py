"""The structural causal model over slots: a distribution of which ``do`` gives another."""

from ctvae.scm.model import SCM

__all__ = ["SCM"]
