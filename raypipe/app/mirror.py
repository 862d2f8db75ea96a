"""A run copied to an MLflow server when it ends: parameters, curves, tags, the model version.

The copy is an effect of the outbox. The server is asked first, by a tag with the run's id, so that
a copy that was begun goes on, and one that is whole is not made again.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raypipe.app.notices import address_of
from raypipe.app.outbox import Handler
from raypipe.engine.digest import digest_bytes
from raypipe.engine.records import Effect, Metric, RunRecord, RunStatus
from raypipe.errors import EffectFailed, EffectRefused

if TYPE_CHECKING:
    from raypipe.app.assemble import Workshop
    from raypipe.store.rows import OutboxRow

OURS, WHOLE = "raypipe.run", "raypipe.copied"
"""Tags: the run that a copy is of, and the status in which all of it was copied."""
PARAMETERS, TAGS, POINTS = 100, 100, 1000
"""That MLflow takes at once."""
LONGEST, LONGEST_TAG = 500, 5000
"""Letters of a parameter's and of a tag's value that every release of MLflow takes."""
ENDS = {
    RunStatus.SUCCEEDED: "FINISHED",
    RunStatus.WAITING: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.REJECTED: "FAILED",
    RunStatus.CANCELLED: "KILLED",
}
_CLIENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # the outbox tries again
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


# --- what is copied (pure) ----------------------------------------------------------------------


def of_run(run: RunRecord, status: RunStatus) -> tuple[Effect, ...]:
    """Return what the end of a run asks for."""
    to = ((run.settings or {}).get("track") or {}).get("mlflow")
    if to is None or status not in ENDS:
        return ()
    server = digest_bytes(repr(to["uri"]).encode())[:8]
    experiment = to["experiment"] or run.pipeline
    return (
        Effect(
            key=f"mlflow:{run.id}:{status}:{server}",
            kind="mlflow",
            payload={"uri": to["uri"], "experiment": experiment, "run": run.id},
        ),
    )


def parameters(run: RunRecord) -> dict[str, str]:
    """Return settings and parameters as MLflow has them: texts, cut where they are too long."""
    from raypipe.app.compare import flat  # which reads profiles, and needs what they need

    given = (run.parameters or {}).get("parameters") or {}
    found = {_name(key): str(value)[:LONGEST] for key, value in flat(run.settings).items()}
    return found | {_name(key): str(value)[:LONGEST] for key, value in given.items()}


def tags(run: RunRecord, said: Sequence[str], notes: Sequence[str]) -> dict[str, str]:
    """Return what is known of a run beside its parameters."""
    found = {
        OURS: run.id,
        "mlflow.runName": run.id,
        "mlflow.user": run.actor.name or run.actor.user,
        "raypipe.pipeline": run.pipeline,
        "raypipe.project": run.project,
        "raypipe.status": str(run.status),
        "raypipe.code": run.code,
        **{f"raypipe.data.{_name(name)}": commit for name, commit in run.commits.items()},
        **{f"raypipe.tag.{_name(name)}": "true" for name in said},
    }
    if notes:
        found["mlflow.note.content"] = "\n\n".join(notes)
    return {key: value[:LONGEST_TAG] for key, value in found.items() if value}


def _name(text: str) -> str:
    """Return a name of letters that MLflow takes."""
    plain = "".join(one if one.isalnum() or one in "_-./ " else "_" for one in text)
    parts = (part for part in plain[:240].split("/") if part.strip(". "))
    return "/".join(parts).strip() or "_"


# --- copying ------------------------------------------------------------------------------------


def _copy(workshop: "Workshop", row: "OutboxRow") -> None:
    with _told(row):
        client, to = _client(row), row.payload
        run = workshop.ledger.get_run(to["run"])
        experiment = _experiment(client, to["experiment"])
        copies = _copies(client, experiment, run.id)
        own = copies[0].info.run_id if copies else _begin(client, experiment, run)
        _log(client, own, workshop, run)
        _model(client, own, workshop, run)
        client.set_terminated(own, ENDS[run.status], int((run.ended or time.time()) * 1000))
        client.set_tag(own, WHOLE, str(run.status))


def _is_copied(workshop: "Workshop", row: "OutboxRow") -> bool:
    with _told(row):
        client, to = _client(row), row.payload
        experiment = client.get_experiment_by_name(to["experiment"])
        if experiment is None:
            return False
        status = str(workshop.ledger.get_run(to["run"]).status)
        copies = _copies(client, experiment.experiment_id, to["run"])
        return any(one.data.tags.get(WHOLE) == status for one in copies)


def _copies(client: Any, experiment: str, run: str) -> list[Any]:
    """Return the copies of a run, the first one first."""
    asked = f"tags.`{OURS}` = '{run}'"
    return list(client.search_runs([experiment], asked, order_by=["attributes.start_time ASC"]))


def _experiment(client: Any, name: str) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return str(client.create_experiment(name))
        except MlflowException:  # another made it meanwhile
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return str(found.experiment_id)


def _begin(client: Any, experiment: str, run: RunRecord) -> str:
    made = client.create_run(experiment, int(run.created * 1000), {OURS: run.id}, run.id)
    return str(made.info.run_id)


def _log(client: Any, own: str, workshop: "Workshop", run: RunRecord) -> None:
    from mlflow.entities import Metric as Point
    from mlflow.entities import Param, RunTag

    said = workshop.ledger.remarks([run.id]).get(run.id, [])
    known = tags(
        run,
        [one.said for one in said if one.kind == "tag"],
        [one.said for one in said if one.kind == "note"],
    )
    for group in _some(list(known.items()), TAGS):
        client.log_batch(own, tags=[RunTag(key, value) for key, value in group])
    for some in _some(list(parameters(run).items()), PARAMETERS):
        client.log_batch(own, params=[Param(key, value) for key, value in some])
    points = [
        Point(_name(name), one.value, int(one.time * 1000), one.step)
        for name, one in _points(workshop, run)
    ]
    for part in _some(points, POINTS):
        client.log_batch(own, metrics=part)


def _points(workshop: "Workshop", run: RunRecord) -> Iterator[tuple[str, Metric]]:
    """Yield the points of a run's curves, of the run that made a result where it was kept."""
    ledger = workshop.ledger
    for state in ledger.run_steps(run.id):
        if "[" in state.name:  # of each trial of a sweep
            continue
        points = ledger.metrics(run.id, state.name)
        if not points and state.key and (made := ledger.result_of(state.key)) is not None:
            points = ledger.metrics(made.run, state.name)
        yield from ((f"{state.name}.{one.name}", one) for one in points)


