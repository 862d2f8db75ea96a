"""The cycle of a model, from data to a reviewed version, as a person runs it."""

import os
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from raypipe.app.look import look
from raypipe.values.evaluation import Evaluation
from tests.acceptance import tiny
from tests.conftest import Project


def stages(said) -> dict[str, set[str]]:
    """Action to the stages that had it, items of a batch together."""
    found: dict[str, set[str]] = {}
    for name, action in said.actions.items():
        found.setdefault(action, set()).add(name.partition("[")[0].partition("#")[0])
    return found


def test_a_run_waits_for_the_review_and_goes_on_after_it(imported: Project) -> None:
    project = imported
    waiting = tiny.run(project)
    assert (waiting.code, waiting.result["status"]) == (0, "waiting")
    assert tiny.run(project, "--require-done").code == 3
    assert tiny.run(project).executed == []

    shown = project.raypipe("review", "show", waiting.result["reviews"][0]["id"])
    assert "auc" in shown.out
    assert f"raypipe review approve {waiting.result['reviews'][0]['id']}" in shown.out
    assert "(approved" not in project.raypipe("runs", "list").out
    approved = tiny.approve(project)
    assert "It goes on with: raypipe run tiny.yaml" in approved.out
    assert "is already approved" in tiny.approve(project).out
    assert "waiting (approved: run again)" in project.raypipe("runs", "list").out
    run = waiting.result["run"]
    assert "status: waiting (approved: run again)" in project.raypipe("runs", "show", run).out
    shown = project.raypipe("runs", "show", run, "--json").result["run"]
    assert shown["undeclared"] == []  # raypipe's own steps read nothing that they were not given

    done = tiny.run(project)
    assert done.result["status"] == "succeeded"
    assert "waiting (approved)" in project.raypipe("runs", "list").out
    assert "run again" not in project.raypipe("runs", "list").out
    assert done.executed == ["register"]
    assert "1.0.0" in project.raypipe("models", "list").out
    assert tiny.run(project).executed == []


def test_the_lineage_of_a_version_names_its_review(registered: Project) -> None:
    lineage = registered.raypipe("lineage", "tiny", "--json").result["lineage"]
    assert lineage["review"]["status"] == "approved"
    assert lineage["review"]["step"] == "review_model"


@pytest.mark.long
def test_a_version_shows_how_often_its_analysis_split_was_looked_at(registered: Project) -> None:
    def looks() -> int:
        said = registered.raypipe("models", "show", "tiny@1.0.0", "--json")
        return said.result["model"]["looks at its analysis split"]

    assert looks() == 1
    tiny.run(registered)  # all of it is kept, and nobody looks
    assert looks() == 1
    tiny.run(registered, "--set", "training.epochs=3")
    assert looks() == 2
    tiny.import_shards(registered, tiny.write_shard(registered, "part3", tiny.rows(60)))
    tiny.run(registered)  # at the rows of another dataset
    assert looks() == 2


def test_new_data_makes_a_patch_and_transforms_only_what_is_new(registered: Project) -> None:
    project = registered
    tiny.import_shards(project, tiny.write_shard(project, "part3", tiny.rows(60)))

    plan = project.raypipe("plan", "tiny.yaml", "--json")
    assert plan.executed == ["transform_shards[3]"]
    tiny.run(project)
    tiny.approve(project)
    tiny.run(project)

    shown = project.raypipe("models", "show", "tiny", "--json").result["model"]
    assert shown["version"] == "1.0.1"
    assert "400 rows added (1,600 in all)" in shown["changelog"]["data"]
    assert "shard part-part3.parquet added" in shown["changelog"]["data"]


def test_another_split_fits_the_recipe_anew(trained: Project) -> None:
    plan = trained.raypipe("plan", "tiny.yaml", "--set", "data.split.salt=zzz", "--json")
    assert "hit" not in stages(plan) or "fit" not in stages(plan)["hit"]
    assert tiny.run(trained, "--set", "data.split.salt=zzz").actions["fit"] == "execute"


