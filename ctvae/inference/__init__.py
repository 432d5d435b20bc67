"""Engines: pure questions asked of a program."""
