"""A user's function, as flights.yaml names it: what a timetable implies but does not say."""

import numpy as np
import pyarrow as pa

DAY = 24 * 60


def add_route(flights: pa.Table) -> np.ndarray:
    """Return two numbers a flight: its hours by local clocks, and the miles planned for each.

    A timetable with much room in it is a slow one. Both are brought near 1.
    """
    departs, arrives, miles = (
        flights[name].to_numpy().astype(float)
        for name in ("sched_dep_minute", "sched_arr_minute", "distance")
    )
    hours = np.maximum((arrives - departs) % DAY, 30) / 60
    return np.stack([hours / 10, miles / hours / 500], axis=1)
