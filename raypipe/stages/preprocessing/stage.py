"""The preprocessing stage, as a run calls it: fit the recipe once, then transform new shards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from raypipe.config.data import SplitRule
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.engine.context import current
from raypipe.engine.step import step
from raypipe.errors import UsageError
from raypipe.stages.preprocessing.questions import Question
from raypipe.values.dataset import Shard, TransformedShard
from raypipe.values.schema import Schema

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    from pyarrow import Table

    from raypipe.values.profile import Profile
    from raypipe.values.transform import Transform


@step(driver=True, uncounted=("train", "questions", "looks"))
def fit(
    name: str,
    schema: Schema,
    settings: PreprocessingConfig,
    label: str,
    task: Literal["binary", "multiclass", "multilabel", "regression"],
    rule: SplitRule,
    repository: str,
    train: Profile,
    refit_on: Profile | None = None,
    questions: tuple[Question, ...] = (),
    looks: list[Table] | None = None,
) -> Transform:
    """Fit the recipe to the train profile; again only if recipe, schema, split or code changed.

    Nothing of the other splits is handed in. `rule` and `repository` say which rows the profile is
    of, whatever the commit: with another split, rows that it was fitted to would be among those it
    is judged by. `refit_on` is given where every change of the data should count. `looks` are the
    answers of the shards' train rows to `questions`, where the recipe asks any.
    """
    from raypipe.stages.preprocessing.fitting import fit_transform
    from raypipe.stages.preprocessing.looking import answers

    return fit_transform(
        refit_on or train,
        settings.groups,
        schema,
        label,
        task,
        code_of=_code_of,
        text_of=_text_of,
        answers=answers(questions, looks or ()),
        scaling=settings.label,
        weight=settings.weight,
    )


@step(num_cpus=0, batch="shards")
def look_at_shards(
    shards: list[Shard], questions: tuple[Question, ...], rule: SplitRule
) -> list[Table]:
    """Answer what recipes ask of shards' train rows: see raypipe.stages.preprocessing.looking."""
    from raypipe.stages.preprocessing.looking import look_at_shard

    here = current()
    if here.runtime == "ray":
        from raypipe.stages.preprocessing.on_ray import look_on_ray

        return look_on_ray(shards, questions, rule, here.paths, here.progress, here.hand_in)
    made = []
    for number, shard in enumerate(shards):
        here.progress(number, len(shards), shard.path)
        made.append(look_at_shard(shard, questions, rule, here.paths))
        here.hand_in(number, made[number])
    here.progress(len(shards), len(shards))
    return made


@step(num_cpus=0, batch="shards")
def transform_shards(
    shards: list[Shard], transform: Transform, rule: SplitRule
) -> list[TransformedShard]:
    """Write shards' train and validation rows as tensors: by Ray Data on Ray, else one by one."""
    from raypipe.stages.preprocessing.shards import Work, transform_shard

    here = current()
    work = Work(transform=transform, rule=rule, folder=_folder(), paths=here.paths)
    if here.runtime == "ray":
        from raypipe.stages.preprocessing.on_ray import transform_on_ray

        return transform_on_ray(shards, work, here.progress, here.hand_in)
    made = []
    for number, shard in enumerate(shards):
        here.progress(number, len(shards), shard.path)
        made.append(transform_shard(shard, work))
        here.hand_in(number, made[number])
    here.progress(len(shards), len(shards))
    return made


def _folder() -> Path:
    here = current()
    here.scratch.mkdir(parents=True, exist_ok=True)
    if (
        here.runtime == "plain"
    ):  # shared by all calls, so that nothing in it is known to be of this one
        return Path(tempfile.mkdtemp(dir=here.scratch))
    return here.scratch


def _code_of(reference: str) -> str:
    """Return the digest of the code that a user's function reaches; empty outside a run."""
    root = current().root
    if root is None:
        return ""
    from raypipe.engine.fingerprint import fingerprint
    from raypipe.store.sources import FileSources

    return fingerprint(reference, FileSources(root.absolute(), None)).digest


def _text_of(file: str) -> str:
    """Return what a file of the project says."""
    path = (current().root or Path()) / file
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the file {file!r}, which the recipe names, cannot be read: {error}",
            hint="Paths in a recipe begin at the project's root.",
        ) from error
