"""Every file of configs/ is run on real rows, and its ledger says that the seal was kept."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raypipe.config.load import load
from tests import lineage
from tests.conftest import Project
from tests.lakefs import LakeFS

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
ROWS = 6000
SMALL = ("training.epochs=1", "tuning.trials=1", "tuning.epochs=1", "analysis.resamples=50")
pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def flights(tmp_path_factory) -> Path:
    """Some days of each of the first months, as `scripts/flights.py` makes them."""
    folder = tmp_path_factory.mktemp("flights")
    subprocess.run([sys.executable, ROOT / "scripts" / "flights.py", folder], check=True)
    month = pq.read_table(folder / "2013-01.parquet")
    pq.write_table(month.slice(0, ROWS), folder / "few.parquet")
    pq.write_table(month.slice(ROWS, ROWS), folder / "more.parquet")
    return folder


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.name)
def test_no_recorded_learning_step_was_given_analysis_rows(
    file: Path, flights: Path, tmp_path: Path, lakefs_server: LakeFS, monkeypatch
) -> None:
    for name, text in lakefs_server.lakectl.items():
        monkeypatch.setenv(name, text)
    home = tmp_path / "home"
    monkeypatch.setenv("RAYPIPE_HOME", str(home))
    config = load(file)
    scheme, _, rest = config.data.dataset.partition("://")
    dataset = f"{scheme}://{rest.partition('/')[0]}-{os.urandom(4).hex()}/main"
    sets = [word for one in (f"data.dataset={dataset}", *SMALL) for word in ("--set", one)]
    settings = ROOT / "configs" / file.name
    files = [str(flights / name) for name in ("few.parquet", "more.parquet")]
    project = Project(ROOT)
    said = project.raypipe("data", "import", *files, "--to", dataset, "--create", "--json")
    assert said.code == 0, said.err
    done = project.raypipe(
        "run", str(settings), *sets, "--runtime", "inline", "--json", timeout=300
    )
    steps = {one["name"].partition("[")[0] for one in done.result["steps"] if one["digest"]}
    learned = {"choose"} if config.tuning.space else set()
    assert {"fit", "transform_shards", "train", "evaluate"} | learned <= steps, done.out + done.err

    found, looked = lineage.unsealed(home, config.name)
    assert found == []
    assert looked > 10
    for step in ("transform_shards", "merge_profiles"):
        monkeypatch.setitem(lineage.OPEN, step, ("validation",))
    closed = lineage.unsealed(home, config.name)[0]
    assert any("transform_shards.train" in one for one in closed)
    assert "fit.train: merge_profiles.train" in closed
