"""Generated parts of the documentation, from `results/`: tables, numbers and figures."""
