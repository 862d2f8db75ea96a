"""By the ledger and by content: what learns has seen no row of the analysis split.

Each settings file of configs/ is run on some thousand real flights. Some of those in the analysis
split, and no others, carry values that are found nowhere else.
"""

import importlib.util
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raypipe.app.look import look
from raypipe.config.cycle import CycleConfig
from raypipe.config.load import load
from raypipe.model.streaming.source import Source
from raypipe.stages.data import dataset_at
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.stages.validation.deepchecks.sampling import sample_file
from raypipe.stages.validation.inference import infer_schema
from raypipe.store.versions import open_store
from raypipe.values.dataset import TensorFile
from raypipe.values.profile import Profile, profile_table
from raypipe.values.split import SPLITS, split_of
from raypipe.values.transform import Transform
from raypipe.values.uri import parse_uri
from tests.lakefs import LakeFS
from tests.lineage import Lineage, function_of, holds

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
FLIGHTS = ROOT / "configs" / "flights.yaml"
LOWERED = (
    "training.epochs=1",
    "tuning.trials=2",
    "tuning.epochs=1",
    "tuning.concurrent=1",
    "analysis.resamples=50",
    "analysis.thresholds.auc.at_least=0.1",
)
"""Settings that make a run short; what is connected with what stays as it is."""
STREAMED = ("training.feed=stream", "tuning.space={}")
"""Rows are transformed on the way, and without a sweep, which needs them kept."""
EVERY = 12
"""Of so many flights one is taken."""
PLANTED = {
    "dest": "SEALED-DEST",
    "engine": "SEALED-ENGINE",
    "manufacturer": "SEALED-MAKER",
    "tailnum": "SEALED-TAIL",
}
FAR = 777.25
"""A temperature that only planted rows have."""
MARKS = {*PLANTED.values(), str(FAR)}
pytestmark = pytest.mark.slow


@dataclass(frozen=True, kw_only=True)
class Ran:
    """A settings file that was run to its review."""

    config: CycleConfig
    lineage: Lineage
    months: tuple[pa.Table, ...]

    def rows(self, split: str) -> list[pa.Table]:
        """Return the rows of a split, month by month."""
        rule, number = self.config.data.split, SPLITS.index(split)
        return [month.filter(pa.array(split_of(month, rule) == number)) for month in self.months]


@pytest.fixture(scope="module")
def plain() -> tuple[pa.Table, ...]:
    """Some flights of three months."""
    spec = importlib.util.spec_from_file_location("flights", ROOT / "scripts" / "flights.py")
    assert spec is not None
    assert spec.loader is not None
    flights = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(flights)
    table = flights.build(flights.source_folder())
    some = [table.filter(pa.compute.equal(table["month"], n)) for n in (1, 2, 3)]
    return tuple(month.take(np.arange(0, len(month), EVERY)) for month in some)


@pytest.fixture(scope="module")
def months(plain) -> tuple[pa.Table, ...]:
    """The same, of which half of the analysis rows are marked."""
    rules = {load(file).data.split for file in CONFIGS}
    assert len(rules) == 1, "settings that split otherwise need rows that are marked for them"
    (rule,) = rules
    return tuple(planted(month, rule) for month in plain)


def planted(table: pa.Table, rule: object) -> pa.Table:
    """Mark every second row of the analysis split."""
    sealed = np.flatnonzero(split_of(table, rule) == SPLITS.index("analysis"))[::2]
    chosen = np.isin(np.arange(len(table)), sealed)
    assert chosen.any()
    for name, value in {**PLANTED, "temp": FAR}.items():
        kind = table.schema.field(name).type
        told = pa.compute.if_else(pa.array(chosen), pa.scalar(value, kind), table[name])
        table = table.set_column(table.schema.get_field_index(name), name, told)
    return table


