"""Tasks that the verifier cannot judge, by its own measure.

In these tasks the expert wins by shaking or by letting slip, and following its path does not do it
again: of twenty references fewer than seven in ten succeed (`benchmarks/execution.py` measures it,
`results/execution.json` holds the figures). A failure there says little about a trace, so
leave these tasks out of a reward and of a success rate.
"""

UNRELIABLE_TASKS = frozenset(
    {
        "dial-turn-v3",
        "handle-pull-side-v3",
        "handle-pull-v3",
        "lever-pull-v3",
        "peg-unplug-side-v3",
        "pick-out-of-hole-v3",
        "soccer-v3",
    }
)
"""Names of the tasks, in any world."""
