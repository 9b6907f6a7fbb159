"""The reward doctor: checks a reward function on a data set before training."""