def to_review(
    file: Path,
    months: tuple[pa.Table, ...],
    folder: Path,
    sets: tuple[str, ...] = LOWERED,
    reached_by: Mapping[str, str] | None = None,
) -> Ran:
    """Import flights and run a settings file on them, inline, to its review."""
    changed = [part for one in sets for part in ("--set", one)]
    config = load(file, sets)
    told = {"RAYPIPE_HOME": str(folder / "home"), "RAYPIPE_DEEPCHECKS": "/no"}
    environment = {**os.environ, **told, **(reached_by or {})}

    def raypipe(*arguments: object) -> dict:
        done = subprocess.run(
            [sys.executable, "-m", "raypipe", *map(str, arguments), "--json"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return json.loads(done.stdout.strip().splitlines()[-1])

    files = [folder / f"{number}.parquet" for number in range(len(months))]
    for path, month in zip(files, months, strict=True):
        pq.write_table(month, path)
    to = ("--to", config.data.dataset, "--config", file, "--create")
    raypipe("data", "import", *files, *to)
    waiting = raypipe("run", file, "--runtime", "inline", *changed)
    assert waiting["status"] == "waiting"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        workshop = look(folder / "home")
        versions = open_store(parse_uri(config.data.dataset), workshop.paths.home)
        dataset = dataset_at(config.data.dataset, versions)
    lineage = Lineage(workshop=workshop, dataset=dataset, run=waiting["run"])
    return Ran(config=config, lineage=lineage, months=months)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(file, marks=[] if file == FLIGHTS else [pytest.mark.long]) for file in CONFIGS
    ],
    ids=lambda file: file.name,
)
def ran(request, months, tmp_path_factory) -> Ran:
    """A settings file, run to its review on the marked flights."""
    file: Path = request.param
    sets, reached_by = LOWERED, {}
    if parse_uri(load(file).data.dataset).scheme == "lakefs":
        server: LakeFS = request.getfixturevalue("lakefs_server")
        reached_by = server.lakectl
        # Other tests of this process have flights of their own in that server.
        sets = (*sets, f"data.dataset=lakefs://lineage-{secrets.token_hex(6)}/main")
    folder = tmp_path_factory.mktemp("lineage")
    return to_review(file, months, folder, sets, reached_by)


@pytest.fixture(scope="module")
def streamed(months, tmp_path_factory) -> Ran:
    """The cycle with its rows streamed, on the marked flights."""
    sets = (*LOWERED, *STREAMED)
    return to_review(FLIGHTS, months, tmp_path_factory.mktemp("streamed"), sets)


def test_no_learning_step_was_given_an_artifact_with_analysis_rows(ran):
    learned = {function_of(result.step) for result in ran.lineage.learning()}
    assert learned == {"fit", "trial", "choose", "train"}
    assert ran.lineage.unsealed() == []


def test_what_a_learning_step_was_given_is_all_in_the_ledger(ran):
    """Also what does not count in its key: else the walk would not see it."""
    given = {function_of(r.step): {*ran.lineage.given(r)} for r in ran.lineage.learning()}
    shards = range(len(ran.months))
    assert given["fit"] == {"schema", "train"}
    assert {f"train[{n}]" for n in shards} < given["train"]
    assert {f"rows[0][{part}][{n}]" for part in (0, 1) for n in shards} < given["trial"]


def test_nothing_that_learns_comes_from_what_was_measured_on_the_analysis_split(ran):
    for result in ran.lineage.learning():
        assert not {"evaluate", "judge", "report", "bless"} & ran.lineage.ancestors(result)


def test_the_walk_sees_analysis_rows_where_they_are(ran):
    """It goes by origin: the profile of all rows, and what is made from it, is named."""
    results = ran.lineage.results
    whole = results["merge_profiles"].root
    sealed, _ = ran.lineage.workshop.codec.field(
        ran.lineage.workshop.artifacts.read(whole), ("analysis",)
    )
    assert ran.lineage.holds_analysis_rows(whole)
    assert ran.lineage.holds_analysis_rows(sealed)
    assert ran.lineage.holds_analysis_rows(results["evaluate"].root)
    assert ran.lineage.holds_analysis_rows(results["validate"].root)


def test_no_mark_of_an_analysis_row_stands_in_what_learning_steps_read(ran):
    lineage = ran.lineage
    for result in lineage.learning():
        for name, digest in lineage.given(result).items():
            if name != "schema":  # it says what values may be, and `fit` takes none of them
                assert holds(lineage.value(digest), MARKS) == set(), f"{result.step}.{name}"
        assert holds(lineage.part(result), MARKS) == set(), result.step
    # The search can find them: where they may be, they are.
    assert holds(lineage.part(lineage.results["merge_profiles"], "analysis"), MARKS) == MARKS
    assert holds(lineage.part(lineage.results["infer"]), MARKS) >= {PLANTED["engine"]}


def test_samples_are_of_the_rows_of_their_split(ran):
    profiles = ran.lineage.part(ran.lineage.results["merge_profiles"])
    for split in SPLITS:
        own = pa.concat_tables(ran.rows(split)).select(ran.config.data.key)
        keys = {tuple(row.values()) for row in own.to_pylist()}
        drawn = getattr(profiles, split).sample.rows.select(ran.config.data.key).to_pylist()
        assert drawn
        assert {tuple(row.values()) for row in drawn} <= keys


