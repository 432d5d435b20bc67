"""Measurements: small scripts, each naming its rival and running it in the same run."""
