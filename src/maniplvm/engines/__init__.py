"""Adapters between this package and training engines or evaluation harnesses."""
