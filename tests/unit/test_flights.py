"""The example data: joined, labelled, and nothing in it that is known only after departure."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="module")
def flights() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "flights.py"
    spec = importlib.util.spec_from_file_location("flights", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def source(flights: ModuleType) -> pa.Table:
    return flights.read_source(flights.source_folder(), "flights")


@pytest.fixture(scope="module")
def table(flights: ModuleType) -> pa.Table:
    return flights.build(flights.source_folder())


@pytest.fixture(scope="module")
def matched(flights: ModuleType, source: pa.Table, table: pa.Table) -> pa.Table:
    """What is known of each row only after departure, found again by the row's key."""
    key = flights.KEY
    after = {name: source[name] for name in flights.KNOWN_AFTER_DEPARTURE}
    known = {name: source[name] for name in key if name != "date"}
    dated = pa.table({**after, **known, "date": flights.dates(source)})
    joined = table.select(list(key)).append_column("row", pa.array(range(table.num_rows)))
    return joined.join(dated, list(key), join_type="left outer").sort_by("row")


def test_every_flight_that_arrived_is_there(table):
    assert table.num_rows == 336_776 - 9_430


def test_the_key_names_a_row(flights, table):
    assert table.group_by(list(flights.KEY)).aggregate([]).num_rows == table.num_rows


def test_the_label_is_an_arrival_more_than_15_minutes_late(table, matched):
    assert table["late"].equals(pc.greater(matched["arr_delay"], 15))
    assert pc.mean(table["late"]).as_py() == pytest.approx(0.2374, abs=0.001)


def test_no_feature_is_known_only_after_departure(flights, table, matched):
    """Neither by its name nor, however it may be named, by its values."""
    assert not set(flights.KNOWN_AFTER_DEPARTURE) & set(table.column_names)
    for name in flights.KNOWN_AFTER_DEPARTURE:
        actual = pc.cast(matched[name], pa.float64()).to_numpy()
        for column in table.column_names:
            if column == "late" or not is_number(table[column].type):
                continue
            told = pc.cast(table[column], pa.float64()).to_numpy()
            assert (told == actual).mean() < 0.2, (column, name)
            both = ~np.isnan(told)
            if name.endswith("delay") and told[both].std() > 0:
                assert abs(np.corrcoef(told[both], actual[both])[0, 1]) < 0.3, (column, name)


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def test_features_are_what_was_scheduled_forecast_and_built(table):
    """A new column must be judged: is it known before departure?"""
    assert table.column_names == [
        *("date", "month", "day", "weekday", "hour", "minute", "sched_dep_minute"),
        *("sched_arr_minute", "carrier", "flight", "tailnum", "origin", "dest", "distance"),
        *("temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure"),
        *("visib", "plane_year", "manufacturer", "model", "engines", "seats", "engine", "late"),
    ]


def test_weather_is_that_of_the_airport_and_hour(flights, table):
    weather = flights.read_source(flights.source_folder(), "weather")
    at = {
        (r["origin"], r["month"], r["day"], r["hour"]): r["temp"]
        for r in weather.filter(pc.equal(weather["month"], 2)).to_pylist()
    }
    february = table.filter(pc.equal(table["month"], 2))[:2000].to_pylist()
    told = [r["temp"] for r in february]
    assert told == [at.get((r["origin"], 2, r["day"], r["hour"])) for r in february]


def test_a_plane_is_that_of_the_tail_number(flights, table):
    planes = flights.read_source(flights.source_folder(), "planes")
    seats = dict(zip(planes["tailnum"].to_pylist(), planes["seats"].to_pylist(), strict=True))
    some = table[:3000]
    assert some["seats"].to_pylist() == [seats.get(t) for t in some["tailnum"].to_pylist()]


def test_the_clock_is_read_as_minutes_after_midnight(table):
    first = table[:1].to_pylist()[0]
    assert (first["hour"], first["minute"], first["sched_dep_minute"]) == (5, 15, 315)
    assert first["sched_arr_minute"] == 8 * 60 + 19
    assert str(first["date"]) == "2013-01-01"
    assert first["weekday"] == 2


def test_months_are_files_with_the_same_bytes_each_time(flights, table, tmp_path):
    months = flights.parse_months("6-7")
    first = flights.write_months(table, tmp_path / "a", months)
    again = flights.write_months(table, tmp_path / "b", months)

    assert [path.name for path in first] == ["2013-06.parquet", "2013-07.parquet"]
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in again]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [p.name for p in first]
    assert pc.unique(pq.read_table(first[1])["month"]).to_pylist() == [7]


def test_flights_in_snow_are_of_december_and_say_what_the_weather_was(flights, table, tmp_path):
    rows = pq.read_table(flights.write_snow(table, tmp_path / "snow.parquet"))
    assert rows.column_names == [*table.column_names, "note"]
    assert pc.unique(rows["month"]).to_pylist() == [12]
    assert pc.max(rows["temp"]).as_py() <= 33
    assert pc.max(rows["visib"]).as_py() <= 1
    first = rows.slice(0, 1).to_pylist()[0]
    assert first["note"] == f"snow: {first['temp']:g} °F, one sees {first['visib']:g} miles far"
    assert [path.name for path in tmp_path.iterdir()] == ["snow.parquet"]


@pytest.mark.parametrize("text", ["0", "7-6", "1-13", "July", ""])
def test_what_is_no_month_is_refused(flights, text):
    with pytest.raises(Exception, match="are no months"):
        flights.parse_months(text)