@pytest.mark.long
def test_a_schema_file_that_was_deleted_is_inferred_from_the_rows_of_now(trained: Project) -> None:
    project = trained
    schema = project.folder / ".raypipe" / "schemas" / "tiny.yaml"
    schema.unlink()
    assert tiny.run(project).executed == []
    before = schema.read_text()

    other = tiny.rows(60)
    carriers = pa.array(["ZZ"] * other.num_rows)
    other = other.set_column(other.schema.get_field_index("carrier"), "carrier", carriers)
    schema.unlink()
    tiny.import_shards(project, tiny.write_shard(project, "part3", other))
    assert "infer" in tiny.run(project).executed
    assert schema.read_text() != before
    assert "ZZ" in schema.read_text()


def test_a_rejected_candidate_ends_the_run_and_says_who_and_why(trained: Project) -> None:
    project = trained
    review = tiny.run(project).result["reviews"][0]["id"]
    said = project.raypipe("review", "reject", review, "--by", "bob", "--note", "too late")
    assert said.code == 0

    rejected = tiny.run(project)

    assert rejected.code == 5
    assert rejected.result["status"] == "rejected"
    assert "by bob: too late" in rejected.result["error"]["message"]
    assert project.raypipe("models", "list", "--json").result["models"] == []
    assert project.raypipe("review", "approve", review, "--by", "eve").code == 2


def test_a_candidate_below_its_threshold_is_not_blessed(trained: Project) -> None:
    project = trained
    said = tiny.run(project, "--set", "analysis.thresholds.auc.at_least=0.999")

    assert said.code == 5
    assert "below 0.999" in said.result["error"]["message"]
    assert said.executed == ["judge", "report", "bless"]
    report = re.search(r"report (\S+\.html);", said.result["error"]["hint"])
    assert report is not None
    assert "below 0.999" in Path(report[1]).read_text()


def test_bad_data_is_stopped_on_its_branch_and_main_never_sees_it(imported: Project) -> None:
    project = imported
    before = project.raypipe("data", "show", "local://tiny/main", "--json").result["dataset"]
    bad = tiny.rows(80).drop_columns("wind")
    said = project.raypipe(
        "data", "import", tiny.write_shard(project, "bad", bad),
        "--to", "local://tiny/main", "--config", "tiny.yaml",
    )  # fmt: skip

    assert said.code == 4
    assert "wind" in said.err
    after = project.raypipe("data", "show", "local://tiny/main", "--json").result["dataset"]
    assert after == before


def test_duplicate_keys_stop_an_import(imported: Project) -> None:
    project = imported
    said = project.raypipe(
        "data", "import", tiny.write_shard(project, "again", tiny.rows(0, days=1)),
        "--to", "local://tiny/main", "--config", "tiny.yaml",
    )  # fmt: skip

    assert said.code == 4
    assert "key" in said.err


def test_the_schema_file_is_the_persons_to_edit(trained: Project) -> None:
    project = trained
    schema = project.folder / ".raypipe" / "schemas" / "tiny.yaml"
    assert tiny.run(project).executed == []

    text = schema.read_text()
    assert "CC" in text
    schema.write_text(text.replace(", CC", "").replace("- CC\n", ""))
    said = tiny.run(project, "--set", "validation.severities.unseen_category=stop")

    assert said.code == 4
    assert "CC" in said.result["error"]["message"]


def test_a_version_answers_offline_the_same_each_time(registered: Project) -> None:
    project = registered
    (project.folder / "my_model.py").unlink()  # the bundle brings its own code

    answers = []
    for out in ("a.parquet", "b.parquet"):
        said = project.raypipe("score", "tiny@1.0.0", "incoming/part1.parquet", "--out", out)
        assert said.code == 0, said.err
        answers.append(pq.read_table(project.folder / out))

    assert answers[0].equals(answers[1])
    probability = answers[0]["late_probability"]
    assert 0 < pc.min(probability).as_py() < pc.max(probability).as_py() < 1
    assert set(answers[0]["late_predicted"].to_pylist()) <= {True, False}


