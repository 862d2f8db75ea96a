"""Texts, lists and images, from files to a gateway's answers: the same one by one as in bulk."""

import base64
import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from raypipe.app.look import look
from raypipe.app.routes import served as versions
from raypipe.stages.serving.declare import Gateway as Place
from raypipe.stages.serving.declare import user_config
from tests.acceptance import tiny
from tests.acceptance.test_gateway_http import Up, listening
from tests.conftest import Project

pytestmark = pytest.mark.slow

SETTINGS = """
name: {name}
data:
  dataset: local://{name}/main
  label: label
  split: {{by: hash, columns: [{key}]}}
preprocessing:
  groups:
{groups}
training:
  task: {task}
  model: {model}
  epochs: 6
  batch_size: 64
  learning_rate: {rate}
analysis: {{resamples: 50, thresholds: {{{threshold}}}}}
registry: {{promote: true}}
"""
READER = '''
"""A model that reads any tensors."""
import torch
from torch import nn


class Reader(nn.Module):
    def __init__(self, signature):
        super().__init__()
        self.specs = signature.tensors
        self.tables = nn.ModuleDict(
            {s.name: nn.EmbeddingBag(s.cardinalities[0], 8) for s in self.specs if s.cardinalities}
        )
        width = sum(8 if s.cardinalities else torch.Size(s.shape).numel() for s in self.specs)
        self.head = nn.Linear(width, signature.label.outputs)

    def forward(self, tensors):
        parts = [
            self.tables[s.name](tensors[s.name]) if s.cardinalities else tensors[s.name].flatten(1)
            for s in self.specs
        ]
        return self.head(torch.cat(parts, dim=1))


def build(signature):
    return Reader(signature)
'''
TEXTS = """    - {kind: text, columns: [title], length: 8, min_count: 1}
    - {kind: multi_hot, columns: [tags]}
    - {kind: date, columns: [at]}
    - {kind: hashing, columns: [id], buckets: 16, output: one_hot}
"""
NUMBERS = """    - {kind: numeric, columns: [size], log: true}
    - {kind: one_hot, columns: [place]}
  label: {log: true, scale: standard}
"""
IMAGES = "    - {kind: image, columns: [image], size: [6, 6]}\n"


def start(folder: Path, **given: str) -> Project:
    """Make a project with settings and a model."""
    default = {
        "threshold": "accuracy: {at_least: 0.9}",
        "model": '{build: "my_reader:build"}',
        "rate": "0.05",
    }
    given = {**default, **given}
    folder.mkdir()
    project = Project(folder)
    project.write("pyproject.toml", "[project]\nname = 'mine'\nversion = '0'\n")
    project.write("my_reader.py", READER)
    project.write("tiny.yaml", SETTINGS.format(**given))
    return project


@contextlib.contextmanager
def served(project: Project, name: str, source: str) -> Iterator[Callable[..., dict[str, list]]]:
    """Import, run, approve, register, serve; yield what asks for rows."""
    said = project.raypipe(
        "data", "import", source, "--to", f"local://{name}/main", "--config", "tiny.yaml"
    )
    assert said.code == 0, said.err
    said = tiny.run(project)
    assert said.result["status"] == "waiting", said.result["error"]
    tiny.approve(project)
    said = tiny.run(project)
    assert said.result["status"] == "succeeded", said.result["error"]
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
    with listening(project.folder / "log", user_config(place, versions(look(home), keep=3))) as up:
        yield lambda *rows: _answers(up, name, rows)


def _answers(up: Up, name: str, rows: Sequence[dict]) -> dict[str, list]:
    """Ask for rows all at once and one by one; both must be equal to the bit."""
    path = f"/v2/models/{name}/predict"
    whole = up.post(path, {"rows": rows}).json["predictions"]
    single = [up.post(path, {"rows": [row]}).json["predictions"][0] for row in rows]
    assert whole == single
    return {output: [row[output] for row in whole] for output in whole[0]}


