"""What a gateway says over HTTP to whatever it is sent; its log holds what it answered."""

import asyncio
import contextlib
import http.client
import json
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
import uvicorn

from raypipe.app.look import look
from raypipe.app.routes import served
from raypipe.errors import StoreError
from raypipe.stages.serving.declare import Gateway as Place
from raypipe.stages.serving.declare import user_config
from raypipe.stages.serving.gateway import Gateway
from raypipe.store.segments import SegmentWriter, read_records
from tests.acceptance import tiny
from tests.conftest import Project

ROW = {"wind": 12.5, "miles": 800.0, "carrier": "AA"}
PREDICT, INFER = "/v2/models/tiny/predict", "/v2/models/tiny/infer"

OTHER_FEATURES = '''
"""Features of the user's, as they were written later."""


def add(table):
    from my_helpers import share

    if (table["miles"].to_numpy() < 0).any():
        raise ValueError("no way is shorter than none")
    return (table["wind"].to_numpy() + table["miles"].to_numpy() / 1000) * share()
'''

OTHER_HELPERS = """
def share():
    return 0.125
"""


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Its sentence; an error says nothing else."""
        assert list(self.json) == ["error"]
        assert self.headers["content-type"] == "application/json"
        assert "Traceback" not in self.json["error"]
        return self.json["error"]


@dataclass
class Up:
    """A gateway that listens."""

    gateway: Gateway
    port: int
    log: Path
    loop: asyncio.AbstractEventLoop

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.ask("POST", path, orjson.dumps(body), **headers)

    def predict(self, *rows: dict[str, Any], version: str = "1.0.0", **more: Any) -> Answer:
        return self.post(f"/v2/models/tiny/versions/{version}/predict", {"rows": rows, **more})

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def configure(self, config: dict[str, Any]) -> None:
        asyncio.run_coroutine_threadsafe(self.gateway.configure(config), self.loop).result(60)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """What the log holds of a kind, oldest first."""
        found = [record for record in read_records(self.log) if record["kind"] == kind]
        return sorted(found, key=lambda record: record["id"])

    def record_of(self, answer: Answer) -> dict[str, Any]:
        """The record of an answer, which was kept before the answer left."""
        name = answer.headers["raypipe-request-id"]
        (record,) = [one for one in self.records("request") if one["id"] == name]
        return record


@contextlib.contextmanager
def listening(log: Path, config: dict[str, Any] | None = None) -> Iterator[Up]:
    """Have a gateway up at a free port, in a thread of this process."""
    writer = SegmentWriter(log)
    gateway = Gateway(writer)
    if config is not None:
        asyncio.run(gateway.configure(config))
    with socket.create_server(("127.0.0.1", 0)) as place:
        settings = uvicorn.Config(gateway, lifespan="on", log_config=None, access_log=False)
        server = uvicorn.Server(settings)
        loop = asyncio.new_event_loop()
        thread = threading.Thread(
            target=lambda: loop.run_until_complete(server.serve(sockets=[place]))
        )
        thread.start()
        try:
            yield Up(gateway, place.getsockname()[1], log, loop)
        finally:
            server.should_exit = True
            thread.join()
            loop.close()
            writer.close()
    assert server.started  # and so its lifespan was answered


@pytest.fixture(scope="module")
def project(_registered: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny project with a second version, of other code under the same names."""
    folder = tmp_path_factory.mktemp("two") / "project"
    shutil.copytree(_registered.folder, folder, symlinks=True)
    project = Project(folder)
    project.write("my_features.py", OTHER_FEATURES)
    project.write("my_helpers.py", OTHER_HELPERS)
    project.edit("my_model.py", "WIDTH = 8", "WIDTH = 12")
    assert tiny.run(project).result["status"] == "waiting"
    tiny.approve(project)
    assert tiny.run(project).result["status"] == "succeeded"
    return project


@pytest.fixture(scope="module")
def config(project: Project) -> dict[str, Any]:
    """What a gateway of this project is told."""
    home = project.folder / ".raypipe"
    place = Place(
        home=str(home),
        host="127.0.0.1",
        port=1,
        replicas=1,
        log="process",
        seal_after=60,
        seal_bytes=1 << 26,
        largest_body=4 << 20,
    )
    return user_config(place, served(look(home), keep=3))


