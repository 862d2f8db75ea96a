"""Settings are read whole or refused with line, key, value, bound and the next step."""

import json
from pathlib import Path

import pytest

from raypipe.config.load import from_json, load, schema_json, to_json
from raypipe.errors import NotFound, SettingsError
from raypipe.store.content import digest_path
from raypipe.values.codec import TreeCodec

SMALL = """\
name: flights
data:
  dataset: local://flights/main
  label: late
  split: {by: group, columns: [month, day]}
preprocessing:
  groups:
    - {kind: numeric, columns: [distance, temp]}
    - {kind: cyclic, columns: hour, period: 24}
training:
  epochs: 3
"""

CODEC = TreeCodec(digest_path)


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(SMALL)
    return "s.yaml"


def refused(small: str, old: str = "", new: str = "", sets: tuple[str, ...] = ()) -> str:
    """Return what is said after a change of the small settings."""
    assert old in SMALL
    Path(small).write_text(SMALL.replace(old, new) if old else SMALL)
    with pytest.raises(SettingsError) as error:
        load(small, sets)
    assert error.value.exit_code == 2
    assert error.value.hint
    return str(error.value)


def test_settings_are_read_with_defaults_for_what_is_not_said(small):
    config = load(small)
    assert config.training.epochs == 3
    assert config.training.batch_size == 1024
    assert config.preprocessing.groups[1].columns == ("hour",)


def test_set_wins_over_the_file(small):
    assert (
        load(small, ["training.epochs=7", "preprocessing.groups.0.log=true"]).training.epochs == 7
    )


def test_set_reaches_into_a_choice_that_the_file_leaves_at_its_default(small):
    assert load(small, ["training.model.hidden=[8]"]).training.model.hidden == (8,)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("epochs: 3", "epochs: 0", "line 11: training.epochs is 0; it must be at least 1"),
        ("epochs: 3", "epochs: x", "line 11: training.epochs is 'x'; it must be a whole number"),
        ("epochs: 3", "epocs: 3", "line 11: training.epocs is no setting; did you mean 'epochs'?"),
        (
            "epochs: 3",
            "learning_rate: inf",
            "line 11: training.learning_rate is 'inf'; it must be a finite number",
        ),
        (
            "columns: [distance, temp]",
            "columns: [distance, temp, distance]",
            "line 8: preprocessing.groups.0.columns: it names column 'distance' twice; "
            "name each column once",
        ),
        (
            "  label: late\n",
            "",
            "line 2: data.label is missing: column that the model learns to predict",
        ),
        (
            "by: group",
            "by: grup",
            "line 5: data.split.by is 'grup'; it must be one of "
            "'hash', 'group', 'time', 'column'; did you mean 'group'?",
        ),
        (
            "kind: numeric",
            "imput: zero, kind: numeric",
            "line 8: preprocessing.groups.0.imput is no setting; did you mean 'impute'?",
        ),
        (
            "period: 24",
            "period: -24",
            "line 9: preprocessing.groups.1.period is -24; it must be above 0",
        ),
        (
            "kind: cyclic, ",
            "",
            "line 9: preprocessing.groups.1.kind is missing; it says which kind of "
            "preprocessing.groups.1 is meant: "
            "'numeric', 'bucketise', 'cyclic', 'date', 'one_hot', 'ordinal', 'frequency', "
            "'hashing', 'multi_hot', 'embedding', 'text', 'image', 'function'",
        ),
    ],
)
def test_a_fault_names_line_key_value_and_bound(small, old, new, says):
    assert refused(small, old, new) == f"s.yaml, {says}"


@pytest.mark.parametrize(
    "twice",
    [
        "data.key=[id, id]",
        "data.groups=[day, day]",
        "data.split.columns=[month, month]",
        "imports.key=[id, id]",
        "analysis.slices=[carrier, carrier]",
        "analysis.groups=[day, day]",
    ],
)
def test_a_column_that_a_list_names_twice_is_refused(small, twice):
    said = refused(small, sets=(twice,))
    assert "twice; name each column once" in said


def test_a_pair_that_is_named_twice_is_refused_in_either_order(small):
    said = refused(small, sets=("data.pairs=[[hour, late], [late, hour]]",))
    assert said.endswith("pairs has hour with late twice; name each pair once")


def test_settings_at_odds_are_refused_with_the_way_out(small):
    assert refused(small, "label: late", "label: temp") == (
        "s.yaml: preprocessing.groups[0] reads the label 'temp'; "
        "a model cannot be asked with the answer: leave it out"
    )


def test_a_fault_of_set_names_the_option_and_not_a_line(small):
    said = refused(small, sets=("training.epochs=0",))
    assert said == "--set training.epochs=0: training.epochs is 0; it must be at least 1"
    assert refused(small, sets=("trainin.epochs=1",)).startswith("--set trainin.epochs=1: trainin ")


def test_several_faults_are_all_listed(small):
    said = refused(small, "epochs: 3", "epochs: 0\n  batch_size: x\n  keep: -1")
    assert said.splitlines() == [
        "3 settings of s.yaml are wrong:",
        "  line 11: training.epochs is 0; it must be at least 1",
        "  line 12: training.batch_size is 'x'; it must be a whole number",
        "  line 13: training.keep is -1; it must be at least 1",
    ]


def test_a_list_of_faults_stays_short_however_many_there_are(small):
    said = refused(small, "epochs: 3", "\n  ".join(f"key{i}: {'x' * 500}" for i in range(500)))
    assert said.splitlines()[-1] == "  … and 490 more"
    assert len(said) < 5000


def test_a_value_in_a_message_is_short_however_long_it_is(small):
    assert len(refused(small, "epochs: 3", f"epochs: {'x' * 10_000}")) < 200


def test_a_file_that_is_not_there_is_not_found_and_the_nearest_is_named(small):
    with pytest.raises(NotFound, match=r"there is no file z\.yaml") as error:
        load("z.yaml")
    assert error.value.hint == "In .: did you mean 's.yaml'?"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "s.yaml is empty"),
        (b"[1, 2]", "s.yaml is no mapping of keys to values"),
        (b"PAR1\xff\xfe", "s.yaml is no text in UTF-8: byte 4 is 0xff"),
        (b"x" * 1_000_001, "s.yaml has 1,000,001 bytes; a settings file has at most 1,000,000"),
    ],
)
def test_a_file_that_holds_no_settings_says_what_it_holds(small, tmp_path, content, says):
    (tmp_path / small).write_bytes(content)
    with pytest.raises(SettingsError) as error:
        load(small)
    assert str(error.value) == says
    assert error.value.hint


def test_a_folder_is_no_file(small, tmp_path):
    with pytest.raises(SettingsError, match="is a folder") as error:
        load(tmp_path)
    assert "s.yaml" in str(error.value.hint)


def test_what_a_run_resolved_reads_back_equal(small):
    custom = "training.model={kind: custom, build: 'm:f', options: {wide: null, when: 2013-01-01}}"
    for sets in [(), ("training.patience=null", "validation.drift=null"), (custom,)]:
        config = load(small, sets)
        read = from_json(json.loads(json.dumps(to_json(config))))
        assert read == config
        # a run that is gone on from finds its results: 1 and 1.0 are equal, and count as two
        assert CODEC.encode(read).digest == CODEC.encode(config).digest


def test_the_schema_describes_every_setting_with_its_help_and_bounds():
    epochs = json.loads(schema_json())["$defs"]["TrainingConfig"]["properties"]["epochs"]
    assert epochs == {
        "default": 10,
        "description": "Most passes over the train split.",
        "minimum": 1,
        "title": "Epochs",
        "type": "integer",
    }
