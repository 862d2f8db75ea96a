"""Texts and images of one's own, from `raypipe init` to a gateway, and the truth that comes later.

A gateway's answers are held against `raypipe score`, and against the transform and the module of
the bundle, asked for all rows at once.
"""

import base64
import http.client
import json
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raypipe.app.look import look
from raypipe.app.models import find_version, load
from raypipe.stages.data import dataset_at
from raypipe.stages.serving.processes import free_ports
from raypipe.store.locations import open_location
from raypipe.store.versions import open_store
from raypipe.values.uri import parse_uri
from tests.conftest import Project
from tests.gateway import gateway_of

pytestmark = pytest.mark.slow

SIDES = ("left", "none", "right")
WORDS = {"food": "bread and salt", "space": "a rocket and stars", "sport": "a football team"}
SHORT = ("training.epochs=12", "analysis.resamples=50", "registry.promote=true")
"""Settings that make a run short, and its version the one that answers."""


def to_version(project: Project, file: str, *arguments: str) -> str:
    """Type `raypipe init` and what it prints, with a review that is approved; return its name."""
    said = project.raypipe("init", file, *arguments, "--json")
    assert said.code == 0, said.err
    written = said.result["init"]
    *before, run = (shlex.split(command)[1:] for command in written["next"])
    for command in before:
        said = project.raypipe(*command)
        assert said.code == 0, said.err
    sets = [part for one in SHORT for part in ("--set", one)]
    waiting = project.raypipe(*run, *sets, "--json")
    assert waiting.code == 0, waiting.err
    review = waiting.result["reviews"][0]["id"]
    assert project.raypipe("review", "approve", review, "--by", "ada").code == 0
    done = project.raypipe(*run, *sets, "--json")
    assert done.result["status"] == "succeeded", done.err
    return written["file"].removesuffix(".yaml")


def text_of(number: int, topics: list[str]) -> str:
    return (
        f"Note {number}, in which there is {', '.join(WORDS[one] for one in topics) or 'nothing'}"
    )


@pytest.fixture(scope="module")
def project() -> Iterator[Project]:
    """A project whose home gets both models; its path is short, as Ray's sockets need it."""
    with tempfile.TemporaryDirectory(prefix="rpo-", dir="/tmp") as folder:
        project = Project(Path(folder))
        project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
        yield project


@pytest.fixture(scope="module")
def texts(project: Project) -> Project:
    """The project with a version that tells the topics of texts; a text may have several."""
    drawn = np.random.default_rng(0).random((400, len(WORDS))) < 0.4
    lines = []
    for number, some in enumerate(drawn):
        topics = [one for one, is_there in zip(WORDS, some, strict=True) if is_there]
        lines.append(json.dumps({"text": text_of(number, topics), "topics": topics}))
    project.write("notes.jsonl", "\n".join(lines))
    assert to_version(project, "notes.jsonl", "--target", "topics") == "notes"
    return project


@pytest.fixture(scope="module")
def images(project: Project) -> Project:
    """The project with a version that tells on which side of a picture it is bright."""
    draw = np.random.default_rng(0)
    for number in range(120):
        side = SIDES[number % 3]
        pixels = draw.integers(0, 90, (8, 8, 3), np.uint8)
        pixels[:, :4] += np.uint8(120 if side == "left" else 0)
        pixels[:, 4:] += np.uint8(120 if side == "right" else 0)
        file = project.folder / "pictures" / side / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    assert to_version(project, "pictures") == "pictures"
    return project


Ask = Callable[[str, str, Any], tuple[int, Any]]
"""Method, path and body to status and JSON."""


def asked(ask: Ask, model: str, rows: list[dict]) -> list[dict]:
    """Ask for rows all at once, and for some one by one: both are equal to the bit."""
    path = f"/v2/models/{model}/predict"
    status, answer = ask("POST", path, {"rows": rows})
    assert status == 200, answer
    for number in range(0, len(rows), 7):
        _, alone = ask("POST", path, {"rows": [rows[number]]})
        assert alone["predictions"] == [answer["predictions"][number]]
    return answer["predictions"]


def inferred(ask: Ask, model: str, rows: list[dict]) -> list[dict]:
    """Ask for rows by the Open Inference Protocol, a tensor a feature; lists come as JSON text."""
    inputs = [
        {
            "name": name,
            "datatype": "BYTES",
            "shape": [len(rows)],
            "data": [row[name] for row in rows],
        }
        for name in rows[0]
    ]
    status, answer = ask("POST", f"/v2/models/{model}/infer", {"inputs": inputs})
    assert status == 200, answer
    names = [one["name"] for one in answer["outputs"]]
    columns = (one["data"] for one in answer["outputs"])
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


