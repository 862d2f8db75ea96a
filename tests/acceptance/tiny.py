"""A tiny dataset and its settings: a few hundred rows, whole days, code of the user's."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.conftest import Project, Said

SETTINGS = """
name: tiny
data:
  dataset: local://tiny/main
  label: late
  key: [number]
  split: {by: group, columns: [day]}
validation:
  drift: {threshold: 0.9}
preprocessing:
  groups:
    - {kind: numeric, columns: [wind, miles]}
    - {kind: embedding, columns: [carrier]}
    - {kind: function, columns: [wind, miles], function: "my_features:add", width: 1}
training:
  model: {kind: custom, build: "my_model:build"}
  epochs: 2
  batch_size: 64
analysis:
  slices: [carrier]
  smallest_slice: 20
  resamples: 50
  largest_loss: 1.0
"""

FEATURES = '''
"""Features of the user's."""
from my_helpers import half

SCALE = 1.0


def add(table):
    # wind and way together
    return half(table["wind"].to_numpy() + table["miles"].to_numpy() / 1000) * SCALE
'''

HELPERS = """
def half(values):
    return values / 2
"""

MODEL = '''
"""A model of the user's."""
import torch
from torch import nn

WIDTH = 8


class Net(nn.Module):
    def __init__(self, signature):
        super().__init__()
        dense = signature.tensor("dense").shape[0]
        indices = signature.tensor("indices")
        self.embedding = nn.Embedding(indices.cardinalities[0], 2)
        self.layers = nn.Sequential(nn.Linear(dense + 2, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1))

    def forward(self, tensors):
        place = self.embedding(tensors["indices"][:, 0])
        return self.layers(torch.cat([tensors["dense"], place], dim=1))


def build(signature):
    return Net(signature)
'''


def rows(first_day: int, days: int = 20, a_day: int = 20, seed: int = 0) -> pa.Table:
    """Return some days of rows; the label follows from wind, carrier and the day."""
    random = np.random.default_rng(seed + first_day)
    count = days * a_day
    day = np.repeat(np.arange(first_day, first_day + days), a_day)
    wind = random.gamma(2, 5, count)
    carrier = random.integers(0, 3, count)
    mood = random.normal(0, 0.5, days)[day - first_day]
    late = wind / 10 - 1.2 + carrier * 0.4 + mood + random.logistic(0, 0.7, count) > 0
    return pa.table(
        {
            "number": np.arange(count) + first_day * a_day,
            "day": [date(2024, 1, 1) + timedelta(days=int(d)) for d in day],
            "wind": wind,
            "miles": random.uniform(100, 2000, count).round(),
            "carrier": [("AA", "BB", "CC")[c] for c in carrier],
            "late": late,
        }
    )


def write_shard(project: Project, name: str, table: pa.Table) -> str:
    """Write a file to import."""
    path = project.folder / "incoming" / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)
    return str(Path("incoming", f"{name}.parquet"))


def import_shards(project: Project, *names: str) -> None:
    """Import files into the tiny dataset; they must pass."""
    said = project.raypipe(
        "data", "import", *names, "--to", "local://tiny/main", "--config", "tiny.yaml"
    )
    assert said.code == 0, said.err


def make(project: Project) -> Project:
    """Write settings and code, and import three shards."""
    project.write("tiny.yaml", SETTINGS)
    project.write("my_features.py", FEATURES)
    project.write("my_helpers.py", HELPERS)
    project.write("my_model.py", MODEL)
    import_shards(project, *(write_shard(project, f"part{n}", rows(n * 20)) for n in range(3)))
    return project


def run(project: Project, *arguments: str):
    """Run the cycle inline and return what was said, whatever the exit code."""
    return project.raypipe("run", "tiny.yaml", "--runtime", "inline", "--json", *arguments)


def approve(project: Project, note: str = "good") -> Said:
    """Approve the newest review; the same again changes nothing."""
    review = project.raypipe("review", "list", "--json").result["reviews"][0]["id"]
    said = project.raypipe("review", "approve", review, "--by", "ada", "--note", note)
    assert said.code == 0, said.err
    return said
