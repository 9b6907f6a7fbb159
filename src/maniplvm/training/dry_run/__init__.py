"""Checks of a training run before any weights are loaded."""
