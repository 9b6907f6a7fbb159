"""The command lines of a run on one or many machines, and their processes."""
