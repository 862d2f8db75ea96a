"""Runs the checks in a process of its own, bounded in time and memory, and reads what it tells."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from raypipe.config.deepchecks import DeepchecksConfig
from raypipe.engine.context import current
from raypipe.runtime.processes import MARK, end, marked
from raypipe.stages.validation.deepchecks.catalogue import CATALOGUE, SUITES, Known, severity_of
from raypipe.stages.validation.deepchecks.environment import (
    RUNNER,
    Environment,
    plain_environment,
)
from raypipe.stages.validation.deepchecks.page import write_page
from raypipe.stages.validation.deepchecks.sampling import HASH, Sample
from raypipe.values.checked import Check, Checked, Condition, Roles

CATEGORIES = 200
"""Distinct texts up to which a column counts as categories."""
LOOKS = 0.05
"""Seconds between two looks at the process."""
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LOKY_MAX_CPU_COUNT")


def run_checks(
    sample: Sample,
    roles: Roles,
    settings: DeepchecksConfig,
    environment: Environment,
    folder: Path,
    suites: Sequence[str] = SUITES,
) -> Checked:
    """Run all checks that apply; `folder` is where the page and what passes between lie."""
    folder.mkdir(parents=True, exist_ok=True)
    asked = _asked(settings, suites)
    rows = {"train": sample.train.num_rows, "validation": sample.validation.num_rows}
    if why := _unfit(sample, roles):
        return run_nothing(settings, suites, why, rows)
    reasons = {known.name: _inapplicable(known, roles) for known in asked}
    going = [known for known in asked if not reasons[known.name]]
    job = _job(sample, roles, settings, going, folder)
    why = _run(environment, job, folder, settings) if going else ""
    if why:  # another time it may finish; until then each run would wait for it as long
        current().expire(settings.seconds)
    told = _read(folder / "results.jsonl")
    checked = Checked(
        checks=tuple(_check(known, reasons[known.name], told, why) for known in asked),
        rows=rows,
        version=next((one["deepchecks"] for one in told if one["event"] == "version"), ""),
        unfinished=_unfinished(told, why),
        left_out={one["column"]: one["reason"] for one in told if one["event"] == "left_out"},
        page=None,
    )
    return write_page(checked, folder)


def run_nothing(
    settings: DeepchecksConfig,
    suites: Sequence[str],
    why: str,
    rows: Mapping[str, int] | None = None,
) -> Checked:
    """Return what is told of rows that cannot be checked: of each check that it did not run."""
    checks = (
        Check(name=known.name, suite=known.suite, status="not_run", reason=why)
        for known in _asked(settings, suites)
    )
    none = {"train": 0, "validation": 0}
    return Checked(checks=tuple(checks), rows=dict(rows or none), unfinished=why)


def _asked(settings: DeepchecksConfig, suites: Sequence[str]) -> list[Known]:
    return [
        known
        for known in CATALOGUE
        if known.suite in suites and severity_of(known.name, settings) != "off"
    ]


def _unfit(sample: Sample, roles: Roles) -> str:
    """Return why rows cannot be checked at all; validation says more of it."""
    columns = sample.train.column_names
    named = [name for name in (roles.label, roles.time, *roles.key) if name is not None]
    if missing := [name for name in named if name not in columns]:
        return f"the rows have no column {missing[0]!r}"
    return "" if sample.train.num_rows else "there are no train rows"


def _inapplicable(known: Known, roles: Roles) -> str:
    if known.needs == "label" and roles.label is None:
        return "no label is named"
    if known.needs == "label" and roles.task == "multilabel":
        return "deepchecks reads one label a row, not a list of them"
    if known.needs == "key" and len(roles.key) != 1:
        return "no key of one column is named"
    if known.needs == "split by time" and not (roles.in_time and roles.time):
        return "rows are not split by time"
    return ""


# --- the process ----------------------------------------------------------------------------------


def _job(
    sample: Sample,
    roles: Roles,
    settings: DeepchecksConfig,
    going: Sequence[Known],
    folder: Path,
) -> dict[str, Any]:
    """Write the sample, and return what the process is asked to do."""
    for name in ("train", "validation"):
        pq.write_table(getattr(sample, name).drop_columns([HASH]), folder / f"{name}.parquet")
    (folder / "results.jsonl").write_text("")
    key = roles.key[0] if len(roles.key) == 1 else None
    others = {roles.label, roles.time, *roles.key, *roles.aside, HASH}
    features = [name for name in sample.train.column_names if name not in others]
    parameters: Mapping[Any, Any] = settings.parameters
    conditions: Mapping[Any, Any] = settings.conditions
    return {
        "parent": os.getpid(),
        "memory_mb": settings.memory_mb,
        "train": str(folder / "train.parquet"),
        "validation": str(folder / "validation.parquet"),
        "results": str(folder / "results.jsonl"),
        "page": str(folder / "drawn.html"),
        "label": None if roles.task == "multilabel" else roles.label,
        "task": roles.task,
        "index": key,
        "datetime": roles.time,
        "features": features,
        "categories": [name for name in features if _is_category(sample.train[name])],
        "checks": [
            {
                "check": known.name,
                "suite": known.suite,
                "parameters": {**known.parameters, **parameters.get(known.name, {})},
                "conditions": conditions.get(known.name),
            }
            for known in going
        ],
    }


def _is_category(values: pa.ChunkedArray) -> bool:
    kind = values.type
    if pa.types.is_dictionary(kind) or pa.types.is_boolean(kind):
        return True
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text) and pc.count_distinct(values).as_py() <= CATEGORIES


def _run(
    environment: Environment, job: Mapping[str, Any], folder: Path, settings: DeepchecksConfig
) -> str:
    """Run the process; return why it did not come to its end, or begin."""
    try:
        running = _started(environment, job, folder)
    except OSError as error:  # of a Python that was moved, or is another machine's
        return f"its Python {str(environment.python)!r} does not start: {error.strerror}"
    return _wait(running, settings)


def _started(environment: Environment, job: Mapping[str, Any], folder: Path) -> "_Running":
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    mark = f"{os.environ.get(MARK, 'checks')}:deepchecks-{secrets.token_hex(8)}"
    variables = {
        **plain_environment(),
        MARK: mark,
        "DISABLE_DEEPCHECKS_ANONYMOUS_TELEMETRY": "true",
        "PYTHONHASHSEED": "0",
        "MPLBACKEND": "Agg",
        **dict.fromkeys(ONE_THREAD, "1"),
    }
    with (folder / "words.txt").open("wb") as words:
        process = subprocess.Popen(
            [str(environment.python), "-W", "ignore", str(RUNNER), str(folder / "job.json")],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            env=variables,
            start_new_session=True,
            cwd=folder,
        )
    return _Running(process=process, mark=mark, words=folder / "words.txt")


@dataclass(frozen=True, kw_only=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    mark: str
    words: Path


def _wait(running: _Running, settings: DeepchecksConfig) -> str:
    """Wait for the process, and end all that it started; return why it did not come to its end."""
    deadline = time.monotonic() + settings.seconds
    taken = 0
    try:
        while (code := running.process.poll()) is None:
            taken = max(taken, _taken_mb(running.process.pid))
            if time.monotonic() > deadline:
                return f"it was killed after {settings.seconds:g} s (validation.deepchecks.seconds)"
            time.sleep(LOOKS)
    finally:
        running.process.kill()
        end(lambda: marked(running.mark), patience=0)
        running.process.wait()
    if code == 0:
        return ""
    lines = running.words.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    how = f"signal {-code}" if code < 0 else f"code {code}"
    said = f": {lines[-1][:300]}" if lines else ""
    # Told whatever the last words are: Python without memory loses the very error that says so.
    memory = f"it had taken {taken:,} of the {settings.memory_mb:,} MiB that it may have"
    return f"its process ended with {how}{said} ({memory}: validation.deepchecks.memory_mb)"


def _taken_mb(pid: int) -> int:
    """Return the most memory that a process ever addressed, in MiB; 0 where no /proc tells it."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((int(one.split()[1]) // 1024 for one in lines if one.startswith("VmPeak:")), 0)


