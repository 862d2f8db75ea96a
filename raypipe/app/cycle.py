"""A model's life as one pipeline, from a dataset to a registered version."""

from typing import Any

from raypipe.app.checking import NO_CHECKS, Checking
from raypipe.app.validating import connect_validation
from raypipe.config.cycle import CycleConfig
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.config.tuning import ChoicesConfig, TuningConfig, of_recipe, recipes, with_chosen
from raypipe.engine.graph import lookup, review
from raypipe.stages.analysis import (
    bless,
    evaluate,
    evaluate_edge_cases,
    judge,
    report,
    report_look,
)
from raypipe.stages.data import merged_profiles, profile_shard
from raypipe.stages.preprocessing import fit, look_at_shards, transform_shards
from raypipe.stages.preprocessing.questions import files_of, questions_of
from raypipe.stages.registry import register
from raypipe.stages.training import train
from raypipe.stages.tuning import choose, recall, report_sweep, sweep_look, trial
from raypipe.values.dataset import Dataset, Shard
from raypipe.values.edge_cases import EdgeCases
from raypipe.values.schema import Schema
from raypipe.values.tuning import Search
from raypipe.values.uri import parse_uri


def cycle(
    config: CycleConfig,
    dataset: Dataset,
    accepted: tuple[Shard, ...] = (),
    schema: Schema | None = None,
    recipe: dict[str, Any] | None = None,
    taken: tuple[str, ...] = (),
    checking: Checking = NO_CHECKS,
    edge_cases: tuple[EdgeCases, ...] = (),
) -> dict[str, Any]:
    """Connect the stages.

    `accepted` are the shards that were accepted before: drift is looked for in the others. Their
    profiles are at hand, or made anew where another version of raypipe made them. `schema` is what
    a person keeps in the schema file; without one it is inferred. `recipe`
    is the settings that make a model, for its lineage, and `taken` are the versions that exist.
    `checking` is what deepchecks runs in, and `edge_cases` are asked of the candidate alone.
    """
    data, rule = config.data, config.data.split

    profiles = {
        shard.object_id: profile_shard(shard, rule, data.key, data.pairs)
        for shard in (*dataset.shards, *accepted)
    }
    before = {shard.object_id for shard in accepted}
    new = tuple(s for s in dataset.shards if s.object_id not in before) if before else ()
    seen = connect_validation(
        config,
        dataset,
        [profiles[shard.object_id] for shard in dataset.shards],
        schema,
        new=new,
        baseline=merged_profiles([profiles[s.object_id] for s in accepted]) if new else None,
        checking=checking,
    )
    profile, admitted = seen.profile, seen.admitted()

    tuning = config.tuning
    tried = recipes(tuning.space, config.written) if tuning.when != "never" else ()
    groups = [group for recipe in (*tried, config.preprocessing) for group in recipe.groups]
    questions, files = questions_of(groups), files_of(groups)
    looked: dict[str, Any] = {}
    if questions:
        looks = look_at_shards(list(dataset.shards), questions, rule)
        looked = {"questions": questions, "looks": looks}

    def prepare(recipe: Any) -> tuple[Any, Any]:
        transform = (fit.with_options(depends_on=files) if files else fit)(
            config.name,
            admitted,
            recipe,
            data.label,
            config.training.task,
            rule,
            parse_uri(dataset.uri).repository,
            profile.train,
            refit_on=profile.train if config.preprocessing.refit == "always" else None,
            **looked,
        )
        if config.training.feed == "stream":
            return transform, ([], [], transform.signature)
        shards = transform_shards(list(dataset.shards), transform, rule)
        splits = [shard.train for shard in shards], [shard.validation for shard in shards]
        return transform, (*splits, transform.signature)

    choosing = bool(of_recipe(tuning.space))
    prepared = [prepare(recipe) for recipe in (tried if choosing else (config.preprocessing,))]
    tuned, drawn = tune(config, dataset, tried, [rows for _, rows in prepared])
    transform, rows = prepare(tuned.recipe) if choosing else prepared[0]
    settings, found = (config.training, {}) if tuned is None else (tuned.settings, tuned.chosen)
    raw = {"shards": list(dataset.shards), "transform": transform, "rule": rule}
    streamed = raw if config.training.feed == "stream" else {}
    trained = train(rows[0], rows[1], transform.signature, settings, **streamed)

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
    beside = {}
    if edge_cases:
        beside["edge_cases"] = evaluate_edge_cases(
            edge_cases,
            transform,
            trained.candidate,
            settings.model,
            champion,
            config.analysis.edge_error,
        )
    judged = judge(evaluation, config.analysis, **beside)
    page = report(judged, seen.validation, trained.history, config.name, report_look(), **drawn)
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


def searched(tuning: TuningConfig, **beside: Any) -> Search:
    """Return what a sweep searches, and how; `beside` are fields that settings alone do not say."""
    return Search(
        space=tuning.space,
        sampler=tuning.sampler,
        seed=tuning.seed,
        metric=tuning.metric,
        epochs=tuning.epochs,
        halving=tuning.halving,
        **beside,
    )


def tune(
    config: CycleConfig, dataset: Dataset, tried: tuple[PreprocessingConfig, ...], rows: Any
) -> tuple[Any, dict[str, Any]]:
    """Connect the sweep; return what it chose, None if there is none, and what its report takes.

    `rows` are those that each recipe makes.
    """
    tuning, training, recipe = config.tuning, config.training, config.preprocessing
    if not tuning.space:
        return None, {}
    if tuning.when == "never":
        return recall(lookup("last_sweep"), training, recipe), {}
    search = searched(tuning, models=architectures(config), recipes=tried)
    trials = trial(
        list(range(tuning.trials)),
        search,
        training,
        recipe,
        config.data.label,
        config.data.split,
        parse_uri(dataset.uri).repository,
        rows,
        tuning.concurrent,
        swept_on=rows if tuning.when == "always" else None,
        earlier=lookup("earlier_trials") if tuning.learn_from == "earlier" else None,
    )
    chosen = choose(trials, training, recipe, search)
    return chosen, {"sweep": report_sweep(trials, search, sweep_look())}


def architectures(config: CycleConfig) -> tuple[Any, ...]:
    """Return the models that a search may choose: the code that they name counts for its trials."""
    return tuple(
        with_chosen(config.written, {key: choice}).training.model
        for key, dimension in config.tuning.space.items()
        if key.startswith("training.model") and isinstance(dimension, ChoicesConfig)
        for choice in dimension.choices
    )
