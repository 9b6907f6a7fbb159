"""Reader of UMD Part Affordance."""

from maniplvm.data.readers.umd.reader import NAME, OPTIONS, read

__all__ = ["NAME", "OPTIONS", "read"]
