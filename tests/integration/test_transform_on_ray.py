"""Shards transformed by Ray Data, on a Ray of the test's own."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.config.data import ColumnSplit
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.errors import CodeReferenceError, StepFailed, UsageError
from raypipe.stages.data.profiling import profile_splits
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.stages.preprocessing.looking import look_at_shard
from raypipe.stages.preprocessing.questions import Words
from raypipe.stages.preprocessing.shards import Work, transform_shard
from raypipe.values.dataset import Shard, TransformedShard
from raypipe.values.schema import Column, Schema

pytestmark = [
    pytest.mark.ray,
    # Ray warns of its own defaults wherever it makes a context for its data.
    pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ray.util.annotations.RayDeprecationWarning"),
]

RULE = ColumnSplit(column="split")
SCHEMA = Schema(
    name="s",
    columns=(
        Column(name="x", type="double"),
        Column(name="late", type="bool", roles=("label",)),
        Column(name="split", type="string"),
    ),
)


@pytest.fixture(scope="module")
def own_ray(ray_token: Path) -> Iterator[None]:
    """A Ray of two CPUs, with no trace left."""
    import ray

    folder = tempfile.mkdtemp(prefix="rp-t-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(ray_token))
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            _temp_dir=folder,
        )
    yield
    ray.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


def shards_in(folder: Path, count: int) -> list[Shard]:
    """Write shards of different lengths."""
    made = []
    for number in range(count):
        rows = 10 + number
        table = pa.table(
            {
                "x": [float(number * 100 + i) for i in range(rows)],
                "late": [i % 2 == 0 for i in range(rows)],
                "split": [("train", "validation", "analysis")[i % 3] for i in range(rows)],
            }
        )
        file = folder / f"{number}.parquet"
        pq.write_table(table, file)
        made.append(
            Shard(path=file.name, object_id=f"blake2b:{number}", size=1, location=str(file))
        )
    return made


def work_for(shards: list[Shard], folder: Path, function: str, *paths: Path) -> Work:
    """Fit a recipe with a user's function to the first shard."""
    recipe = PreprocessingConfig.model_validate(
        {
            "groups": [
                {"kind": "numeric", "columns": "x"},
                {"kind": "function", "columns": "x", "function": function},
            ]
        }
    )
    profiles = profile_splits(pq.read_table(shards[0].location), RULE, ())
    transform = fit_transform(profiles.train, recipe.groups, SCHEMA, "late", "binary")
    folder.mkdir()
    return Work(transform=transform, rule=RULE, folder=folder, paths=tuple(map(str, paths)))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's project that no worker has on its path."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "mine_on_ray.py").write_text(
        "def double(rows):\n    return rows['x'].to_numpy() * 2\n\n\n"
        "def fail(rows):\n    raise ZeroDivisionError('mine')\n\n\n"
        "def wrong(rows):\n    return None\n"
    )
    return root


def files_of(made: TransformedShard) -> list[tuple[int, bytes]]:
    """Rows and bytes of both files."""
    return [(file.rows, file.file.read_bytes()) for file in (made.train, made.validation)]


def test_ray_data_writes_what_one_process_would(own_ray, tmp_path, project, monkeypatch):
    from raypipe.stages.preprocessing.on_ray import transform_on_ray

    shards = shards_in(tmp_path, 5)
    said: list[tuple[float, float]] = []
    work = work_for(shards, tmp_path / "ray", "mine_on_ray:double", project)
    made = transform_on_ray(shards, work, lambda done, total, what: said.append((done, total)))
    here = work_for(shards, tmp_path / "here", "mine_on_ray:double", project)
    assert [files_of(one) for one in made] == [
        files_of(transform_shard(shard, here)) for shard in shards
    ]
    assert said == [(n, 5) for n in range(6)]


@pytest.mark.parametrize(
    ("function", "kind", "said"),
    [
        ("mine_on_ray:fail", StepFailed, r"^transforming .* raised ZeroDivisionError: mine$"),
        ("mine_on_ray:wrong", UsageError, "^The function mine_on_ray:wrong returned NoneType"),
        ("mine_on_ray:nothing", CodeReferenceError, "^mine_on_ray:nothing: module mine_on_ray has"),
    ],
)
def test_what_goes_wrong_on_a_worker_is_said_without_rays_frames(
    own_ray, tmp_path, project, function, kind, said
):
    from raypipe.stages.preprocessing.on_ray import transform_on_ray

    shards = shards_in(tmp_path, 2)
    work = work_for(shards, tmp_path / "out", function, project)
    with pytest.raises(kind, match=said) as raised:
        transform_on_ray(shards, work, lambda *_: None)
    assert "Ray" not in str(raised.value)
    if isinstance(raised.value, StepFailed):
        assert "mine_on_ray.py" in raised.value.frames
        assert "site-packages/ray" not in raised.value.frames


def test_settings_of_ray_data_are_put_back(own_ray, tmp_path, project):
    from ray.data import DataContext

    from raypipe.stages.preprocessing.on_ray import transform_on_ray

    before = DataContext.get_current()
    bars, level = before.enable_progress_bars, logging.getLogger("ray.data").level
    shards = shards_in(tmp_path, 1)
    transform_on_ray(
        shards,
        work_for(shards, tmp_path / "out", "mine_on_ray:double", project),
        lambda *_: None,
    )
    assert DataContext.get_current().enable_progress_bars == bars
    assert logging.getLogger("ray.data").level == level


def test_a_look_at_the_rows_is_the_same_as_in_process(own_ray, tmp_path):
    from raypipe.stages.preprocessing.on_ray import look_on_ray

    shards, asked = shards_in(tmp_path, 3), (Words(columns=("split",), lowercase=True),)
    handed: dict[int, pa.Table] = {}
    looks = look_on_ray(shards, asked, RULE, (), lambda *told: None, handed.__setitem__)
    here = [look_at_shard(shard, asked, RULE) for shard in shards]
    assert [look.to_pylist() for look in looks] == [look.to_pylist() for look in here]
    assert looks[0].to_pylist() == [{"question": 0, "what": "train", "count": 4}]
    assert handed == dict(enumerate(looks))
