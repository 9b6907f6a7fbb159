"""Predictors: local models, served models, baselines and predictions files."""
