"""The settings that `raypipe init` writes, as YAML with a comment beside each choice."""

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from raypipe.app.init_columns import Use, by_why, of_part
from raypipe.app.init_split import Split
from raypipe.app.init_task import Asked, Effort

WIDTH = 100
"""Letters of a line."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./:-]*")
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "nan", "inf"}


@dataclass(frozen=True, kw_only=True)
class Draft:
    """All that the file says."""

    name: str
    dataset: str
    source: str
    """The files, as they were named."""
    rows: int
    asked: Asked
    uses: tuple[Use, ...]
    key: tuple[str, ...]
    """Columns that name a row together."""
    split: Split
    time: str | None
    effort: Effort
    image: tuple[int, int, int] | None
    """Height, width and channels that an image is brought to."""
    imports: dict[str, Any]
    """How the files are read, where that was said."""
    commands: tuple[str, ...]
    """What to type next."""

    @property
    def model(self) -> str:
        """The family that reads these columns."""
        if of_part(self.uses, "image"):
            return "image_classifier"
        return "text_classifier" if of_part(self.uses, "text") else "tabular_mlp"


def written(draft: Draft) -> str:
    """Return the settings file."""
    parts = (_head, _data, _validation, _preprocessing, _training, _tuning, _analysis, _runtime)
    return "\n\n".join(text for part in parts if (text := "\n".join(part(draft)))) + "\n"


def _head(draft: Draft) -> Iterator[str]:
    yield from _comment(
        f"Written by `raypipe init` of {draft.source}: {draft.rows:,} rows. Each choice says why: "
        "change what you know better. `raypipe config show` prints all settings that there are.",
        "# ",
    )
    yield "#"
    yield from (f"#   {said(command)}" for command in draft.commands)
    yield ""
    yield from _beside(f"name: {scalar(draft.name)}", "of the model and of its pipeline")


def _data(draft: Draft) -> Iterator[str]:
    yield "data:"
    yield from _beside(f"  dataset: {scalar(draft.dataset)}", "made by `raypipe data import`")
    yield from _beside(f"  label: {scalar(draft.asked.label)}", draft.asked.why)
    if draft.key:
        why = next(use.why for use in draft.uses if use.column == draft.key[0])
        yield from _beside(f"  key: {flow(draft.key)}", why)
    if draft.time is not None:
        yield from _beside(f"  time: {scalar(draft.time)}", "when a row happened")
    if groups := [use.column for use in of_part(draft.uses, "group")]:
        yield from _beside(f"  groups: {flow(groups)}", of_part(draft.uses, "group")[0].why)
    if unused := list(by_why(of_part(draft.uses, "out"))):
        yield "  # Left out of the recipe below:"
        for use, columns in unused:
            yield from _comment(f"{', '.join(map(scalar, columns))}: {use.why}", "  #   ")
    yield from _split(draft.split)
    if draft.imports:
        yield ""
        yield "imports:"
        for key, value in draft.imports.items():
            shown = flow(value) if isinstance(value, dict) else scalar(value)
            yield f"  {key}: {shown}"


def _split(split: Split) -> Iterator[str]:
    yield from _beside("  split:", split.why)
    yield f"    by: {split.by}"
    if split.moments is not None:
        yield f"    column: {scalar(split.columns[0])}"
        yield f"    validation_from: {json.dumps(split.moments[0])}"
        yield f"    analysis_from: {json.dumps(split.moments[1])}"
        return
    yield from _listed("    columns: ", split.columns)
    train, validation, analysis = split.shares or (0.7, 0.15, 0.15)
    yield f"    shares: {{train: {train}, validation: {validation}, analysis: {analysis}}}"


def _validation(draft: Draft) -> Iterator[str]:
    doubted = {use.column: "warn" for use in draft.uses if use.doubt}
    if doubted:
        yield "validation:"
        why = "they may tell the label: a warning while they are left out, else they stop a run"
        yield from _beside(f"  columns: {flow(doubted)}", why)


def _preprocessing(draft: Draft) -> Iterator[str]:
    yield "preprocessing:"
    yield "  # Fitted to the train split, kept with the model, and applied to each request as well."
    yield "  groups:"
    for use, columns in by_why(draft.uses):
        yield from _group(use, columns, draft)
    if draft.asked.task == "regression":
        why = "learned in standard deviations from the mean, and shown as it is"
        if draft.asked.skewed:
            why = "learned as log(1 + x), since a few are far larger than the rest; shown as it is"
        log = ", log: true" if draft.asked.skewed else ""
        yield from _beside(f"  label: {{scale: standard{log}}}", why)


def _group(use: Use, columns: Sequence[str], draft: Draft) -> Iterator[str]:
    """Write the groups of columns that are the same for the same reason."""
    among_texts = draft.model == "text_classifier"
    extra: tuple[str, ...]
    match use.part:
        case "number":
            kind, extra = "numeric", ("impute: median",)
        case "skewed":
            kind, extra = "numeric", ("impute: median", "log: true")
        case "cyclic":
            kind, extra = "cyclic", (f"period: {use.period}",)
        case "few":
            kind, extra = "one_hot", ()
        case "many" if among_texts:
            kind, extra = "one_hot", ("limit: 64",)
        case "many":
            kind, extra = "embedding", (f"min_count: {2 if draft.rows < 5_000 else 10}",)
        case "date":
            # By time, what is asked for lies beyond all that the train split says of its course.
            course = () if draft.split.by == "time" else ("epoch",)
            kind, extra = "date", (f"parts: {flow((*use.parts, *course))}",)
        case "list":
            kind, extra = "multi_hot", ("limit: 256",)
        case "text":
            kind, extra = "text", ("tokenizer: words", "length: 256", "vocabulary: 20000")
        case "image":
            height, width, channels = draft.image or (32, 32, 3)
            kind, extra = "image", (f"size: [{height}, {width}]", f"channels: {channels}")
        case _:
            return
    yield from _beside(f"    - kind: {kind}", use.why)
    yield from _listed("      columns: ", columns)
    yield from (f"      {line}" for line in extra)


def _training(draft: Draft) -> Iterator[str]:
    effort, asked = draft.effort, draft.asked
    yield "training:"
    yield f"  task: {asked.task}"
    yield "  model:"
    yield f"    kind: {draft.model}"
    if draft.model == "tabular_mlp":
        yield f"    hidden: {list(effort.hidden)}"
    if draft.model == "text_classifier":
        yield from _beside("    width: 128", "of a word; a text is the mean of its words")
    yield f"    dropout: {effort.dropout}"
    yield from _beside(
        f"  epochs: {effort.epochs}", "passes over the rows; the fewer rows, the more"
    )
    yield from _beside(f"  batch_size: {effort.batch_size}", "dozens of steps an epoch, or more")
    yield f"  learning_rate: {effort.learning_rate}"
    yield from _beside(
        f"  weight_decay: {effort.weight_decay}", "the fewer rows, the more weights are held back"
    )
    yield from _beside(
        f"  patience: {effort.patience}", "epochs without a better validation loss, then it stops"
    )
    if asked.task in ("binary", "multiclass") and asked.lopsided:
        metric = "average_precision" if asked.task == "binary" else "f1"
        why = f"the rarest class is {asked.rarest:.1%} of the rows, so accuracy says little"
        yield from _beside(f"  metrics: [{metric}]", why)


def _tuning(draft: Draft) -> Iterator[str]:
    choices = draft.effort.compared
    if draft.model != "tabular_mlp" or not choices:
        return
    yield "tuning:"
    yield from _comment(
        "Of so few rows a model without hidden layers, which is linear, often tells more: both are "
        "tried, and the validation loss decides.",
        "  # ",
    )
    yield "  space:"
    yield f"    training.model.hidden: {{choices: {[list(one) for one in choices]}}}"
    yield "  sampler: grid"
    yield f"  trials: {len(choices)}"


def _analysis(draft: Draft) -> Iterator[str]:
    few = [use.column for use in of_part(draft.uses, "few")][:3]
    if few and draft.rows >= 5_000:
        yield "analysis:"
        yield from _beside(f"  slices: {flow(few)}", "the metrics again, for each value of these")


def _runtime(draft: Draft) -> Iterator[str]:
    if draft.rows < 20_000:
        yield "runtime:"
        yield from _beside("  kind: inline", "so few rows are learned before a Ray has started")


# --- words of YAML --------------------------------------------------------------------------------


def scalar(value: Any) -> str:
    """Return a value as YAML 1.2 reads it back."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT and value[-1] != ":"
        return value if plain else _quoted(value)
    return json.dumps(value)


