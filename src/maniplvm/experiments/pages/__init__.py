"""Pages of the documentation that are made from `results/`: tables, numbers and figures."""
