"""Statistics of evaluations: bootstrap intervals, aggregation and paired comparison."""