# --- what it told ---------------------------------------------------------------------------------


def _read(file: Path) -> list[dict[str, Any]]:
    """Return what was told; the last line may be torn."""
    told = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            told.append(json.loads(line))
        except ValueError:
            break
    return told


def _unfinished(told: Sequence[Mapping[str, Any]], why: str) -> str:
    if not why:
        return ""
    ended = [one["check"] for one in told if one["event"] == "check"]
    begun = [one["check"] for one in told if one["event"] == "begin"]
    at_work = f" at {begun[-1]}" if len(begun) > len(ended) else ""
    return f"deepchecks did not finish{at_work}: {why}"


def _check(known: Known, inapplicable: str, told: Sequence[Mapping[str, Any]], why: str) -> Check:
    if inapplicable:
        return Check(
            name=known.name, suite=known.suite, status="not_applicable", reason=inapplicable
        )
    mine = [one for one in told if one.get("check") == known.name]
    ended = next((one for one in mine if one["event"] == "check"), None)
    if ended is None:
        status: Any = "crashed" if mine else "not_run"
        return Check(name=known.name, suite=known.suite, status=status, reason=why)
    return Check(
        name=known.name,
        suite=known.suite,
        status=ended["status"],
        reason=ended.get("reason", ""),
        conditions=tuple(Condition(**one) for one in ended.get("conditions", ())),
        value=json.dumps(ended.get("value")),
    )