@pytest.fixture(scope="module")
def up(config: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """The gateway of these tests."""
    with listening(tmp_path_factory.mktemp("log") / "requests", config) as made:
        assert list(config["models"]["tiny"]["versions"]) == [NEWER, "1.0.0"]
        yield made


NEWER = "1.1.0"


def tensors(**columns: list[Any]) -> dict[str, Any]:
    kinds = {"wind": "FP64", "miles": "FP64", "carrier": "BYTES"}
    return {
        "inputs": [
            {"name": name, "datatype": kinds[name], "shape": [len(values)], "data": values}
            for name, values in columns.items()
        ]
    }


ONE = tensors(**{name: [value] for name, value in ROW.items()})


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.long
def test_versions_with_other_code_under_the_same_names_answer_in_one_process(
    up: Up, project: Project
) -> None:
    """Each as `raypipe score` does, bit for bit; one of them imports when it is called."""
    table = tiny.rows(100, days=2)
    pq.write_table(table, project.folder / "asked.parquet")
    rows = table.select(["wind", "miles", "carrier"]).to_pylist()
    said = {}
    for version in ("1.0.0", NEWER):
        out = project.folder / f"{version}.parquet"
        scored = project.raypipe("score", f"tiny@{version}", "asked.parquet", "--out", str(out))
        assert scored.code == 0, scored.err
        expected = pq.read_table(out)["late_probability"].to_numpy()
        one_by_one = [
            up.predict(row, version=version).json["predictions"][0]["late_probability"]
            for row in rows
        ]
        together = up.predict(*rows, version=version).json["predictions"]
        assert one_by_one == expected.astype(float).tolist()
        assert [one["late_probability"] for one in together] == one_by_one
        said[version] = expected
    assert (said["1.0.0"] != said[NEWER]).mean() > 0.9


def test_many_rows_are_answered_in_a_thread_with_the_same_bits(up: Up) -> None:
    rows = tiny.rows(100, days=20).select(["wind", "miles", "carrier"]).to_pylist()[:300]
    many = up.predict(*rows).json["predictions"]
    few = [one for start in (0, 150) for one in up.predict(*rows[start:][:150]).json["predictions"]]
    assert len(many) == 300
    assert many == few


def test_what_is_answered_is_in_the_log_with_all_that_was_asked(up: Up) -> None:
    answer = up.predict({**ROW, "number": 17}, id="mine", unit="day-1")
    record = up.record_of(answer)
    said = answer.json
    assert (said["id"], said["request_id"], said["version"]) == ("mine", record["id"], "1.0.0")
    (prediction,) = said["predictions"]
    assert record["outputs"] == {name: [value] for name, value in prediction.items()}
    assert record["columns"] == {name: [value] for name, value in {**ROW, "number": 17}.items()}
    assert (record["client_id"], record["unit"], record["via"]) == ("mine", "day-1", "predict")
    assert (record["version"], record["pinned"], record["share"]) == ("1.0.0", True, 1.0)
    assert (record["rows"], record["unseen"]) == (1, {})


def test_a_category_that_training_did_not_see_is_answered_flagged_and_logged(up: Up) -> None:
    rows = [ROW, {**ROW, "carrier": "ZZ"}, {**ROW, "carrier": None}, {**ROW, "carrier": ""}]
    answer = up.predict(*rows)
    assert answer.status == 200
    assert len(answer.json["predictions"]) == 4
    assert answer.json["unseen"] == {"carrier": [1, 3]}  # one that is missing is no category
    assert up.record_of(answer)["unseen"] == {"carrier": [1, 3]}
    columns = {name: [row[name] for row in rows] for name in ROW}
    answer = up.post(INFER, tensors(**columns))
    assert answer.json["parameters"]["unseen"] == "carrier"
    assert up.record_of(answer)["unseen"] == {"carrier": [1, 3]}


def test_the_protocols_id_outputs_and_shapes_are_kept_to(up: Up) -> None:
    answer = up.post(INFER, {**ONE, "id": "theirs", "outputs": [{"name": "late_probability"}]})
    said = answer.json
    assert (said["model_name"], said["model_version"], said["id"]) == ("tiny", NEWER, "theirs")
    (output,) = said["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == (
        "late_probability",
        "FP32",
        [1],
    )
    both = up.post(INFER, ONE).json
    assert [one["name"] for one in both["outputs"]] == ["late_probability", "late_predicted"]
    assert both["id"] == both["parameters"]["request_id"]
    assert both["outputs"][0]["data"] == output["data"]


def test_a_unit_is_named_by_a_header_a_parameter_or_a_field(up: Up, config: dict[str, Any]) -> None:
    tiny_models = {**config["models"]["tiny"], "shares": {NEWER: 0.5, "1.0.0": 0.5}}
    up.configure({**config, "models": {"tiny": tiny_models}})
    try:
        found = {}
        for unit in map(str, range(40)):
            header = up.post(INFER, ONE, raypipe_unit=unit).json["model_version"]
            parameter = up.post(INFER, {**ONE, "parameters": {"unit": unit}}).json["model_version"]
            named = up.post(PREDICT, {"rows": [ROW], "unit": unit})
            assert header == parameter == named.json["version"]
            assert up.record_of(named)["share"] == 0.5
            found[unit] = header
        assert set(found.values()) == {"1.0.0", NEWER}
    finally:
        up.configure(config)


def test_what_there_is_is_told(up: Up) -> None:
    assert up.get("/v2/health/live").json == {"live": True}
    assert up.get("/v2/health/ready").json == {"live": True, "ready": True}
    assert up.get("/v2").json["models"]["tiny"]["versions"] == [NEWER, "1.0.0"]
    for path, version in (("", NEWER), ("/versions/1.0.0", "1.0.0")):
        about = up.get(f"/v2/models/tiny{path}").json
        assert about["properties"] == {"version": version, "label": "late"}
        assert [one["name"] for one in about["inputs"]] == ["wind", "miles", "carrier"]
        assert up.get(f"/v2/models/tiny{path}/ready").json == {"name": "tiny", "ready": True}


@pytest.mark.parametrize(
    "path", ["/v2", "/v2/health/ready", "/v2/models/tiny", "/docs", "/metrics"]
)
def test_head_says_what_get_does_without_the_body(up: Up, path: str) -> None:
    head, get = up.ask("HEAD", path), up.get(path)
    assert (head.status, head.body) == (get.status, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert int(head.headers["content-length"]) > 0


def test_counters_are_told_in_prometheus_text(up: Up) -> None:
    def counted() -> int:
        text = up.get("/metrics").body.decode()
        wanted = 'raypipe_requests_total{model="tiny",version="1.0.0",via="predict",status="200"} '
        (value,) = [line.removeprefix(wanted) for line in text.splitlines() if wanted in line]
        return int(value)

    up.predict(ROW)
    before = counted()
    up.predict(ROW)
    assert counted() == before + 1


# --- what is wrong with a request ---------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b"nonsense", b"\xff\xfe\x00", b"{", b'{"a": NaN}', b"[" * 100_000]
)
def test_bytes_that_are_no_json_are_refused(up: Up, body: bytes) -> None:
    answer = up.ask("POST", PREDICT, body)
    assert answer.status == 400
    assert "the body is no JSON" in answer.error


@pytest.mark.parametrize("body", [None, b"", b"  \n"])
def test_an_empty_body_is_refused(up: Up, body: bytes | None) -> None:
    answer = up.ask("POST", INFER, body)
    assert answer.status == 400
    assert "no body" in answer.error


@pytest.mark.parametrize("told", [True, False])
def test_ten_megabytes_are_refused(up: Up, told: bool) -> None:
    """Whether their length is told before, or they come piece by piece."""
    body = orjson.dumps({"rows": [ROW] * 240_000})
    assert len(body) > 10_000_000
    connection = http.client.HTTPConnection("127.0.0.1", up.port, timeout=30)
    try:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                "POST", PREDICT, body if told else iter([body[:5_000_000], body[5_000_000:]])
            )
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()
    assert answer.status == 413
    assert "the most are 4,194,304" in answer.error
    assert up.predict(ROW).status == 200


