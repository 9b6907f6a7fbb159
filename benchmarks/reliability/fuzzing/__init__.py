"""Fuzzing of the answer parser: a million distinct texts from a grammar of answer formats."""

from benchmarks.reliability.fuzzing.campaign import run

__all__ = ["run"]
