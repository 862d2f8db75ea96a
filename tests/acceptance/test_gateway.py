"""A gateway with real bundles, asked as a client asks it: right answers, and words for the rest."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app.ask import as_json
from raypipe.app.look import look
from raypipe.app.routes import served
from raypipe.errors import StoreError
from raypipe.store.segments import SegmentWriter, read_records
from tests.acceptance import tiny
from tests.conftest import Project
from tests.gateway import Asked, gateway_of

ROW = {"wind": 12.5, "miles": 800, "carrier": "BB"}
MODEL = "/v2/models/tiny"


@pytest.fixture
def gateway(registered: Project):
    """A gateway of the tiny project with version 1.0.0."""
    with gateway_of(registered.folder / ".raypipe") as asked:
        yield asked


def infer(**columns):
    kinds = {str: "BYTES", float: "FP64", int: "INT64", bool: "BOOL"}
    return {
        "inputs": [
            {
                "name": name,
                "shape": [len(values)],
                "datatype": kinds[type(values[0])],
                "data": values,
            }
            for name, values in columns.items()
        ]
    }


def records(gateway: Asked) -> list[dict]:
    return list(read_records(gateway.home / "requests"))


def as_rows(table: pa.Table) -> list[dict]:
    columns = as_json(table)
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_online_answers_are_those_of_score_to_the_bit(registered: Project) -> None:
    project = registered
    said = project.raypipe("score", "tiny", "incoming/part1.parquet", "--out", "a.parquet")
    assert said.code == 0, said.err
    scored = pq.read_table(project.folder / "a.parquet")
    rows = as_rows(tiny.rows(20).drop_columns("late"))
    with gateway_of(project.folder / ".raypipe") as gateway:
        one_by_one = [gateway.predict([row])["predictions"][0] for row in rows[:40]]
        together = gateway.predict(rows)["predictions"]
        columns = {name: [row[name] for row in rows] for name in ("wind", "miles", "carrier")}
        status, answer = gateway.ask("POST", f"{MODEL}/infer", infer(**columns))
    assert status == 200
    probability = scored["late_probability"].to_pylist()
    assert [one["late_probability"] for one in together] == probability
    assert [one["late_predicted"] for one in together] == scored["late_predicted"].to_pylist()
    assert one_by_one == together[:40]
    outputs = {one["name"]: one["data"] for one in answer["outputs"]}
    assert outputs["late_probability"] == probability


def test_each_answered_request_is_in_the_log_with_all_that_was_asked(gateway: Asked) -> None:
    answer = gateway.predict([{**ROW, "number": 7, "gate": "B"}], id="mine", unit="u1")
    (record,) = records(gateway)
    assert answer["id"] == "mine"
    assert record["id"] == answer["request_id"] == gateway.headers["raypipe-request-id"]
    assert record["client_id"] == "mine"
    assert record["columns"] == {n: [v] for n, v in {**ROW, "number": 7, "gate": "B"}.items()}
    assert record["outputs"]["late_probability"] == [answer["predictions"][0]["late_probability"]]
    about = (record["version"], record["share"], record["pinned"], record["unit"], record["via"])
    assert about == ("1.0.0", 1.0, False, "u1", "predict")


def test_an_unknown_category_is_answered_and_flagged(gateway: Asked) -> None:
    rows = [ROW, {**ROW, "carrier": "ZZ"}, {**ROW, "carrier": None}]
    answer = gateway.predict(rows)
    assert answer["unseen"] == {"carrier": [1]}
    assert records(gateway)[-1]["unseen"] == {"carrier": [1]}
    status, answer = gateway.ask(
        "POST", f"{MODEL}/infer", infer(wind=[1.0], miles=[2.0], carrier=["ZZ"])
    )
    assert (status, answer["parameters"]["unseen"]) == (200, "carrier")


def test_requests_that_come_at_once_are_answered_as_each_alone(gateway: Asked) -> None:
    rows = as_rows(tiny.rows(20).drop_columns("late"))[:70]
    rows[3]["carrier"] = rows[41]["carrier"] = "ZZ"
    rows[5]["carrier"] = None
    alone = [gateway.predict([row]) for row in rows]
    path = f"{MODEL}/predict"
    answers = gateway.ask_all(
        *(("POST", path, {"rows": [row]}) for row in rows),
        ("POST", path, {"rows": [{**ROW, "wind": "strong"}]}),
        ("POST", path, {"rows": rows[2:5], "id": "three"}),
    )
    together, (bad, sentence), (_, three) = answers[:70], answers[70], answers[71]
    assert [status for status, _ in together] == [200] * 70
    assert [one["predictions"] for _, one in together] == [one["predictions"] for one in alone]
    flagged = [number for number, (_, one) in enumerate(together) if "unseen" in one]
    assert flagged == [3, 41]
    assert (bad, "'wind'" in sentence["error"]) == (400, True)
    assert (three["id"], three["unseen"]) == ("three", {"carrier": [1]})
    assert three["predictions"] == [one["predictions"][0] for one in alone[2:5]]
    assert len({one["request_id"] for _, one in together}) == 70
    kept = {record["id"]: record for record in records(gateway)}
    for row, (_, one) in zip(rows, together, strict=True):
        record = kept[one["request_id"]]
        assert {name: values[0] for name, values in record["columns"].items()} == row
        assert record["outputs"]["late_probability"] == [one["predictions"][0]["late_probability"]]


def test_the_champion_by_its_name_is_kept_as_the_version_that_it_is(gateway: Asked) -> None:
    answer = gateway.predict([ROW], "champion")
    assert answer["version"] == "1.0.0"
    assert (records(gateway)[-1]["version"], records(gateway)[-1]["pinned"]) == ("1.0.0", True)


def test_many_rows_are_answered_in_a_thread_and_alike(gateway: Asked) -> None:
    many = gateway.predict([ROW] * 300)["predictions"]
    assert many == gateway.predict([ROW])["predictions"] * 300


BAD = {
    "no JSON": (b"{", 400, "the body is no JSON"),
    "bytes": (b"\xff\xfe\x00", 400, "the body is no JSON"),
    "nothing": (b"", 400, "no body"),
    "a number": (b"5", 400, "must be an object"),
    "no rows": ({}, 400, 'no "rows"'),
    "empty": ({"rows": []}, 400, '"rows" is empty'),
    "other keys": ({"rows": [ROW], "row": 1}, 400, "'row'"),
    "missing": ({"rows": [{"wind": 1.0, "miles": 2}]}, 400, "lacks the feature 'carrier'"),
    "wrong type": ({"rows": [{**ROW, "wind": "strong"}]}, 400, "'wind' is 'strong'"),
    "nested": ({"rows": [{**ROW, "more": {}}]}, 400, "the field 'more' is an object"),
    "too long an id": ({"rows": [ROW], "id": "x" * 300}, 400, "'id'"),
    "10 MB": (b"[" + b"1," * 5_000_000 + b"1]", 413, "serving.largest_body"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_request_gets_a_sentence_and_its_status(gateway: Asked, name: str) -> None:
    body, status, words = BAD[name]
    found, answer = gateway.ask("POST", f"{MODEL}/predict", body)
    assert (found, list(answer)) == (status, ["error"])
    assert words in answer["error"]
    (record,) = records(gateway)
    assert (record["kind"], record["status"], record["error"]) == ("error", status, answer["error"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "words"),
    [
        ("POST", "/v2/models/other/predict", {}, 404, "no model 'other'; there is tiny"),
        ("GET", "/v2/models/other", {}, 404, "no model 'other'"),
        ("POST", f"{MODEL}/versions/9.0.0/predict", {}, 404, "no version '9.0.0'"),
        ("GET", f"{MODEL}/versions/9.0.0", {}, 404, "served are 1.0.0"),
        ("GET", f"{MODEL}/predict", {}, 405, "use POST"),
        ("POST", "/v2", {}, 405, "use GET"),
        ("GET", "/v3", {}, 404, "/docs"),
        ("POST", f"{MODEL}/predict", {"content-encoding": "gzip"}, 415, "content-encoding"),
        ("POST", f"{MODEL}/infer", {"inference-header-content-length": "5"}, 400, "binary"),
        ("POST", f"{MODEL}/predict", {"content-length": "99999999"}, 413, "largest_body"),
    ],
)
def test_a_wrong_place_method_or_header_is_told(
    gateway: Asked, method, path, headers, status, words
) -> None:
    found, answer = gateway.ask(method, path, {"rows": [ROW]}, headers)
    assert (found, list(answer)) == (status, ["error"])
    assert words in answer["error"]
    if status == 405:
        assert gateway.headers["allow"] in answer["error"]


def test_a_gateway_says_what_it_is_and_what_it_serves(gateway: Asked) -> None:
    assert gateway.ask("GET", "/v2/health/live") == (200, {"live": True})
    assert gateway.ask("GET", "/v2/health/ready")[0] == 200
    assert gateway.ask("GET", "/v2")[1]["models"]["tiny"]["versions"] == ["1.0.0"]
    assert gateway.ask("HEAD", "/v2") == (200, "")
    assert gateway.ask("GET", f"{MODEL}/ready") == (200, {"name": "tiny", "ready": True})
    about = gateway.ask("GET", MODEL)[1]
    assert {one["name"]: one["datatype"] for one in about["inputs"]} == {
        "wind": "FP64",
        "miles": "FP64",
        "carrier": "BYTES",
    }
    assert about["properties"] == {"version": "1.0.0", "label": "late"}
    paths = gateway.ask("GET", "/openapi.json")[1]["paths"]
    example = paths[f"{MODEL}/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert gateway.ask("POST", f"{MODEL}/predict", example["example"])[0] == 200
    assert "/v2/models/tiny/predict" in gateway.ask("GET", "/docs")[1]
    counted = gateway.ask("GET", "/metrics")[1]
    assert 'raypipe_requests_total{model="tiny",version="1.0.0",via="predict",status="200"} 1' in (
        counted
    )


def test_labels_are_kept_and_wrong_ones_are_not(gateway: Asked) -> None:
    request = gateway.predict([ROW])["request_id"]
    told = {"labels": [{"request": request, "label": True}]}
    assert gateway.ask("POST", f"{MODEL}/feedback", told) == (202, {"model": "tiny", "kept": 1})
    bad = {"labels": [*told["labels"], {"request": request, "label": "perhaps"}]}
    status, answer = gateway.ask("POST", f"{MODEL}/feedback", bad)
    assert (status, "no class of late" in answer["error"]) == (400, True)
    unknown = {"request": "f" * 32, "label": False}
    assert gateway.ask("POST", f"{MODEL}/feedback", unknown)[0] == 202
    kinds = [record["kind"] for record in records(gateway)]
    assert kinds == ["request", "label", "error", "label"]


def test_what_cannot_be_kept_is_not_answered(gateway: Asked, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("the request log cannot be written: No space left on device")

    monkeypatch.setattr(SegmentWriter, "append", full)
    status, answer = gateway.ask("POST", f"{MODEL}/predict", {"rows": [ROW]})
    assert status == 503
    assert "No space left" in answer["error"]
    assert gateway.headers["retry-after"] == "5"


@pytest.fixture
def two(registered: Project) -> Project:
    """The tiny project with a second version of other code under the same names."""
    project = registered
    project.edit("my_features.py", "/ 1000", "* 1000")
    project.edit("my_model.py", "WIDTH = 8", "WIDTH = 4")
    assert tiny.run(project).code == 0
    tiny.approve(project)
    assert tiny.run(project).code == 0
    return project


def test_two_versions_answer_at_once_each_with_its_own_code(two: Project) -> None:
    project = two
    versions = project.raypipe("models", "list", "--json").result["models"][0]["versions"]
    assert len(versions) == 2
    rows = as_rows(tiny.rows(20).drop_columns("late"))
    with gateway_of(project.folder / ".raypipe") as gateway:
        answers = {v: gateway.predict(rows, version=v)["predictions"] for v in versions}
        again = {v: gateway.predict(rows, version=v)["predictions"] for v in versions}
    assert answers == again
    assert answers[versions[0]] != answers[versions[1]]
    for version, answer in answers.items():
        name = f"tiny@{version}"
        project.raypipe("score", name, "incoming/part1.parquet", "--out", "a.parquet")
        scored = pq.read_table(project.folder / "a.parquet")
        assert [one["late_probability"] for one in answer] == (
            scored["late_probability"].to_pylist()
        )


def test_a_route_is_followed_from_one_request_to_the_next(two: Project) -> None:
    project = two
    old, new = (
        "1.0.0",
        project.raypipe("models", "list", "--json").result["models"][0]["versions"][0],
    )
    assert project.raypipe("route", "tiny", f"{old}=0.5", f"{new}=0.5").code == 0
    with gateway_of(project.folder / ".raypipe") as gateway:
        first = {f"u{n}": gateway.predict([ROW], unit=f"u{n}")["version"] for n in range(60)}
        assert set(first.values()) == {old, new}
        header = {"raypipe-unit": "u7"}
        body = {"rows": [ROW]}
        assert gateway.ask("POST", f"{MODEL}/predict", body, header)[1]["version"] == first["u7"]
        assert project.raypipe("promote", f"tiny@{old}").code == 0
        gateway.configure()
        assert {gateway.predict([ROW], unit=unit)["version"] for unit in first} == {old}
        shares = {record["share"] for record in records(gateway)}
    assert shares == {0.5, 1.0}


def test_code_that_is_imported_while_it_answers_is_the_version_s_own(registered: Project) -> None:
    project = registered
    project.edit("my_features.py", "from my_helpers import half\n", "")
    project.edit("my_features.py", "    # wind", "    from my_helpers import half\n    # wind")
    tiny.run(project)
    tiny.approve(project)
    assert tiny.run(project).code == 0
    project.edit("my_helpers.py", "/ 2", "/ 200")
    rows = as_rows(tiny.rows(20).drop_columns("late"))
    with gateway_of(project.folder / ".raypipe") as gateway:
        answer = gateway.predict(rows)
    project.raypipe("score", "tiny", "incoming/part1.parquet", "--out", "a.parquet")
    scored = pq.read_table(project.folder / "a.parquet")
    assert [one["late_probability"] for one in answer["predictions"]] == (
        scored["late_probability"].to_pylist()
    )


def test_a_version_that_cannot_be_loaded_changes_nothing(gateway: Asked) -> None:
    before = gateway.predict([ROW])["predictions"]
    models = {"tiny": {"versions": {"2.0.0": "0" * 64}, "champion": "2.0.0", "shares": {}}}
    with pytest.raises(StoreError, match=r"tiny 2\.0\.0 cannot be loaded"):
        gateway.configure(models=models)
    assert gateway.predict([ROW])["predictions"] == before


def test_a_fault_of_the_users_code_is_told_and_no_more_of_it(registered: Project) -> None:
    project = registered
    project.edit(
        "my_features.py",
        "    return half",
        "    if len(table) == 1:\n        1 / 0\n    return half",
    )
    tiny.run(project)
    tiny.approve(project)
    assert tiny.run(project).code == 0
    with gateway_of(project.folder / ".raypipe") as gateway:
        status, answer = gateway.ask("POST", f"{MODEL}/predict", {"rows": [ROW]})
    assert status == 500
    assert "ZeroDivisionError" in answer["error"]
    assert "my_features" not in answer["error"]


def test_a_model_that_answers_by_its_route_is_ready_without_a_champion(registered: Project) -> None:
    with gateway_of(registered.folder / ".raypipe") as gateway:
        (told,) = served(look(gateway.home), keep=3).values()
        without = {"versions": dict(told.versions), "champion": None, "shares": {}}
        gateway.configure(models={"tiny": without})
        assert gateway.ask("GET", "/v2/models/tiny/ready") == (200, {"name": "tiny", "ready": True})
        assert gateway.predict([ROW])["version"] == "1.0.0"
        gateway.configure(models={"tiny": {"versions": {}, "champion": None, "shares": {}}})
        status, said = gateway.ask("GET", "/v2/models/tiny/ready")
        assert (status, said["ready"]) == (503, False)
        status, said = gateway.ask("POST", "/v2/models/tiny/predict", {"rows": [ROW]})
        assert (status, "no version" in said["error"]) == (404, True)