def test_a_body_that_is_encoded_is_refused(up: Up) -> None:
    answer = up.post(PREDICT, {"rows": [ROW]}, content_encoding="gzip")
    assert answer.status == 415
    assert "content-encoding" in answer.error
    binary = up.post(INFER, ONE, inference_header_content_length="10")
    assert binary.status == 400
    assert "binary tensors" in binary.error


@pytest.mark.parametrize(
    ("method", "path", "use"),
    [
        ("GET", PREDICT, "POST"),
        ("PUT", INFER, "POST"),
        ("DELETE", "/v2/models/tiny", "GET"),
        ("POST", "/v2/health/live", "GET"),
        ("GET", "/v2/models/tiny/feedback", "POST"),
        ("POST", "/v2/models/tiny/ready", "GET"),
    ],
)
def test_a_wrong_method_is_told_the_right_one(up: Up, method: str, path: str, use: str) -> None:
    answer = up.ask(method, path)
    assert answer.status == 405
    assert answer.headers["allow"] == use
    assert f"use {use}" in answer.error


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v2/models/none/predict", "there is no model 'none'; there is tiny"),
        ("/v2/models/none", "there is no model 'none'; there is tiny"),
        (
            "/v2/models/tiny/versions/9.9.9/infer",
            "has no version '9.9.9' here; served are 1.1.0, 1",
        ),
        ("/v2/models/tiny/versions/9.9.9", "served are 1.1.0, 1.0.0"),
        ("/v2/models/tiny/versions/9.9.9/ready", "served are 1.1.0, 1.0.0"),
        ("/v2/models/tiny/guess", "there is nothing at '/v2/models/tiny/guess'"),
        ("/", None),
        ("/index.html", "GET /docs says what there is"),
        (f"/v2/models/{'x' * 500}", "xxx…"),
    ],
)
def test_what_there_is_not_is_told_with_what_there_is(up: Up, path: str, words: str | None) -> None:
    posted = path.endswith(("predict", "infer"))
    answer = up.post(path, ONE) if posted else up.get(path)
    if words is None:
        assert answer.status == 200
        return
    assert answer.status == 404
    assert words in answer.error
    assert len(answer.error) < 200


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"wind": 1.0, "carrier": "AA"}, "row 0 lacks the feature 'miles'"),
        ({"wind": 1.0, "mile": 2.0, "carrier": "AA"}, "is it 'mile'?"),
        ({**ROW, "wind": "strong"}, "'wind' is 'strong'; it must be a number"),
        ({**ROW, "carrier": 7}, "'carrier' is 7; it must be a text"),
        ({**ROW, "wind": [1.0]}, "'wind' is a list; it must be a number"),
        ({**ROW, "more": {"a": 1}}, "the field 'more' is an object"),
    ],
)
def test_features_that_are_missing_or_wrong_are_named(
    up: Up, row: dict[str, Any], words: str
) -> None:
    answer = up.predict(row)
    assert answer.status == 400
    assert words in answer.error
    record = up.records("error")[-1]
    assert (record["status"], record["error"]) == (400, answer.error)
    assert (record["model"], record["version"]) == ("tiny", "1.0.0")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (tensors(wind=[1.0], carrier=["AA"]), "lacks the feature 'miles'"),
        (tensors(wind=["x"], miles=[1.0], carrier=["AA"]), "must be a number"),
        ({"inputs": []}, '"inputs" must be a list of tensors'),
        ({"rows": [ROW]}, '"inputs" must be a list of tensors'),
        ({**ONE, "outputs": [{"name": "price"}]}, "there is no output 'price'; there are late_"),
    ],
)
def test_tensors_that_are_missing_or_wrong_are_named(up: Up, body: Any, words: str) -> None:
    answer = up.post(INFER, body)
    assert answer.status == 400
    assert words in answer.error