def _model(client: Any, own: str, workshop: "Workshop", run: RunRecord) -> None:
    """Register the version that a run made, once, under its model's name."""
    from mlflow.exceptions import MlflowException

    made = [
        row
        for model in workshop.ledger.models()
        for row in workshop.ledger.versions(model)
        if row.run == run.id
    ]
    for row in made:
        if any(one.run_id == own for one in client.search_model_versions(f"name = '{row.model}'")):
            continue
        try:
            client.create_registered_model(row.model)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        about = {"raypipe.version": row.version, "raypipe.bundle": row.bundle}
        source = f"raypipe:/{row.model}/{row.version}"
        client.create_model_version(row.model, source, own, tags=about)
        client.set_tag(own, "raypipe.version", f"{row.model}@{row.version}")


def _some(items: list[Any], most: int) -> Iterator[list[Any]]:
    yield from (items[start : start + most] for start in range(0, len(items), most))


# --- the server ---------------------------------------------------------------------------------


def _client(row: "OutboxRow") -> Any:
    for name, value in _CLIENT.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise EffectRefused(
            f"a copy to MLflow needs its client, which cannot be imported: {error}",
            hint="pip install 'raypipe[mlflow]', then `raypipe outbox retry`",
        ) from None
    return MlflowClient(tracking_uri=address_of(row.payload["uri"], "track.mlflow"))


@contextmanager
def _told(row: "OutboxRow") -> Iterator[None]:
    """Tell what MLflow says in raypipe's words."""
    try:
        yield
    except Exception as error:
        if not _of_mlflow(error):
            raise
        uri = row.payload["uri"]
        to = urlsplit(uri).netloc.rpartition("@")[2] if isinstance(uri, str) else f"${uri['env']}"
        first = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise EffectFailed(f"MLflow at {to} did not take the run: {first}") from None


def _of_mlflow(error: BaseException) -> bool:
    return isinstance(error, OSError) or type(error).__module__.startswith(("mlflow", "requests"))


MLFLOW = Handler(do=_copy, already_done=_is_copied)
"""A run is copied to an MLflow server."""
