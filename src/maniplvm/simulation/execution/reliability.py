"""Tasks that the verifier cannot judge, by its own measure.

In these tasks the expert wins by shaking or by letting slip, and following its path does not do it
again: of twenty references fewer than seven in ten succeed (`benchmarks/execution.py` measures it,
`results/execution.json` holds the figures). A failure there says little about a trace, so
leave these tasks out of a reward and of a success rate.
"""

UNRELIABLE_TASKS = frozenset[str]()
"""Names of the tasks, in any world."""