def _quoted(text: str) -> str:
    """Return a text in quotes, with escapes for what cannot be seen."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def flow(value: Any) -> str:
    """Return a list or a mapping on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(k)}: {scalar(v)}" for k, v in value.items()) + "}"
    return "[" + ", ".join(map(scalar, value)) + "]"


def said(text: str) -> str:
    """Return a text that stands in a comment: one line, without what cannot be seen."""
    return "".join(one if one.isprintable() else "?" for one in " ".join(text.split()))


def _listed(start: str, items: Iterable[str]) -> Iterator[str]:
    """Yield a list after `start`, on as many lines as it needs."""
    lines, line = [], f"{start}["
    for number, item in enumerate(map(scalar, items)):
        if number and len(line) + len(item) + 3 > WIDTH:
            lines.append(line + ",")
            line = " " * (len(start) + 1) + item
        else:
            line += f"{', ' if number else ''}{item}"
    yield from (*lines, f"{line}]")


def _beside(text: str, why: str) -> Iterator[str]:
    """Yield a line with its reason beside it, or above where that is too long."""
    beside = f"{text:<36}  # {said(why)}"
    if len(beside) <= WIDTH:
        yield beside
        return
    indent = " " * (len(text) - len(text.lstrip()))
    yield from _comment(why, f"{indent}# ")
    yield text


def _comment(text: str, start: str) -> Iterator[str]:
    return iter(
        textwrap.wrap(
            said(text), WIDTH, initial_indent=start, subsequent_indent=start, break_on_hyphens=False
        )
    )
