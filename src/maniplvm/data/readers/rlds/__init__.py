"""Reader of RLDS data sets (TFRecord files), without TensorFlow."""