@pytest.mark.long
def test_a_model_of_texts_lists_and_moments(tmp_path):
    draw = np.random.default_rng(0)
    project = start(tmp_path / "texts", name="texts", key="id", groups=TEXTS, task="binary")
    good = draw.integers(0, 2, 400).astype(bool)
    words = np.array([["awful film", "dull, weak"], ["Fine film", "lovely, strong"]])
    rows = pa.table(
        {
            "id": [f"r{i}" for i in range(400)],
            "title": [f"A {words[int(g), i % 2]} no {i}" for i, g in enumerate(good)],
            "tags": [["x"] if i % 3 else ["x", "y"] for i in range(400)],
            "at": pa.array(draw.integers(0, 2**50, 400), pa.timestamp("us", tz="UTC")),
            "label": good,
        }
    )
    pq.write_table(rows, project.folder / "texts.parquet")
    row = {"id": "new", "title": "a fine film", "tags": ["y", "z"], "at": "2024-01-01T10:00:00Z"}
    odd = {"id": None, "title": "", "tags": [], "at": None}
    with served(project, "texts", "texts.parquet") as ask:
        said = ask(row, {**row, "title": "AWFUL film"}, odd, {**odd, "tags": None})
    assert said["label_predicted"][:2] == [True, False]


@pytest.mark.long
def test_a_model_of_texts_that_are_of_several_topics(tmp_path):
    project = start(
        tmp_path / "topics",
        name="topics",
        key="id",
        groups="    - {kind: text, columns: [title], length: 8, tokenizer: words}\n",
        task="multilabel",
        model="{kind: text_classifier, width: 16}",
        threshold="auc: {at_least: 0.95}",
    )
    words = {"space": "rocket", "sport": "football", "food": "bread"}
    topics = [[t for place, t in enumerate(words) if n >> place & 1] for n in range(400)]
    rows = pa.table(
        {
            "id": range(400),
            "title": [
                " and ".join(["one", *(words[t] for t in some), f"no {n}"])
                for n, some in enumerate(topics)
            ],
            "label": pa.array(topics, pa.list_(pa.string())),
        }
    )
    pq.write_table(rows, project.folder / "topics.parquet")
    with served(project, "topics", "topics.parquet") as ask:
        said = ask({"title": "Bread and a rocket"}, {"title": "FOOTBALL"}, {"title": None})
    assert said["label_predicted"][:2] == [["food", "space"], ["sport"]]
    assert {"label_probability_food", "label_probability_space"} <= said.keys()


@pytest.mark.long
def test_a_model_of_a_folder_of_images(tmp_path):
    draw = np.random.default_rng(0)
    project = start(
        tmp_path / "images",
        name="images",
        key="path",
        groups=IMAGES,
        task="multiclass",
        model="{kind: image_classifier, widths: [8, 16]}",
        rate="0.01",
    )
    for number in range(360):
        kind = ("left", "right", "none")[number % 3]
        pixels = draw.integers(0, 90, (8, 9, 3), np.uint8)
        if kind != "none":
            pixels[:, : 4 if kind == "left" else None] += np.uint8(120)
        file = project.folder / "pictures" / kind / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    sent = []
    for kind in ("left", "right", "none"):
        content = next((project.folder / "pictures" / kind).glob("*.png")).read_bytes()
        sent.append({"image": base64.b64encode(content).decode()})
    grey = io.BytesIO()
    Image.new("L", (30, 20), 200).save(grey, "JPEG")
    sent += [{"image": base64.b64encode(grey.getvalue()).decode()}, {"image": None}]
    with served(project, "images", "pictures") as ask:
        assert ask(*sent)["label_predicted"][:3] == ["left", "right", "none"]


@pytest.mark.long
def test_a_price_is_learned_by_its_logarithm_and_told_as_it_is(tmp_path):
    draw = np.random.default_rng(0)
    project = start(
        tmp_path / "prices",
        name="prices",
        key="id",
        groups=NUMBERS,
        task="regression",
        threshold="r2: {at_least: 0.9}",
    )
    size, place = draw.uniform(20, 200, 500), draw.integers(0, 3, 500)
    price = size * 3_000 * 1.5**place * draw.lognormal(0, 0.05, 500)
    names = [("out", "near", "in")[one] for one in place]
    rows = pa.table({"id": range(500), "size": size, "place": names, "label": price.round()})
    pq.write_table(rows, project.folder / "prices.parquet")
    sent = [{"size": 100.0, "place": "near"}, {"size": 100.0, "place": "in"}]
    with served(project, "prices", "prices.parquet") as ask:
        near, central = ask(*sent)["label_predicted"]
    assert near == pytest.approx(450_000, rel=0.1)
    assert central == pytest.approx(675_000, rel=0.1)