def test_an_exception_in_the_users_code_is_told_without_its_insides(up: Up) -> None:
    answer = up.predict({**ROW, "miles": -1.0}, version=NEWER)
    assert answer.status == 500
    assert answer.error.startswith(f"tiny {NEWER} failed on these rows: ValueError")
    assert "no way is shorter" not in answer.error  # that is for the gateway's own log
    record = up.records("error")[-1]
    assert (record["status"], record["version"]) == (500, NEWER)
    assert up.predict({**ROW, "miles": -1.0}).status == 200
    assert up.predict(ROW, version=NEWER).status == 200


def test_a_client_that_goes_away_half_way_harms_nobody(up: Up) -> None:
    with socket.create_connection(("127.0.0.1", up.port)) as client:
        client.sendall(
            f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{{".encode()
        )
    assert up.predict(ROW).status == 200


# --- feedback -----------------------------------------------------------------------------------


def test_labels_are_kept_for_the_requests_that_they_name(up: Up) -> None:
    request = up.predict(ROW, ROW).json["request_id"]
    labels = [{"request": request, "row": 0, "label": number % 2 == 1} for number in range(50)]
    answer = up.post("/v2/models/tiny/feedback", {"labels": labels})
    assert answer.status == 202
    assert answer.json == {"model": "tiny", "kept": 50}
    last = {"request": request, "row": 1, "label": True}
    assert up.post("/v2/models/tiny/feedback", last).json["kept"] == 1
    kept = [one for one in up.records("label") if one["request"] == request]
    expected = [(one["row"], one["label"]) for one in (*labels, last)]
    assert [(one["row"], one["label"]) for one in kept] == expected  # by id: so the latest wins
    assert {(one["model"], one["source"]) for one in kept} == {("tiny", "gateway")}


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/v2/models/tiny/feedback", {"labels": []}, 400, 'send {"labels"'),
        (
            "/v2/models/tiny/feedback",
            {"labels": [{"request": "a", "label": True}, {"request": "b", "label": "maybe"}]},
            400,
            "label 1 is 'maybe', which is no class of late: false, true",
        ),
        ("/v2/models/none/feedback", {"request": "a", "label": True}, 404, "there is tiny"),
        (
            "/v2/models/tiny/versions/1.0.0/feedback",
            {"request": "a", "label": True},
            404,
            "feedback goes to the model",
        ),
    ],
)
def test_feedback_that_is_wrong_keeps_nothing(
    up: Up, path: str, body: Any, status: int, words: str
) -> None:
    before = up.records("label")
    answer = up.post(path, body)
    assert answer.status == status
    assert words in answer.error
    assert up.records("label") == before


