"""The circle closes: what was asked and turned out to be true becomes the next data."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app import request_retention
from raypipe.app.ask import as_json
from raypipe.app.look import look, workshop_of
from raypipe.store.content import replace_file
from raypipe.store.segments import SegmentWriter
from tests.acceptance import tiny
from tests.conftest import Project, Said
from tests.gateway import gateway_of
from tests.lakefs import LakeFS

FEEDBACK = """
feedback:
  least_rows: 50
  least_labels: 20
  drift: {threshold: 0.2}
"""


def as_rows(table: pa.Table) -> list[dict]:
    columns = as_json(table)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def ask(project: Project, table: pa.Table, size: int = 50) -> pa.Table:
    """Ask the model as `raypipe predict --out` does; return the rows with their requests."""
    rows, ids, numbers = as_rows(table.drop_columns("late")), [], []
    with gateway_of(project.folder / ".raypipe") as gateway:
        for start in range(0, len(rows), size):
            answer = gateway.predict(rows[start : start + size])
            ids += [answer["request_id"]] * len(answer["predictions"])
            numbers += range(len(answer["predictions"]))
    return table.append_column("request_id", pa.array(ids)).append_column(
        "request_row", pa.array(numbers)
    )


def tell(project: Project, table: pa.Table, *arguments: str) -> Said:
    pq.write_table(table, project.folder / "told.parquet")
    return project.raypipe("feedback", "add", "told.parquet", "--json", *arguments)


def join(project: Project, *arguments: str) -> Said:
    return project.raypipe("feedback", "join", "tiny.yaml", "--json", *arguments)


def data_commit(project: Project) -> str:
    said = project.raypipe("data", "show", "local://tiny/main", "--json")
    return said.result["dataset"]["commit"]


@pytest.fixture
def served(registered: Project) -> Project:
    """The tiny project with version 1.0.0, whose settings want little before they offer rows."""
    registered.write("tiny.yaml", tiny.SETTINGS + FEEDBACK)
    return registered


def test_what_was_asked_and_told_becomes_the_next_data(served: Project) -> None:
    project = served
    asked = ask(project, tiny.rows(60))

    told = tell(project, asked).result["feedback"]
    assert (told["kept"], told["matched"], told["unmatched"]) == (400, 400, 0)

    waiting = join(project)
    assert waiting.code == 0, waiting.err
    found = waiting.result
    assert found["status"] == "waiting"
    assert found["labels"]["joined"] == 400
    (quality,) = found["quality"]
    value, low, high = quality["metrics"]["auc"]
    assert low < value < high
    assert (quality["version"], quality["labelled"], quality["by"]) == ("1.0.0", 400, ["day"])
    assert quality["registered"]["auc"]
    (drift,) = found["drift"]
    assert set(drift["columns"]) == {"wind", "miles", "carrier"}
    assert not any(one["drifted"] for one in drift["columns"].values())
    assert drift["predictions"]["distance"] < 0.1
    assert (found["captured"]["rows"], found["captured"]["offered"]) == (400, True)
    assert join(project).executed == []

    before = data_commit(project)
    review = found["reviews"][0]["id"]
    shown = project.raypipe("review", "show", review)
    assert "live quality" in shown.out
    approved = project.raypipe("review", "approve", review, "--by", "ada")
    assert "raypipe feedback join tiny.yaml" in approved.out
    assert data_commit(project) == before

    done = join(project).result
    assert done["status"] == "succeeded"
    assert [one["rows"] for one in done["published"]] == [400]
    assert data_commit(project) == done["published"][0]["commit"] != before
    assert done["captured"]["rows"] == 0

    again = join(project).result
    assert again["published"] == []
    assert data_commit(project) == done["published"][0]["commit"]

    plan = project.raypipe("plan", "tiny.yaml", "--json")
    assert plan.executed == ["transform_shards[0]"]  # the new shard, the first by its path
    shard = project.raypipe("data", "show", "local://tiny/main", "--json").result["dataset"]
    assert shard["rows"] == 1600


@contextmanager
def told_otherwise(file: Path) -> Iterator[None]:
    """Tell a home of another lakeFS again and again, as commands with other settings do."""
    elsewhere = '{"endpoint": "http://127.0.0.1:9", "access_key": "A", "secret_key": "B"}'
    done = threading.Event()

    def tell() -> None:
        while not done.wait(0.01):
            replace_file(file, elsewhere)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


@pytest.mark.long
def test_captured_rows_come_to_the_server_that_settings_name(
    served: Project, lakefs_server: LakeFS, monkeypatch
) -> None:
    """Whatever other settings tell the home meanwhile."""
    project, dataset = served, f"lakefs://tiny-{os.urandom(4).hex()}/main"
    monkeypatch.setenv("MY_KEY", lakefs_server.access_key)
    monkeypatch.setenv("MY_SECRET", lakefs_server.secret_key)
    place = f"{{endpoint: '{lakefs_server.url}', access_key: {{env: MY_KEY}}"
    settings = (tiny.SETTINGS + FEEDBACK).replace("local://tiny/main", dataset)
    place = f"store: {{lakefs: {place}, secret_key: {{env: MY_SECRET}}}}}}\n"
    project.write("tiny.yaml", settings + place)
    files = [tiny.write_shard(project, f"part{n}", tiny.rows(n * 20)) for n in range(3)]
    to = ("--to", dataset, "--config", "tiny.yaml", "--create")
    said = project.raypipe("data", "import", *files, *to)
    assert said.code == 0, said.err
    tell(project, ask(project, tiny.rows(60)))

    with told_otherwise(project.folder / ".raypipe" / "lakefs.json"):
        waiting = join(project)
        assert waiting.code == 0, waiting.err
        project.raypipe("review", "approve", waiting.result["reviews"][0]["id"], "--by", "ada")
        done = join(project)
        assert [one["rows"] for one in done.result["published"]] == [400], done.err
        again = join(project)
        assert (again.code, again.result["published"]) == (0, []), again.err
    assert join(project).code == 0
    shown = project.raypipe("data", "show", dataset, "--json").result["dataset"]
    assert (shown["rows"], len(shown["shards"])) == (1600, 4)


def test_what_was_asked_is_held_to_the_schema_as_it_is_in_serving(served: Project) -> None:
    """Requests have no label, and that is as it should be; a value that cannot be is named."""
    ask(served, tiny.rows(60))
    assert join(served).result["asked"] == []
    odd = tiny.rows(80)
    place = odd.column_names.index("miles")
    far = pa.array([float(n) * 1000 for n in odd["miles"].to_pylist()])
    ask(served, odd.set_column(place, "miles", far))
    (found,) = join(served).result["asked"]
    assert found["name"] == "range:miles"
    assert "of the rows that were asked above 2000" in found["message"]
    assert "What was asked breaks the schema" in served.raypipe("feedback", "join", "tiny.yaml").out


def test_captured_rows_are_the_rows_that_were_asked(served: Project) -> None:
    project = served
    rows = tiny.rows(60)
    tell(project, ask(project, rows))
    review = join(project).result["reviews"][0]["id"]
    project.raypipe("review", "approve", review, "--by", "ada")
    join(project)
    folder = project.folder / ".raypipe" / "versions"
    found = [
        table
        for file in folder.rglob("*")
        if file.is_file() and file.read_bytes()[:4] == b"PAR1"
        for table in [pq.read_table(file, partitioning=None)]
        if table.num_rows == rows.num_rows and min(table["number"].to_pylist()) == 60 * 20
    ]
    assert len(found) == 1
    assert found[0].sort_by("number").equals(rows.sort_by("number"))


@pytest.mark.long
def test_nothing_is_offered_of_few_rows_and_it_is_said_how_many_are_missing(
    served: Project,
) -> None:
    asked = ask(served, tiny.rows(60, days=2))
    tell(served, asked)
    said = join(served).result
    assert said["status"] == "succeeded"
    assert said["reviews"] == []
    assert "40 rows are captured; from 50 on they are offered" in said["captured"]["said"]


def test_a_rejected_capture_is_no_data_and_is_not_asked_for_again(served: Project) -> None:
    project = served
    tell(project, ask(project, tiny.rows(60)))
    before = data_commit(project)
    review = join(project).result["reviews"][0]["id"]
    project.raypipe("review", "reject", review, "--by", "bob", "--note", "a holiday")
    said = join(project)
    assert (said.code, said.result["status"]) == (5, "rejected")
    assert data_commit(project) == before
    assert join(project).result["published"] == []


def test_the_latest_label_wins_and_those_of_unknown_requests_are_kept(served: Project) -> None:
    project = served
    asked = ask(project, tiny.rows(60, days=4))
    wrong = pa.array([not one for one in asked["late"].to_pylist()])
    place = asked.schema.get_field_index("late")
    tell(project, asked.set_column(place, "late", wrong))
    upside_down = join(project).result["quality"][0]["metrics"]["auc"][0]
    assert tell(project, asked).result["feedback"]["kept"] == 80
    assert tell(project, asked).result["feedback"]["told_before"] == 80

    stranger = pa.table({"request_id": ["f" * 32], "label": [True]})
    said = tell(project, stranger)
    assert said.code == 0
    assert (said.result["feedback"]["unmatched"], said.result["feedback"]["kept"]) == (1, 1)
    pq.write_table(stranger, project.folder / "told.parquet")
    assert (
        "is this file of another gateway" in project.raypipe("feedback", "add", "told.parquet").out
    )

    found = join(project).result
    counts = found["labels"]
    assert (counts["joined"], counts["replaced"], counts["unmatched"]) == (80, 80, 1)
    assert found["quality"][0]["metrics"]["auc"][0] == pytest.approx(1 - upside_down)


def test_a_label_that_arrives_before_its_request_is_joined_when_that_is_there(
    served: Project,
) -> None:
    """Segments are read in any order: a label may be known before the request that it is of."""
    project = served
    asked = ask(project, tiny.rows(60, days=2))
    writer = SegmentWriter(project.folder / ".raypipe" / "requests")
    record = {"kind": "label", "id": "0" * 32, "time": 1.0, "model": "tiny", "row": 0}
    writer.append(
        orjson.dumps({**record, "request": asked["request_id"][0].as_py(), "label": True})
    )
    writer.close()
    assert join(project).result["labels"]["joined"] == 1


def test_rows_without_what_the_data_needs_are_counted_with_the_reason(served: Project) -> None:
    project = served
    table = tiny.rows(60, days=4)
    tell(project, ask(project, table.drop_columns("number")))
    said = join(project).result["captured"]
    assert said["rows"] == 0
    assert said["left_out"] == {"lack number": 80}


def test_a_row_whose_key_the_data_has_is_not_captured(served: Project) -> None:
    project = served
    tell(project, ask(project, tiny.rows(0, days=4)))
    said = join(project).result["captured"]
    assert said["left_out"] == {"are in the data already, by their key": 80}


def test_a_changed_world_is_seen(served: Project) -> None:
    project = served
    table = tiny.rows(60, days=10)
    windy = pa.array([one + 60 for one in table["wind"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("wind"), "wind", windy)
    carriers = pa.array(["ZZ"] * table.num_rows)
    table = table.set_column(table.schema.get_field_index("carrier"), "carrier", carriers)
    tell(project, ask(project, table))
    (drift,) = join(project).result["drift"]
    assert drift["columns"]["wind"]["drifted"]
    assert drift["predictions"]["distance"] >= 0
    assert drift["unseen"] == {"carrier": table.num_rows}
    text = project.raypipe("feedback", "join", "tiny.yaml").out
    assert "drifted" in text
    assert "carrier in 200 rows" in text


def test_a_capture_that_breaks_the_schema_stays_on_its_branch(served: Project) -> None:
    project = served
    tell(project, ask(project, tiny.rows(60)))
    review = join(project).result["reviews"][0]["id"]
    project.raypipe("review", "approve", review, "--by", "ada")
    schema = project.folder / ".raypipe" / "schemas" / "tiny.yaml"
    text = schema.read_text()
    schema.write_text(text.replace(", CC", "").replace("- CC\n", ""))
    before = data_commit(project)
    strict = ("--set", "validation.severities.unseen_category=stop")

    said = join(project, *strict)

    assert said.code == 4
    assert "CC" in said.result["error"]["message"]
    assert data_commit(project) == before
    schema.write_text(text)
    assert join(project).result["published"][0]["rows"] == 400


@pytest.mark.parametrize(
    "point",
    [
        "import.merged",
        *(
            pytest.param(point, marks=pytest.mark.long)
            for point in ("effect.begun", "import.committed", "capture.recorded", "effect.done")
        ),
    ],
)
def test_kill_9_while_the_capture_is_published_makes_one_commit(
    served: Project, point: str
) -> None:
    """Whoever comes next asks the version store, which may know more than the ledger."""
    project = served
    tell(project, ask(project, tiny.rows(60)))
    review = join(project).result["reviews"][0]["id"]
    project.raypipe("review", "approve", review, "--by", "ada")
    before = data_commit(project)
    process = project.start("feedback", "join", "tiny.yaml", RAYPIPE_FAULT=point)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    commit = data_commit(project)
    assert (commit == before) == (point in {"effect.begun", "import.committed"})

    said = project.raypipe("outbox", "deliver", "--json")

    assert said.result["outbox"] == {"delivered": 1, "left": []}, said.err
    after = data_commit(project)
    assert after == commit or commit == before != after
    assert join(project).result["published"] == []
    assert data_commit(project) == after
    log = project.raypipe("data", "log", "local://tiny/main", "--json").result["commits"]
    captured = [one for one in log if "raypipe.effect" in one["meta"]]
    assert len(captured) == 1


@pytest.mark.long
def test_rows_that_two_accepted_captures_hold_become_data_once(served: Project) -> None:
    """The second was offered while the first one was approved: it came a moment too late for it."""
    project = served
    reviews = []
    for first_day in (60, 80):
        tell(project, ask(project, tiny.rows(first_day, days=5)))
        reviews.append(join(project).result["reviews"][0]["id"])
    refused = project.raypipe("review", "approve", reviews[0], "--by", "ada")
    assert f"newer evidence opened review {reviews[1]}" in refused.err
    ledger = workshop_of(project.folder / ".raypipe").ledger
    for name in reviews:  # in the order of a moment later
        ledger.open_review(replace(ledger.get_review(name), status="open", note=None))
        assert project.raypipe("review", "approve", name, "--by", "ada").code == 0
    said = join(project)
    assert said.code == 0, said.err
    assert [one["rows"] for one in said.result["published"]] == [100, 100]
    assert said.result["captured"]["left_out"] == {"were accepted before": 200}
    shown = project.raypipe("data", "show", "local://tiny/main", "--json")
    assert shown.result["dataset"]["rows"] == 1200 + 200


def test_old_requests_go_once_what_they_gave_is_data_or_can_be_none(
    served: Project, monkeypatch
) -> None:
    """Those that are offered, or have a label that no join read, stay, however old."""
    project, home = served, served.folder / ".raypipe"
    keep = "store.keep.requests=0.00001"
    monkeypatch.setattr(request_retention, "MARGIN", 0.0)  # one clock, and joins by themselves

    def removed() -> dict:
        time.sleep(1)  # longer than that
        project.raypipe("requests", "seal")
        said = request_retention.retire_requests(look(home), dry_run=False)
        assert "kept" not in said
        return said

    asked = ask(project, tiny.rows(60, days=5))
    project.raypipe("run", "tiny.yaml", "--set", keep)
    assert tell(project, asked).result["feedback"]["kept"] == 100
    assert removed()["requests"] == 0, "no join read the labels"
    review = join(project, "--set", keep).result["reviews"][0]["id"]
    assert removed()["requests"] == 0, "they are offered"
    project.raypipe("review", "approve", review, "--by", "ada")
    assert removed()["requests"] == 0, "they are accepted, and not published"
    assert join(project, "--set", keep).result["published"][0]["rows"] == 100
    assert removed() == {"segments": 2, "requests": 2, "labels": 100}
    audited = project.raypipe("requests", "audit", "--json").result["audit"]
    assert (audited["whole"], audited["records"], audited["removed"]["requests"]) == (True, 0, 2)


def test_what_is_said_of_the_same_rows_is_what_is_true_now(served: Project) -> None:
    """The rows are decided on; the figures beside them, and whether they are offered, change."""
    project = served
    asked = ask(project, tiny.rows(60, days=5))
    tell(project, asked)
    few = join(project, "--set", "feedback.least_rows=500").result
    assert (few["status"], few["captured"]["offered"]) == ("succeeded", False)
    enough = join(project).result
    assert (enough["status"], enough["captured"]["offered"]) == ("waiting", True)
    assert enough["captured"]["said"] == ""

    ask(project, tiny.rows(90, days=5))
    later = join(project).result
    assert later["quality"][0]["asked"] == later["drift"][0]["rows"] == 200
    assert [one["id"] for one in later["reviews"]] == [one["id"] for one in enough["reviews"]]


@pytest.mark.parametrize(
    ("table", "code", "words"),
    [
        (pa.table({"label": [True]}), 2, "no column 'request_id'"),
        (pa.table({"request_id": ["a"]}), 2, "no column 'label' or 'late'"),
        (pa.table({"request_id": ["a"], "label": ["perhaps"]}), 2, "late is false, true"),
        (pa.table({"request_id": ["a", "a"], "label": [True, False]}), 2, "is there twice"),
        (pa.table({"request_id": ["a"], "label": [None]}), 2, "tells no label"),
        (
            pa.table({"request_id": ["a"], "request_row": [-1], "label": [True]}),
            2,
            "request_row is -1",
        ),
        (
            pa.table({"request_id": ["a"], "request_row": [2**63 - 1], "label": [True]}),
            2,
            "rows of a request count from 0, to 2147483647 at most",
        ),
        (pa.table({"request_id": ["a"], "label": [[True]]}), 2, "has the label [True]"),
        (pa.table({"request_id": ["a"], "label": [float("nan")]}), 2, "the label is nan"),
        (pa.table({"request_id": ["a" * 300], "label": [True]}), 2, "a text of 1 to 256 letters"),
    ],
    ids=[
        "no id",
        "no label",
        "no class",
        "twice",
        "empty",
        "row",
        "far row",
        "list",
        "nan",
        "long id",
    ],
)
def test_a_file_that_makes_no_sense_is_told_and_nothing_of_it_is_kept(
    served: Project, table: pa.Table, code: int, words: str
) -> None:
    said = tell(served, table)
    assert said.code == code
    assert words in said.err
    assert "Traceback" not in said.err
    assert not (served.folder / ".raypipe" / "requests").exists()


def test_what_was_never_asked_has_nothing_to_join(registered: Project, project: Project) -> None:
    said = join(registered)
    assert said.code == 9
    assert "holds no request of tiny" in said.err
    assert project.raypipe("feedback", "join", "none.yaml").code == 9


def test_a_joined_log_needs_neither_ray_nor_torch(served: Project) -> None:
    project = served
    tell(project, ask(project, tiny.rows(60, days=4)))
    join(project)
    project.write(
        "sitecustomize.py",
        "import atexit, sys\n"
        "atexit.register(lambda: open('loaded.txt', 'a').write(' '.join(sys.modules) + ' '))\n",
    )
    path = os.pathsep.join((str(project.folder), os.environ.get("PYTHONPATH", "")))
    said = project.raypipe("feedback", "join", "tiny.yaml", "--json", PYTHONPATH=path)
    assert said.executed == []
    loaded = set(Path(project.folder, "loaded.txt").read_text().split())
    assert not {"ray", "torch"} & loaded
