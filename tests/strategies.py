"""Hypothesis strategies for boxes, traces and image sizes."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

COORDINATE = st.floats(0, 2000, allow_nan=False).map(lambda value: round(value, 3))
SIZE = st.tuples(st.integers(32, 2000), st.integers(32, 2000))


@st.composite
def boxes(draw, smallest=0.5):
    x, y = draw(COORDINATE), draw(COORDINATE)
    width, height = draw(st.floats(smallest, 800)), draw(st.floats(smallest, 800))
    return np.array([x, y, x + width, y + height])


def traces(fewest=1, most=12):
    return st.integers(fewest, most).flatmap(
        lambda count: hnp.arrays(np.float64, (count, 2), elements=COORDINATE)
    )
