"""What is published of accepted captures."""

import pyarrow as pa

from raypipe.app.captured import without
from raypipe.values.feedback import Captured


def captured(*numbers: int, requests: str) -> Captured:
    rows = pa.table({"number": list(numbers)})
    names, labels = tuple(requests), ("true",) * len(numbers)
    return Captured(rows=rows, requests=names, labels=labels, into="local://m/main")


def test_what_another_capture_gave_the_data_is_left_out_by_request_or_by_key():
    first, second = captured(1, 2, requests="ab"), captured(1, 2, 3, 4, requests="axcd")
    left = without(second, [first], ["number"])
    assert (left.rows["number"].to_pylist(), left.requests) == ([3, 4], ("c", "d"))
    assert without(second, [first], []).requests == ("x", "c", "d")
    assert without(second, [], ["number"]) is second