@contextmanager
def running(project: Project) -> Iterator[Ask]:
    """Have `raypipe serve` up, on a Ray of its own."""
    (port,) = free_ports(1)
    said = project.raypipe("serve", "start", "--port", str(port))
    assert said.code == 0, said.err

    def ask(method: str, path: str, body: Any) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, path, json.dumps(body))
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    try:
        yield ask
    finally:
        assert project.raypipe("serve", "stop").code == 0


def offline(project: Project, model: str, rows: pa.Table) -> tuple[list[dict], np.ndarray]:
    """Return what `raypipe score` says of rows, and the scores of the bundle's own parts."""
    pq.write_table(rows, project.folder / "asked.parquet")
    said = project.raypipe("score", model, "asked.parquet", "--out", "scored.parquet")
    assert said.code == 0, said.err
    scored = pq.read_table(project.folder / "scored.parquet")
    workshop = look(project.folder / ".raypipe")
    loaded = load(workshop, find_version(workshop.ledger, model))
    tensors = loaded.transform.apply(rows)
    return scored.to_pylist(), loaded.predictor.scores(tensors)


def check_texts(project: Project, ask: Ask) -> None:
    """Ask for raw texts, some of them odd, and hold the answers against those offline."""
    told = [text_of(n, [one for one in WORDS if n % 3]) for n in range(20)]
    rows = [*({"text": one} for one in told), {"text": "BREAD, and a rocket"}, {"text": None}]
    online = asked(ask, "notes", rows)
    scored, scores = offline(project, "notes", pa.Table.from_pylist(rows))
    outputs = [f"topics_probability_{one}" for one in WORDS]
    assert [[row[name] for name in outputs] for row in online] == scores.tolist()
    assert online == [{name: row[name] for name in online[0]} for row in scored]
    assert online[1]["topics_predicted"] == list(WORDS)
    by_protocol = inferred(ask, "notes", rows)
    for row in by_protocol:
        row["topics_predicted"] = json.loads(row["topics_predicted"])
    assert by_protocol == online


def check_images(project: Project, ask: Ask) -> None:
    """Ask for images in base64, and hold the answers against those of their bytes offline."""
    files = sorted((project.folder / "pictures").rglob("*.png"))[::6]
    contents = [file.read_bytes() for file in files]
    rows = [{"image": base64.b64encode(content).decode()} for content in contents]
    online = asked(ask, "pictures", rows)
    assert inferred(ask, "pictures", rows) == online
    scored, scores = offline(project, "pictures", pa.table({"image": contents}))
    outputs = [f"label_probability_{side}" for side in SIDES]
    assert [[row[name] for name in outputs] for row in online] == scores.tolist()
    assert online == [{name: row[name] for name in online[0]} for row in scored]
    assert [row["label_predicted"] for row in online] == [file.parent.name for file in files]


def test_raw_texts_are_answered_as_they_are_offline(texts: Project) -> None:
    with gateway_of(texts.folder / ".raypipe") as gateway:
        check_texts(texts, gateway.ask)


def test_images_are_answered_as_they_are_offline(images: Project) -> None:
    with gateway_of(images.folder / ".raypipe") as gateway:
        check_images(images, gateway.ask)


@pytest.mark.long
def test_a_folder_of_images_is_scored_as_their_bytes_are(images: Project) -> None:
    folder = images.folder / "pictures"
    files = sorted(folder.rglob("*.png"))
    scored, _ = offline(images, "pictures", pa.table({"image": [f.read_bytes() for f in files]}))
    said = images.raypipe("score", "pictures", "pictures", "--out", "folder.parquet")
    assert said.code == 0, said.err
    answered = pq.read_table(images.folder / "folder.parquet")
    assert answered.select(["path", "label"]).to_pylist() == [
        {"path": str(file.relative_to(folder)), "label": file.parent.name} for file in files
    ]
    for row in scored:
        del row["image"]
    assert answered.drop_columns(["path", "label"]).to_pylist() == scored
    assert images.raypipe("score", "pictures", "pictures", "--out", "folder.csv").code == 0

    wrong = images.folder / "wrong" / "broken.png"
    wrong.parent.mkdir()
    wrong.write_text("no image")
    said = images.raypipe("score", "pictures", "wrong")
    assert (said.code, "broken.png is no image, though it is named as one" in said.err) == (2, True)