# --- its own state ------------------------------------------------------------------------------


def test_who_cannot_be_logged_is_not_answered(config: dict[str, Any], tmp_path: Path) -> None:
    """And is told to come again; once the log can be written, all is as before."""
    log = tmp_path / "requests"
    log.write_text("a file where the folder should be")
    with listening(log, config) as full:
        label = {"request": "a", "label": True}
        for path, body in ((PREDICT, [ROW]), (INFER, ONE), ("/v2/models/tiny/feedback", label)):
            answer = full.post(path, body)
            assert answer.status == 503
            assert "not answered, since it could not be kept" in answer.error
            assert int(answer.headers["retry-after"]) > 0
        assert full.get("/v2/health/ready").status == 200
        log.unlink()
        answer = full.predict(ROW)
        assert answer.status == 200
        assert full.record_of(answer)["rows"] == 1


def test_a_gateway_that_was_told_nothing_yet_is_live_but_not_ready(tmp_path: Path) -> None:
    with listening(tmp_path / "requests") as early:
        assert early.get("/v2/health/live").status == 200
        ready = early.get("/v2/health/ready")
        assert (ready.status, ready.json) == (503, {"live": True, "ready": False})
        answer = early.predict(ROW)
        assert answer.status == 503
        assert "not ready" in answer.error
        assert answer.headers["retry-after"] == "1"


def test_a_version_that_cannot_be_loaded_leaves_all_as_it_was(
    up: Up, config: dict[str, Any]
) -> None:
    torn = {"versions": {**config["models"]["tiny"]["versions"], "2.0.0": "f" * 64}}
    told = {**config["models"]["tiny"], **torn, "champion": "2.0.0", "shares": {"2.0.0": 1.0}}
    with pytest.raises(StoreError, match=r"tiny 2\.0\.0 cannot be loaded"):
        up.configure({**config, "models": {"tiny": told}})
    assert up.get("/v2/models/tiny").json["versions"] == [NEWER, "1.0.0"]
    assert up.post(PREDICT, [ROW]).json["version"] == NEWER


def test_a_model_that_is_gone_is_no_longer_served(up: Up, config: dict[str, Any]) -> None:
    up.configure({**config, "models": {}})
    try:
        answer = up.post(PREDICT, [ROW])
        assert answer.status == 404
        assert "there is none yet" in answer.error
    finally:
        up.configure(config)
    assert up.post(PREDICT, [ROW]).status == 200


def test_the_description_of_the_endpoints_is_true(up: Up) -> None:
    """Each example is answered as it says, and its schemas accept what is sent and what comes."""
    document = up.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    rooted = {"components": document["components"]}
    checked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = None
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                jsonschema.Draft202012Validator.check_schema(content["schema"])
                jsonschema.validate(content["example"], {**content["schema"], **rooted})
                body = orjson.dumps(content["example"])
            answer = up.ask(method.upper(), path, body)
            assert str(answer.status) in operation["responses"], (path, answer.body)
            assert answer.status < 300
            checked += 1
    assert checked > 15
    error = up.get("/v2/models/none").json
    jsonschema.validate(error, document["components"]["schemas"]["Error"])
    page = up.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert PREDICT in page.body.decode()


def test_answers_are_float32_numbers_written_as_they_are(up: Up) -> None:
    value = up.predict(ROW).json["predictions"][0]["late_probability"]
    assert float(np.float32(value)) == value
