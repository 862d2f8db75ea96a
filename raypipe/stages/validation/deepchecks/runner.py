"""Runs deepchecks on a sample, in an environment of its own: knows nothing of raypipe.

    python runner.py JOB.json

Each line of the job's `results` file is a JSON object: a check that begins, then what it came to.
So whoever waits knows which check was at work, should this process be killed.
"""

import ctypes
import json
import math
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

LONGEST = 100
"""Items of a list or a table that are kept of a check's value."""
LETTERS = 500
"""Letters of a text that are kept."""
NEITHER = "the validation sample has no rows"
NO_FEATURE = "checks can read none of the features"
COMPARES_ROWS = {"DataDuplicates", "ConflictingLabels", "TrainTestSamplesMix"}
"""Checks of equal rows: where no feature is left they crash, or take all rows for the same."""


def main(job_file: str) -> None:
    """Run the checks that a job names."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    _end_with_parent(job["parent"])
    limit = job["memory_mb"] * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    results = Path(job["results"])
    with results.open("a", encoding="utf-8") as file:

        def tell(record: dict[str, Any]) -> None:
            file.write(json.dumps(record, allow_nan=False) + "\n")
            file.flush()

        run_job(job, tell)


def _end_with_parent(parent: int) -> None:
    """Let the kernel end this process when the one that waits for it is gone."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("whoever asked is gone")


def run_job(job: dict[str, Any], tell: Any) -> None:
    """Run the checks one after the other, and write the page of what they drew."""
    import deepchecks
    import pandas as pd

    pd.set_option("mode.chained_assignment", None)
    deepchecks.set_verbosity(40)
    tell({"event": "version", "deepchecks": deepchecks.__version__})
    train, test = (read(job[name]) for name in ("train", "validation"))
    left_out = unfit(train, job, tell)
    empty = {c for c in train.columns if len(test) and bool(test[c].isna().all())}
    datasets = {
        "data_integrity": (dataset(train, job, left_out),),
        "train_test_validation": (
            dataset(train, job, left_out | empty),
            dataset(test, job, left_out | empty) if len(test) else None,
        ),
    }
    done = [run_check(asked, datasets[asked["suite"]], tell) for asked in job["checks"]]
    write_page([result for result in done if result is not None], job["page"])
    tell({"event": "done"})


# --- rows -----------------------------------------------------------------------------------------


def read(file: str) -> Any:
    """Read a sample as columns of the kinds that every check understands."""
    import pandas as pd
    import pyarrow.parquet as pq

    table = pq.read_table(file)
    frame = table.to_pandas(timestamp_as_object=False, date_as_object=False)
    return pd.DataFrame({name: plain(frame[name]) for name in frame.columns}, index=frame.index)


def plain(values: Any) -> Any:
    """Return a column without infinities, decimals, and what else checks stumble over."""
    import decimal

    import numpy as np
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object)
    if pd.api.types.is_float_dtype(values.dtype):
        return values.astype("float64").replace([np.inf, -np.inf], np.nan)
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        naive = values.dt.tz_convert("UTC").dt.tz_localize(None) if values.dt.tz else values
        return naive.astype("datetime64[ns]")
    if values.dtype == object:
        known = values.dropna()
        if len(known) and known.map(lambda one: isinstance(one, decimal.Decimal)).all():
            return values.map(lambda one: np.nan if one is None else float(one)).astype("float64")
        if len(known) and known.map(lambda one: isinstance(one, bool)).all():
            return values.map(lambda one: None if one is None else str(one)).astype(object)
    return values


def unfit(train: Any, job: dict[str, Any], tell: Any) -> set[str]:
    """Return the features that no check can read: lists and the like, and those without a value."""
    out = {}
    for name in job["features"]:
        known = train[name].dropna()
        if not len(known):
            out[name] = "it has no value in the sample"
        elif train[name].dtype == object and not isinstance(known.iloc[0], str):
            out[name] = f"checks cannot read values such as {type(known.iloc[0]).__name__}"
        elif str(train[name].dtype).startswith("timedelta"):
            out[name] = "checks cannot read durations"
    for name, why in out.items():
        tell({"event": "left_out", "column": name, "reason": why})
    return set(out)