def test_what_deepchecks_is_given_has_no_mark(ran, tmp_path):
    """Of every shard, with room for all of its rows."""
    data, rows = ran.config.data, 0
    for month in ran.months:
        pq.write_table(month, tmp_path / "month.parquet")
        sample = sample_file(str(tmp_path / "month.parquet"), data.split, data.key, len(month))
        assert holds([sample.train, sample.validation], MARKS) == set()
        rows += sample.train.num_rows + sample.validation.num_rows
    assert rows == sum(map(len, [*ran.rows("train"), *ran.rows("validation")]))


def test_the_transform_is_what_train_rows_alone_give(ran):
    """To the bit: even the schema is one that no other row had a part in."""
    config, lineage = ran.config, ran.lineage
    train = Profile.merge_all(profile_table(rows, config.data.key) for rows in ran.rows("train"))
    schema = infer_schema(config.name, train, config.data, config.validation)
    fitted: Transform = lineage.part(lineage.results["fit"])
    code = {g.function: g.code for g in fitted.groups if hasattr(g, "function")}
    groups = config.preprocessing.groups
    alone = fit_transform(
        train, groups, schema, config.data.label, config.training.task, code_of=code.__getitem__
    )
    assert lineage.workshop.codec.encode(alone).digest == lineage.results["fit"].root


def test_tensors_are_of_the_train_and_validation_rows_and_no_others(ran):
    lineage = ran.lineage
    transform: Transform = lineage.part(lineage.results["fit"])
    for split in ("train", "validation"):
        for number, rows in enumerate(ran.rows(split)):
            kept: TensorFile = lineage.part(lineage.results[f"transform_shards[{number}]"], split)
            table = pq.read_table(kept.file)
            assert table.num_rows == kept.rows == rows.num_rows > 0
            for name, tensor in transform.apply(rows).items():
                there = np.array(table[name].to_pylist(), tensor.dtype)
                assert np.array_equal(there, tensor), (split, number, name)


def test_the_one_look_at_the_analysis_split_is_counted(ran):
    workshop = ran.lineage.workshop
    digest = workshop.codec.encode(ran.lineage.dataset).digest
    assert workshop.ledger.looks(digest) == 1


# --- rows that are streamed -----------------------------------------------------------------------


def test_a_stream_is_given_raw_rows_with_the_rule_that_seals_them_and_nothing_else(streamed):
    """Its shards are those of the commit; no artifact with analysis rows is among its inputs."""
    lineage = streamed.lineage
    assert {function_of(one.step) for one in lineage.learning()} == {"fit", "train"}
    assert not [name for name in lineage.results if function_of(name) == "transform_shards"]
    given = lineage.results["train"].explanation.parameters
    encode = lineage.workshop.codec.encode
    assert given["rule"] == encode(streamed.config.data.split).digest
    assert lineage.unsealed() == ["train.shards: raw rows"]
    for result in lineage.learning():
        assert not {"evaluate", "judge", "report", "bless"} & lineage.ancestors(result)


def test_a_stream_reads_the_train_and_validation_rows_and_no_others(streamed):
    lineage, rule = streamed.lineage, streamed.config.data.split
    transform: Transform = lineage.part(lineage.results["fit"])
    assert holds(transform, MARKS) == set()
    source = Source(
        shards=lineage.dataset.shards, transform=transform, rule=rule, paths=(str(ROOT),)
    )
    for split in ("train", "validation"):
        read = source.share(source.count(split).pieces, split)
        own = transform.apply(pa.concat_tables(streamed.rows(split)))
        for name, tensor in own.items():
            there = read.tensors[name].numpy()
            assert np.array_equal(there, tensor.reshape(there.shape)), (split, name)


def test_what_a_stream_learned_is_the_same_whatever_the_analysis_rows_say(
    streamed, plain, tmp_path
):
    """To the bit: the weights of a run whose sealed rows carry no marks."""
    other = to_review(FLIGHTS, plain, tmp_path, (*LOWERED, *STREAMED))
    marked, unmarked = (ran.lineage for ran in (streamed, other))
    assert marked.results["evaluate"].root != unmarked.results["evaluate"].root
    assert marked.results["fit"].root == unmarked.results["fit"].root
    learned = [one.part(one.results["train"], "candidate").weights for one in (marked, unmarked)]
    assert learned[0].read_bytes() == learned[1].read_bytes()
