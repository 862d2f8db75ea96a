"""Rows of a file become requests: in the order of the file, in batches, as JSON can say them."""

from datetime import date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raypipe.app.ask import BYTES, ROWS, Batch, Connection, as_json, batches, pieces
from raypipe.errors import ClusterError, UsageError
from raypipe.stages.serving.processes import free_ports


def test_what_json_has_no_form_for_travels_as_text_or_not_at_all():
    table = pa.table(
        {
            "day": [date(2024, 2, 29), None],
            "at": [datetime(2024, 2, 29, 12, 30), None],
            "moment": pa.array([datetime(2024, 2, 29, 12), None], pa.timestamp("us", "UTC")),
            "price": [Decimal("1.50"), None],
            "carrier": pa.array(["AA", None]).dictionary_encode(),
            "wind": [1.5, None],
            "flag": [True, None],
            "list": [[1], None],
            "bytes": [b"a", None],
        }
    )
    assert as_json(table) == {
        "day": ["2024-02-29", None],
        "at": ["2024-02-29 12:30:00.000000", None],
        "moment": ["2024-02-29 12:00:00.000000Z", None],
        "price": ["1.50", None],
        "carrier": ["AA", None],
        "wind": [1.5, None],
        "flag": [True, None],
    }


@given(
    units=st.lists(st.none() | st.sampled_from("abc"), min_size=1, max_size=60),
    times=st.integers(1, 40),
)
def test_each_row_is_asked_once_with_the_rows_of_its_unit(units, times):
    table = pa.table({"unit": pa.array(units * times, pa.string())})
    found = list(batches(table, "unit"))
    assert sorted(row for batch in found for row in batch.rows) == list(range(table.num_rows))
    for batch in found:
        assert {table["unit"][row].as_py() for row in batch.rows} == {batch.unit}
        assert len(batch.rows) <= ROWS
        assert list(batch.rows) == sorted(batch.rows)


@given(sizes=st.lists(st.sampled_from([1, BYTES // 3, BYTES // 2, 2 * BYTES]), min_size=1))
def test_rows_that_are_large_are_asked_in_more_requests(sizes):
    texts = ["x" * size for size in sizes]
    found = list(pieces(Batch(rows=range(len(sizes)), unit="a"), {"text": texts}))
    assert [row for batch, _ in found for row in batch.rows] == list(range(len(sizes)))
    for batch, rows in found:
        assert orjson.loads(orjson.dumps(rows)) == [{"text": texts[row]} for row in batch.rows]
        assert batch.unit == "a"
        assert len(rows) == 1 or len(orjson.dumps(rows)) <= BYTES + len(rows) + 1


def test_without_a_unit_rows_are_asked_as_they_stand():
    found = list(batches(pa.table({"x": range(2 * ROWS + 1)}), None))
    assert [(batch.rows[0], len(batch.rows)) for batch in found] == [
        (0, ROWS),
        (ROWS, ROWS),
        (2 * ROWS, 1),
    ]
    assert {batch.unit for batch in found} == {None}


def test_a_unit_that_is_a_number_is_told_as_text():
    assert [batch.unit for batch in batches(pa.table({"n": [7, 8]}), "n")] == ["7", "8"]


def test_a_file_without_rows_is_told():
    with pytest.raises(UsageError, match="the file has no rows"):
        list(batches(pa.table({"x": pa.array([], pa.int64())}), None))


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://a", "http://", "http://a:b"])
def test_an_address_that_is_none_is_told(url):
    with pytest.raises(UsageError, match="is no address of a gateway"):
        Connection(url)


def test_a_gateway_that_is_not_there_is_told_with_where_it_was_looked_for():
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    with pytest.raises(ClusterError, match=f"the gateway at {url} does not answer") as refused:
        Connection(f"{url}/").get("/v2")
    assert "raypipe serve start" in refused.value.hint


@pytest.mark.parametrize("body", [b'{"detail": "Not Found"}', b"[]", b'"no"', b"<html>"])
def test_what_answers_and_is_no_gateway_is_told(body):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(ClusterError, match=r"no gateway \(status 404\)"):
            Connection(f"http://127.0.0.1:{server.server_port}").get("/v2/models/flights")
        server.shutdown()
