"""The training run: trainers, callbacks, checkpoints and the run folder."""
