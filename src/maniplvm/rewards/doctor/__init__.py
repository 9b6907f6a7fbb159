"""The reward doctor: checks whether a reward is fit to train on a data set."""
