"""Reward functions that the trainer calls."""
