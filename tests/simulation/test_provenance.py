"""Which samples come from the simulator, whatever keys a user's own provenance has."""

from dataclasses import replace

import pytest

from maniplvm.simulation.provenance import Provenance, is_simulated, task_of
from maniplvm.tasks import BoxTarget, Sample

FIELDS = {**dict.fromkeys(Provenance.__dataclass_fields__, 0), "task": "door-open-v3"}
SAMPLE = Sample("a", "affordance", "open the door", (64, 48), BoxTarget([1, 1, 9, 9]))


def test_a_sample_with_the_whole_record_is_simulated():
    sample = replace(SAMPLE, provenance=FIELDS | {"note": "mine"})
    assert is_simulated(sample)
    assert task_of(sample) == "door-open-v3"


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        {"world": "kitchen"},
        {"world": "kitchen", "task": "soccer-v3", "seed": 3},
        {name: value for name, value in FIELDS.items() if name != "camera"},
    ],
)
def test_a_sample_with_some_of_its_keys_is_not(provenance):
    sample = replace(SAMPLE, provenance=provenance)
    assert not is_simulated(sample)
    assert task_of(sample) == ""
