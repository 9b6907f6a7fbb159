"""Training samples: selection, order and prompt rows."""
