"""Reader of RLDS data sets (TFRecord files), without TensorFlow."""

from maniplvm.data.readers.rlds.reader import NAME, OPTIONS, read

__all__ = ["NAME", "OPTIONS", "read"]
