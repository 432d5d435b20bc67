"""Causal models over quantized latents."""

__version__ = "0.1.0"
