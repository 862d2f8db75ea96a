"""What is counted in the train rows themselves: words, and the brightness of images."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from PIL import Image

from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.errors import UsageError
from raypipe.stages.preprocessing import looking, reading, shards
from raypipe.stages.preprocessing.fitting import fit_transform
from raypipe.stages.preprocessing.looking import answers, look_at_shard
from raypipe.stages.preprocessing.questions import files_of, questions_of
from raypipe.stages.preprocessing.shards import Work, transform_shard
from raypipe.values.profile import profile_table
from raypipe.values.schema import Column, Schema

SCHEMA = Schema(
    name="s",
    columns=(
        Column(name="title", type="string"),
        Column(name="image", type="binary"),
        Column(name="late", type="bool"),
    ),
)
RECIPE = PreprocessingConfig.model_validate(
    {
        "groups": [
            {"kind": "text", "columns": "title", "min_count": 1},
            {"kind": "image", "columns": "image", "size": [2, 2]},
            {"kind": "text", "columns": "title", "tokenizer": "words", "tensor": "other"},
        ]
    }
).groups


def picture(level):
    """An image of one colour."""
    written = io.BytesIO()
    Image.fromarray(np.full((3, 3, 3), level, np.uint8)).save(written, "PNG")
    return written.getvalue()


def rows(*titles, split="train"):
    """Rows of titles and images."""
    images = [picture(20 * (place + 1)) for place in range(len(titles))]
    return pa.table(
        {
            "title": titles,
            "image": pa.array(images, pa.binary()),
            "late": [True, *[False] * (len(titles) - 1)],
            "split": [split] * len(titles),
        }
    )


def fit(looks, table, recipe=RECIPE):
    """Fit a recipe to a table and looks."""
    asked = answers(questions_of(recipe), looks)
    return fit_transform(profile_table(table), recipe, SCHEMA, "late", "binary", answers=asked)


def test_a_question_that_two_groups_ask_is_asked_once():
    assert len(questions_of(RECIPE)) == 2


def test_words_and_pixels_of_the_train_split_alone_are_counted(write_shard, rule):
    table = pa.concat_tables(
        [
            rows("A sun", "a moon", None),
            rows("mars", split="validation"),
            rows("x", split="analysis"),
        ]
    )
    look = look_at_shard(write_shard(table), questions_of(RECIPE), rule)
    words, bright = answers(questions_of(RECIPE), [look]).values()
    assert words == {"a": 2, "sun": 1, "moon": 1}
    assert bright["pixels"] == 12
    assert bright["sum 0"] == 4 * (20 + 40 + 60)
    assert bright["squares 2"] == 4 * (20**2 + 40**2 + 60**2)


def test_it_makes_no_difference_how_rows_lie_in_shards(write_shard, rule):
    table = rows("a sun", "a moon", "the sun", "mars")
    asked = questions_of(RECIPE)
    whole = [look_at_shard(write_shard(table), asked, rule)]
    cut = [
        look_at_shard(write_shard(part, name), asked, rule)
        for name, part in (("b", table[1:]), ("c", table[:1]), ("d", table[:0]))
    ]
    assert fit(whole, table) == fit(cut, table)


def test_words_beyond_the_most_frequent_are_held_neither_of_a_shard_nor_of_all(
    write_shard, rule, monkeypatch
):
    monkeypatch.setattr(looking, "MOST_WORDS", 7)
    monkeypatch.setattr(reading, "ROWS", 2)
    asked = questions_of(RECIPE)
    names = [f"sun moon n{place}" for place in range(9)]
    parts = [write_shard(rows(*names, "sun a b"), "one"), write_shard(rows("sun b c d"), "two")]
    looks = [look_at_shard(part, asked, rule) for part in parts]
    assert [look.filter(pc.equal(look["question"], 0)).num_rows for look in looks] == [7, 4]
    words, bright = answers(asked, looks).values()
    assert (words["sun"], words["moon"], len(words)) == (11, 9, 7)
    assert bright["pixels"] == 11 * 4


def test_images_are_normalised_by_the_train_split(write_shard, rule):
    table = rows("a", "b", "c")
    transform = fit([look_at_shard(write_shard(table), questions_of(RECIPE), rule)], table)
    found = transform.apply(table)["image"]
    assert found.mean() == pytest.approx(0, abs=1e-6)
    assert found.std() == pytest.approx(1, abs=1e-6)


def test_a_broken_image_is_named_by_its_shard_and_its_row_in_it(
    write_shard, rule, monkeypatch, tmp_path
):
    monkeypatch.setattr(reading, "ROWS", 2)
    monkeypatch.setattr(shards, "_ROWS", 2)
    table = pa.concat_tables([rows("x", split="validation"), rows("a", "b", "c", "d")])
    images = [*table["image"].to_pylist()[:4], b"torn"]
    broken = write_shard(table.set_column(1, "image", pa.array(images, pa.binary())))
    asked, recipe = questions_of(RECIPE[1:2]), RECIPE[1:2]
    whole = fit([look_at_shard(write_shard(table, "w"), asked, rule)], table, recipe)
    work = Work(transform=whole, rule=rule, folder=tmp_path)
    said = f"^{broken.path}, row 4: the column 'image' holds 4 bytes"
    with pytest.raises(UsageError, match=said):
        look_at_shard(broken, asked, rule)
    with pytest.raises(UsageError, match=said):
        transform_shard(broken, work)


def test_without_an_image_nothing_is_subtracted(write_shard, rule):
    table = rows("a", "b").set_column(1, "image", pa.nulls(2, pa.binary()))
    transform = fit([look_at_shard(write_shard(table), questions_of(RECIPE), rule)], table)
    (group,) = [one for one in transform.groups if one.tensor == "image"]
    assert (group.mean, group.std) == ((0.0,) * 3, (1.0,) * 3)
    assert transform.apply(table)["image"].max() == 0


def test_a_given_tokenizer_is_kept_and_asks_nothing(tmp_path):
    from raypipe.values.transform.tokenizing import learned

    state = learned({"sun": 3}, "words", lowercase=True, vocabulary=20, min_count=1)
    (tmp_path / "tok.json").write_text(state)
    recipe = PreprocessingConfig.model_validate(
        {"groups": [{"kind": "text", "columns": "title", "file": str(tmp_path / "tok.json")}]}
    ).groups
    assert questions_of(recipe) == ()
    assert files_of(recipe) == (f"file:{tmp_path / 'tok.json'}",)
    transform = fit([], rows("sun"), recipe)
    assert transform.groups[0].tokenizer == state
    assert transform.apply(rows("Sun"))["tokens"][0, :2].tolist() == [2, 0]


def test_a_text_shares_its_tensor_with_nothing():
    recipe = PreprocessingConfig.model_validate(
        {
            "groups": [
                {"kind": "text", "columns": "title", "tensor": "indices"},
                {"kind": "embedding", "columns": "title"},
            ]
        }
    ).groups
    with pytest.raises(UsageError, match="'indices' holds a text or an image"):
        fit([], rows("a"), recipe)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"normalise": "given"}, "given with `normalise: given`"),
        ({"mean": [0, 0, 0], "std": [1, 1, 1]}, "given with `normalise: given`"),
        ({"normalise": "given", "mean": [0], "std": [1, 1, 1]}, "1 numbers for 3 channels"),
        ({"columns": ["a", "b"]}, "at most 1"),
    ],
)
def test_settings_of_an_image_that_make_no_sense_are_refused(group, said):
    given = {"kind": "image", "columns": "image", "size": [2, 2], **group}
    with pytest.raises(ValueError, match=said):
        PreprocessingConfig.model_validate({"groups": [given]})
