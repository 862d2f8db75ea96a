"""A model's life as one pipeline, from a dataset to a registered version."""

from typing import Any

from raypipe.config.cycle import CycleConfig
from raypipe.config.tuning import ChoicesConfig, with_chosen
from raypipe.engine.graph import lookup, review
from raypipe.stages.analysis import bless, evaluate, judge, report
from raypipe.stages.data import merge_profiles, profile_shard
from raypipe.stages.preprocessing import fit, transform_shards
from raypipe.stages.registry import register
from raypipe.stages.training import train
from raypipe.stages.tuning import choose, recall, trial
from raypipe.stages.validation import admit, infer, validate
from raypipe.values.dataset import Dataset
from raypipe.values.schema import Schema
from raypipe.values.tuning import Search
from raypipe.values.uri import parse_uri


def cycle(
    config: CycleConfig,
    dataset: Dataset,
    known: frozenset[str] = frozenset(),
    schema: Schema | None = None,
    recipe: dict[str, Any] | None = None,
    taken: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Connect the stages.

    `known` holds the object ids of the shards that were accepted before: drift is looked for in the
    others. `schema` is what a person keeps in the schema file; without one it is inferred. `recipe`
    is the settings that make a model, for its lineage, and `taken` are the versions that exist.
    """
    data, rule = config.data, config.data.split

    profiles = [profile_shard(shard, rule, data.key) for shard in dataset.shards]
    profile = merge_profiles(profiles)
    fresh = [p for p, s in zip(profiles, dataset.shards, strict=True) if s.object_id not in known]
    drifting = bool(known and fresh)

    if schema is None:
        schema = infer(config.name, profile, data, config.validation, config.training.task)
    validation = validate(
        profile,
        schema,
        data,
        config.validation,
        fresh=merge_profiles(fresh) if drifting else None,
        baseline=lookup("accepted_profile") if drifting else None,
    )
    admitted = admit(dataset, profile, validation, schema)

    transform = fit(
        config.name,
        admitted,
        config.preprocessing,
        data.label,
        config.training.task,
        rule,
        parse_uri(dataset.uri).repository,
        profile,
        refit_on=profile if config.preprocessing.refit == "always" else None,
    )
    transformed = transform_shards(list(dataset.shards), transform, rule)

    rows = [shard.train for shard in transformed], [shard.validation for shard in transformed]
    settings, found = tune(config, dataset, rows, transform.signature)
    trained = train(*rows, transform.signature, settings)

    champion = lookup("champion", candidate=trained.candidate)
    evaluation = evaluate(
        list(dataset.shards),
        rule,
        transform,
        trained.candidate,
        settings.model,
        champion,
        config.analysis.measuring,
    )
    judged = judge(evaluation, config.analysis)
    page = report(judged, validation, trained.history, config.name)
    blessed = bless(judged, page)

    decision = review(blessed, name="review_model")
    version = register(
        config.registry.model or config.name,
        trained.candidate,
        transform,
        judged,
        decision,
        champion,
        settings.model,
        dataset,
        profile,
        lookup("code", candidate=trained.candidate),
        recipe or {},
        taken,
        found,
    )
    return {"version": version, "report": page}


def tune(config: CycleConfig, dataset: Dataset, rows: Any, signature: Any) -> tuple[Any, Any]:
    """Connect the sweep, if there is one: the settings to train with, and what it found of them."""
    tuning, training = config.tuning, config.training
    if not tuning.space:
        return training, {}
    if tuning.when == "never":
        tuned = recall(lookup("last_sweep"), training)
        return tuned.settings, tuned.chosen
    search = Search(
        space=tuning.space,
        sampler=tuning.sampler,
        seed=tuning.seed,
        metric=tuning.metric,
        epochs=tuning.epochs,
        models=architectures(config),
    )
    trials = trial(
        list(range(tuning.trials)),
        search,
        training,
        config.preprocessing,
        config.data.label,
        config.data.split,
        parse_uri(dataset.uri).repository,
        rows[0],
        rows[1],
        signature,
        tuning.concurrent,
        swept_on=rows if tuning.when == "always" else None,
    )
    tuned = choose(trials, training, search)
    return tuned.settings, tuned.chosen


def architectures(config: CycleConfig) -> tuple[Any, ...]:
    """Return the models that a search may choose: the code that they name counts for its trials."""
    return tuple(
        with_chosen(config.training, {key: choice}).model
        for key, dimension in config.tuning.space.items()
        if key.startswith("training.model") and isinstance(dimension, ChoicesConfig)
        for choice in dimension.choices
    )
