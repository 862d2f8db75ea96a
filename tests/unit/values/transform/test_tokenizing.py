"""Tokenizers that are learned from counted words, and texts as their indices."""

import json
import random

import pyarrow as pa
import pytest
from tokenizers import Tokenizer, models, processors

from raypipe.errors import UsageError
from raypipe.values.transform.content_groups import Text
from raypipe.values.transform.tokenizing import learned, read_state, words_of

GIVEN = {"lowercase": True, "vocabulary": 60, "min_count": 1}
COUNTS = {"low": 5, "lower": 2, "newest": 6, "widest": 3, "sun": 1, "moon": 1}


def text_of(state, length=6, columns=("text",)):
    """A group over a tokenizer."""
    shift, size = read_state(state, "it")
    return Text(columns=columns, tensor="t", tokenizer=state, length=length, shift=shift, size=size)


@pytest.mark.parametrize("kind", ["bpe", "words"])
def test_the_same_counts_give_the_same_tokenizer_in_whatever_order(kind):
    draw = random.Random(0)
    counts = {
        "".join(draw.choices("abcde", k=draw.randint(2, 7))): draw.randint(1, 9) for _ in range(300)
    }
    states = set()
    for _ in range(4):
        shuffled = list(counts.items())
        draw.shuffle(shuffled)
        states.add(learned(dict(shuffled), kind, **GIVEN))
    assert len(states) == 1


def test_pairs_that_are_frequent_are_merged():
    """The example of Sennrich et al.: `est` and `low` are met most often."""
    state = json.loads(learned(COUNTS, "bpe", **{**GIVEN, "vocabulary": 19}))
    known = state["model"]["vocab"]
    assert (known["[PAD]"], known["[UNK]"]) == (0, 1)
    assert {"est", "low"} <= known.keys()


@pytest.mark.parametrize("kind", ["bpe", "words"])
def test_rows_are_padded_with_zero_and_cut_at_their_length(transform_of, kind):
    transform = transform_of(text_of(learned(COUNTS, kind, **GIVEN), length=3))
    texts = ["low low", "LOW, sun", "", None, "   ", "sun " * 9]
    found = transform.apply(pa.table({"text": texts}))["t"]
    assert found.shape == (6, 3)
    assert (found[0] != 0).tolist() == [True, True, False]
    assert found[0, 0] == found[0, 1] == found[1, 0]
    assert found[2:5].tolist() == [[0] * 3] * 3
    assert (found[5] != 0).all()
    spec = transform.signature.tensor("t")
    assert (spec.dtype, spec.shape) == ("int64", (3,))
    assert found.max() < spec.cardinalities[0]


def test_what_is_not_known_has_an_index_of_its_own(transform_of):
    transform = transform_of(text_of(learned(COUNTS, "words", **GIVEN)))
    found = transform.apply(pa.table({"text": ["sun mars", "日本"]}))["t"]
    assert found[0, 1] == found[1, 0] == 1 != found[0, 0]


def test_columns_are_joined_and_those_that_are_missing_left_out(transform_of):
    transform = transform_of(text_of(learned(COUNTS, "words", **GIVEN), columns=("text", "title")))
    rows = {"text": ["sun", None, "sun"], "title": ["moon", "moon", None]}
    both, second, first = transform.apply(pa.table(rows))["t"]
    assert both[:2].tolist() == [first[0], second[0]]


def test_words_are_read_without_capitals_and_accents():
    found = list(words_of(["Café, über-All", "x" * 200], lowercase=True))
    assert found == ["cafe", ",", "uber", "-", "all"]
    assert next(words_of(["Café"], lowercase=False)) == "Café"


def test_rare_words_and_those_beyond_the_vocabulary_are_not_learned():
    state = learned(COUNTS, "words", lowercase=True, vocabulary=4, min_count=3)
    assert json.loads(state)["model"]["vocab"] == {"[PAD]": 0, "[UNK]": 1, "newest": 2, "low": 3}


def test_another_tokenizers_indices_are_moved_where_its_first_is_no_padding():

    own = Tokenizer(models.WordLevel({"sun": 0, "<unk>": 1}, unk_token="<unk>")).to_str()
    assert read_state(own, "it") == (1, 3)
    padded = Tokenizer(models.WordLevel({"<pad>": 0, "<unk>": 1}, unk_token="<unk>")).to_str()
    assert read_state(padded, "it") == (0, 2)


def test_no_tokenizer_and_one_that_draws_lots_are_refused():

    with pytest.raises(UsageError, match=r"tok\.json is no tokenizer"):
        read_state("{}", "tok.json")
    with pytest.raises(UsageError, match="drops merges at random"):
        read_state(Tokenizer(models.BPE(dropout=0.1)).to_str(), "it")


def test_a_tokenizer_without_an_index_for_what_it_does_not_know_is_refused():
    plain = Tokenizer(models.WordLevel({"sun": 0}, unk_token="[UNK]"))
    with pytest.raises(UsageError, match=r"mine is no tokenizer: .*Missing"):
        read_state(plain.to_str(), "mine")


def test_tokens_that_a_tokenizer_adds_leave_room_for_those_of_the_text():
    marked = Tokenizer(models.WordLevel({"[PAD]": 0, "[CLS]": 1, "[UNK]": 2}, unk_token="[UNK]"))
    marked.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", special_tokens=[("[CLS]", 1)]
    )
    assert read_state(marked.to_str(), "mine", 2) == (0, 3)
    with pytest.raises(UsageError, match="length is 1, and mine adds 1 tokens of its own"):
        read_state(marked.to_str(), "mine", 1)