def evaluated(project: Project) -> Evaluation:
    """Return what the last run's analysis found."""
    workshop = look(project.folder / ".raypipe")
    result = workshop.ledger.latest_result("mine", "tiny", "evaluate")
    assert result is not None
    return workshop.codec.decode(workshop.artifacts.read(result.root), workshop.artifacts)


def test_a_champion_is_scored_by_the_code_that_it_was_trained_with(registered: Project) -> None:
    """Its weights fit no other architecture, and its features are those of its own function."""
    project = registered
    first = evaluated(project)
    project.edit("my_model.py", "WIDTH = 8", "WIDTH = 4")
    project.edit("my_features.py", "/ 1000", "* 1000")

    said = tiny.run(project)

    assert said.code == 0, said.err
    champion = evaluated(project).champion
    assert champion.version == "1.0.0"
    assert {name: one.value for name, one in champion.metrics.items()} == pytest.approx(
        {name: one.value for name, one in first.metrics.items()}
    )


JUDGING = {"judge", "report", "bless"}
MODEL_STEPS = {"train", "evaluate", *JUDGING}
FEATURE_STEPS = {"transform_shards", *MODEL_STEPS}

EDITS = {
    "nothing": (None, set()),
    "a comment": (("my_features.py", "# wind and way together", "# both"), set()),
    "the body, same result": (("my_features.py", "* SCALE", "* (SCALE)"), set()),
    "the function's body": (("my_features.py", "/ 1000", "/ 500"), FEATURE_STEPS),
    "a constant": (("my_features.py", "SCALE = 1.0", "SCALE = 2.0"), FEATURE_STEPS),
    "a helper in another module": (("my_helpers.py", "/ 2", "/ 4"), FEATURE_STEPS),
    "the model's constant": (("my_model.py", "WIDTH = 8", "WIDTH = 4"), MODEL_STEPS),
    "the model's class": (("my_model.py", "nn.ReLU()", "nn.Tanh()"), MODEL_STEPS),
    "a setting of training": (("tiny.yaml", "epochs: 2", "epochs: 3"), MODEL_STEPS),
    "a setting of analysis": (
        ("tiny.yaml", "resamples: 50", "resamples: 60"),
        {"evaluate", *JUDGING},
    ),
    "a threshold": (("tiny.yaml", "largest_loss: 1.0", "largest_loss: 0.9"), {"judge"}),
}


IN_LONG = {
    "a constant",
    "a helper in another module",
    "the model's constant",
    "a setting of training",
}


@pytest.mark.parametrize(
    "edit",
    [pytest.param(edit, marks=[pytest.mark.long] if edit in IN_LONG else []) for edit in EDITS],
)
def test_an_edit_of_code_that_settings_name_runs_what_uses_it(trained: Project, edit: str) -> None:
    project = trained
    change, expected = EDITS[edit]
    if change is not None:
        project.edit(*change)

    said = tiny.run(project)

    assert said.code == 0, said.err
    ran = {name.partition("[")[0] for name in said.executed}
    assert ran - {"fit"} == expected


def test_neither_ray_nor_torch_is_imported_for_what_is_kept(trained: Project) -> None:
    project = trained
    project.write(
        "sitecustomize.py",
        "import atexit, sys\n"
        "atexit.register(lambda: open('loaded.txt', 'a').write(' '.join(sys.modules) + ' '))\n",
    )
    commands = [
        ("plan", "tiny.yaml"),
        ("why", "train", "tiny.yaml"),
        ("run", "tiny.yaml"),
        ("review", "list"),
        ("runs", "list"),
        ("models", "list"),
    ]
    path = os.pathsep.join((str(project.folder), os.environ.get("PYTHONPATH", "")))
    for command in commands:
        assert project.raypipe(*command, PYTHONPATH=path).code == 0

    loaded = set((project.folder / "loaded.txt").read_text().split())
    assert "raypipe.app.run" in loaded
    assert not {"ray", "torch"} & loaded
