"""A model's life as one pipeline, from a dataset to a registered version.

Reads like DESIGN.md's table.
"""

from typing import Any

from raypipe.config.cycle import CycleConfig
from raypipe.engine.graph import lookup, review
from raypipe.stages.analysis import bless, evaluate, judge, report
from raypipe.stages.data import merge_profiles, profile_shard
from raypipe.stages.preprocessing import fit, transform_shards
from raypipe.stages.registry import register
from raypipe.stages.training import train
from raypipe.stages.validation import admit, infer, validate
from raypipe.values.dataset import Dataset
from raypipe.values.schema import Schema
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

    trained = train(
        [shard.train for shard in transformed],
        [shard.validation for shard in transformed],
        transform.signature,
        config.training,
    )

    champion = lookup("champion", candidate=trained.candidate)
    evaluation = evaluate(
        list(dataset.shards),
        rule,
        transform,
        trained.candidate,
        config.training.model,
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
        config.training.model,
        dataset,
        profile,
        lookup("code", candidate=trained.candidate),
        recipe or {},
        taken,
    )
    return {"version": version, "report": page}