def dataset(frame: Any, job: dict[str, Any], left_out: set[str]) -> Any:
    """Return what checks are given; a label named `y` gets another name, which one of them uses."""
    from deepchecks.tabular import Dataset

    label = job["label"]
    if label == "y":
        label = next(n for n in ("label", "label_y", "label_of_y") if n not in frame.columns)
        frame = frame.rename(columns={"y": label})
    if label is not None:
        frame = frame[frame[label].notna()]
    kept = [name for name in job["features"] if name not in left_out]
    others = [name for name in (label, job["index"], job["datetime"]) if name]
    return Dataset(
        frame[list(dict.fromkeys([*kept, *others]))].reset_index(drop=True),
        label=label,
        label_type=job["task"] if label else None,
        features=kept,
        cat_features=[name for name in job["categories"] if name not in left_out],
        index_name=job["index"],
        datetime_name=job["datetime"],
    )


# --- checks ---------------------------------------------------------------------------------------


def run_check(asked: dict[str, Any], datasets: tuple[Any, ...], tell: Any) -> Any:
    """Run one check and tell what it came to; return what it drew, None where it did not run."""
    from deepchecks.core import CheckFailure
    from deepchecks.core.errors import DeepchecksBaseError

    told = {"event": "check", "check": asked["check"], "suite": asked["suite"]}
    tell({**told, "event": "begin"})
    if datasets[-1] is None:
        tell({**told, "status": "not_applicable", "reason": NEITHER})
        return None
    if asked["check"] in COMPARES_ROWS and not datasets[0].features:
        tell({**told, "status": "not_applicable", "reason": NO_FEATURE})
        return None
    check = None
    try:
        check = make_check(asked)
        result = check.run(*datasets)
        tell({**told, **said(result)})
    except DeepchecksBaseError as error:
        tell({**told, "status": "not_applicable", "reason": _reason(error, named=False)})
        return check and CheckFailure(check, error)
    except Exception as error:
        tell({**told, "status": "crashed", "reason": _reason(error, named=True)})
        return check and CheckFailure(check, error)
    return result


def _reason(error: BaseException, *, named: bool) -> str:
    text = " ".join(str(error).split())[:LETTERS]
    if isinstance(error, MemoryError):
        return f"the memory that it may have was not enough. {text}".strip()
    return f"{type(error).__name__}: {text}" if named else text or type(error).__name__


def make_check(asked: dict[str, Any]) -> Any:
    """Return a check with its usual conditions, or with those that are asked for."""
    from deepchecks.tabular import checks, suites

    usual = getattr(suites, asked["suite"])().checks.values()
    kind = getattr(checks, asked["check"])
    check = next((one for one in usual if type(one) is kind), None) or kind()
    for name, value in asked["parameters"].items():
        if not hasattr(check, name):
            raise ValueError(f"it has no parameter {name!r}")
        setattr(check, name, value)
    if asked["conditions"] is not None:
        check.clean_conditions()
        for name, arguments in asked["conditions"].items():
            add = getattr(check, f"add_condition_{name}", None)
            if add is None:
                raise ValueError(f"it has no condition {name!r}; it has {conditions_of(check)}")
            add(**arguments)
    return check


def conditions_of(check: Any) -> list[str]:
    """Return the conditions that a check can have."""
    start = "add_condition_"
    return sorted(name[len(start) :] for name in dir(check) if name.startswith(start))


def said(result: Any) -> dict[str, Any]:
    """Return what a check that ran came to."""
    conditions = [
        {
            "name": one.name,
            "status": one.category.value.lower(),
            "details": " ".join(one.details.split()),
        }
        for one in result.conditions_results
    ]
    found = {one["status"] for one in conditions}
    status = "failed" if found & {"fail", "error"} else "warning" if "warn" in found else "passed"
    return {
        "status": status,
        "header": result.get_header(),
        "conditions": conditions,
        "value": as_json(result.value),
    }


def as_json(value: Any) -> Any:
    """Return a check's value as JSON can say it: tables as rows, what is long cut off."""
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return [as_json(row) for row in value.head(LONGEST).reset_index().to_dict("records")]
    if isinstance(value, pd.Series):
        return {str(k): as_json(v) for k, v in value.head(LONGEST).items()}
    if isinstance(value, dict):
        return {str(k): as_json(v) for k, v in list(value.items())[:LONGEST]}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, list | tuple | np.ndarray):
        return [as_json(one) for one in list(value)[:LONGEST]]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value)[:LETTERS]


def write_page(results: list[Any], page: str) -> None:
    """Write what checks drew as one file, which asks for nothing from outside."""
    from deepchecks.core.suite import SuiteResult

    SuiteResult("Checks", results).save_as_html(page, as_widget=False)


if __name__ == "__main__":
    main(sys.argv[1])
