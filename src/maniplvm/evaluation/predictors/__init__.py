"""Predictors: whatever answers samples with text."""
