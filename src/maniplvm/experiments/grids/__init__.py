"""Grids of training runs: arms, seeds, stages and results."""
