"""Reliability tests: how many of many faults, odd inputs and attacks the commands survive."""
