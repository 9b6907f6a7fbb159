"""Attacks from outside: servers, checkpoints, and text that is written into our outputs."""
