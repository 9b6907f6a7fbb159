"""Reader of LeRobot data sets, v2.0 to v3.0."""

from maniplvm.data.readers.lerobot.reader import NAME, OPTIONS, read

__all__ = ["NAME", "OPTIONS", "read"]
