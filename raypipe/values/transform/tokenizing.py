"""Tokenizers of the Hugging Face `tokenizers` library, learned from counted words.

Words are counted first, by shard; byte-pair merges (Sennrich et al. 2016, arXiv 1508.07909) are
learned from them in the order of the words, and whole words are put in their order by count and
text. The library's trainer of WordPiece gives another vocabulary each time, so it is not offered.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raypipe.errors import UsageError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PADDING, UNKNOWN = "[PAD]", "[UNK]"
LONGEST = 100
"""Characters of the longest word that is counted: longer ones are no words."""
_UNHEARD_OF = "zqxjkv \U000f1234"
"""What no tokenizer knows: one that has no index for that would fail in the midst of rows."""
_MOST = 2_000_000
"""Words that merges are learned from: more are scaled down, which keeps their shares."""


def splitter(*, lowercase: bool) -> "Tokenizer":
    """Return a tokenizer that knows nothing but how texts are cut into words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    tokenizer: Tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
    steps: list[Any] = [normalizers.NFKC()]
    if lowercase:
        steps = [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def words_of(texts: Iterable[str], *, lowercase: bool) -> Iterator[str]:
    """Yield the words of texts as a tokenizer would read them; very long ones are left out."""
    tokenizer = splitter(lowercase=lowercase)
    normal, cut = tokenizer.normalizer, tokenizer.pre_tokenizer
    for text in texts:
        for word, _ in cut.pre_tokenize_str(normal.normalize_str(text)):
            if len(word) <= LONGEST:
                yield word


def learned(
    counts: Mapping[str, int], kind: str, *, lowercase: bool, vocabulary: int, min_count: int
) -> str:
    """Return the state of a tokenizer learned from words and how often each occurs.

    The same counts give the same state, in whatever order they come.
    """
    tokenizer = splitter(lowercase=lowercase)
    if kind == "words":
        tokenizer.model = _words(counts, vocabulary, min_count)
    else:
        _merge(tokenizer, counts, vocabulary, min_count)
    return tokenizer.to_str()


def _words(counts: Mapping[str, int], vocabulary: int, min_count: int) -> Any:
    from tokenizers import models

    kept = [word for word, count in counts.items() if count >= min_count]
    kept.sort(key=lambda word: (-counts[word], word))
    known = [PADDING, UNKNOWN, *(word for word in kept if word not in (PADDING, UNKNOWN))]
    places = {word: place for place, word in enumerate(known[:vocabulary])}
    return models.WordLevel(places, unk_token=UNKNOWN)


def _merge(
    tokenizer: "Tokenizer", counts: Mapping[str, int], vocabulary: int, min_count: int
) -> None:
    from tokenizers import trainers

    share = min(1.0, _MOST / max(1, sum(counts.values())))
    lines = (" ".join([word] * max(1, round(counts[word] * share))) for word in sorted(counts))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=max(1, round(min_count * share)),
        special_tokens=[PADDING, UNKNOWN],
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines, trainer=trainer)


def read_state(state: str, name: str, length: int | None = None) -> tuple[int, int]:
    """Return (shift, size) of a tokenizer's indices; UsageError if it is none that can be used.

    `length` says how many tokens a text has, where that is known.
    """
    from tokenizers import Tokenizer

    try:
        described = json.loads(state)
        tokenizer = Tokenizer.from_str(state)
        tokenizer.encode(_UNHEARD_OF)
    except Exception as error:  # the library raises its errors as Exception
        raise UsageError(
            f"{name} is no tokenizer: {error}",
            hint="Give a tokenizer.json, as `Tokenizer.save` of `tokenizers` writes it.",
        ) from error
    if (described.get("model") or {}).get("dropout"):
        raise UsageError(
            f"{name} drops merges at random (model.dropout), so that a text has no one reading",
            hint="Set model.dropout to null in it.",
        )
    added = tokenizer.num_special_tokens_to_add(False)
    if length is not None and added >= length:
        raise UsageError(
            f"length is {length}, and {name} adds {added} tokens of its own to each text",
            hint=f"Set length to {added + 1} or more.",
        )
    first = (tokenizer.id_to_token(0) or "").lower()
    shift = 0 if "pad" in first else 1
    top = max(tokenizer.get_vocab().values(), default=0)
    return shift, top + 1 + shift