@pytest.mark.ray
@pytest.mark.long
def test_one_running_gateway_answers_texts_and_images_as_they_are_offline(
    texts: Project, images: Project
) -> None:
    with running(texts) as ask:
        check_texts(texts, ask)
        check_images(images, ask)
        for command in ("score", "predict"):
            said = images.raypipe(command, "pictures", "pictures", "--out", f"{command}.parquet")
            assert said.code == 0, said.err
    by_score, by_gateway = (
        pq.read_table(images.folder / f"{command}.parquet") for command in ("score", "predict")
    )
    assert by_gateway.select(by_score.column_names) == by_score


def test_the_truth_of_several_labels_is_a_list_and_comes_by_rest_or_by_a_file(
    texts: Project, tmp_path: Path
) -> None:
    """Joined with its requests, measured, captured, and accepted as the next data."""
    shutil.copytree(texts.folder, tmp_path / "texts", symlinks=True)
    project = Project(tmp_path / "texts")
    drawn = np.random.default_rng(1).random((40, len(WORDS))) < 0.5
    truth = [[one for one, is_there in zip(WORDS, row, strict=True) if is_there] for row in drawn]
    rows = [{"text": text_of(1000 + n, topics)} for n, topics in enumerate(truth)]
    with gateway_of(project.folder / ".raypipe") as gateway:
        path = "/v2/models/notes"
        _, answer = gateway.ask("POST", f"{path}/predict", {"rows": rows})
        request = answer["request_id"]
        told = [
            {"request": request, "row": n, "label": truth[n][::-1]} for n in range(20)
        ]  # in whatever order: it is a set
        status, said = gateway.ask("POST", f"{path}/feedback", {"labels": told})
        assert status == 202, said
        wrong = {"labels": [{"request": request, "label": ["food", "war"]}]}
        status, said = gateway.ask("POST", f"{path}/feedback", wrong)
        assert (status, "is a list of classes, of: food, space, sport" in said["error"]) == (
            400,
            True,
        )

    def by_file(name: str, first: int, labels: list) -> None:
        lines = [
            json.dumps({"request_id": request, "request_row": first + n, "topics": one})
            for n, one in enumerate(labels)
        ]
        project.write(name, "\n".join(lines))

    by_file("told.jsonl", 20, truth[20:])
    by_file("wrong.jsonl", 20, [["war"]])
    by_file("text.jsonl", 20, ["food"])
    for name in ("wrong.jsonl", "text.jsonl"):
        said = project.raypipe("feedback", "add", name)
        assert (said.code, "topics is a list of classes, of: food" in said.err) == (2, True)
    added = project.raypipe("feedback", "add", "told.jsonl", "--json").result["feedback"]
    assert (added["kept"], added["matched"]) == (20, 20)
    again = project.raypipe("feedback", "add", "told.jsonl", "--json").result["feedback"]
    assert (again["kept"], again["told_before"]) == (0, 20)

    asks = ("--set", "feedback.least_labels=20", "--set", "feedback.least_rows=10")
    said = project.raypipe("feedback", "join", "notes.yaml", *asks, "--json")
    assert said.code == 0, said.err
    found = said.result
    assert (found["labels"]["joined"], found["labels"]["unfit"]) == (40, 0)
    (quality,) = found["quality"]
    predicted = [row["topics_predicted"] for row in answer["predictions"]]
    right = [
        [(one in a) == (one in b) for one in WORDS] for a, b in zip(predicted, truth, strict=True)
    ]
    assert quality["metrics"]["accuracy"][0] == pytest.approx(np.mean(right))
    assert found["captured"]["rows"] == len({one["text"] for one in rows})
    share = sum("food" in one for one in truth) / len(truth)
    assert found["captured"]["label"]["food"].startswith(f"{share:.1%}, ")

    review = found["reviews"][0]["id"]
    assert project.raypipe("review", "approve", review, "--by", "ada").code == 0
    done = project.raypipe("feedback", "join", "notes.yaml", *asks, "--json")
    assert [one["rows"] for one in done.result["published"]] == [found["captured"]["rows"]]
    known = dict(zip((one["text"] for one in rows), truth, strict=True))
    assert known.items() <= dict(data_of(project, "local://notes/main")).items()


def data_of(project: Project, uri: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the texts and topics of a dataset as it is now."""
    named = parse_uri(uri)
    for shard in dataset_at(uri, open_store(named, project.folder / ".raypipe")).shards:
        with open_location(shard.location) as file:
            for row in pq.read_table(file, columns=["text", "topics"]).to_pylist():
                yield row["text"], row["topics"]
