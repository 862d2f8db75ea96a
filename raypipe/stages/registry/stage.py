"""The registry stage, as a run calls it: a candidate that was approved becomes a model version."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.engine.context import current
from raypipe.engine.graph import Decision
from raypipe.engine.step import step
from raypipe.stages.registry.card import card
from raypipe.stages.registry.deriving import changelog, derive
from raypipe.store.version_numbers import next_free
from raypipe.values.dataset import Dataset
from raypipe.values.evaluation import Evaluation
from raypipe.values.training import Checkpoint
from raypipe.values.version import FOUND, Lineage, ModelVersion

if TYPE_CHECKING:
    from raypipe.values.profile import SplitProfiles
    from raypipe.values.transform import Transform


@step(driver=True, uncounted=("dataset", "profiles", "code", "settings", "taken", "found"))
def register(
    model: str,
    candidate: Checkpoint,
    transform: "Transform",
    evaluation: Evaluation,
    decision: Decision,
    champion: ModelVersion | None,
    architecture: Any,
    dataset: Dataset,
    profiles: "SplitProfiles",
    code: dict[str, dict[str, str]],
    settings: dict[str, Any],
    taken: tuple[str, ...],
    found: dict[str, Any] | None = None,
) -> ModelVersion:
    """Give an approved candidate its version, and write its bundle.

    `code` holds `symbols` and `packages`; `taken` the version numbers that exist; `found` what a
    sweep chose in place of the settings as written. What the candidate was made of does not count
    in the key: the same candidate, approved on the same evidence, is the same version.
    """
    lineage = Lineage(
        dataset=dataset.uri,
        commit=dataset.commit,
        shards={shard.path: shard.object_id for shard in dataset.shards},
        rows={name: getattr(profiles, name).rows for name in ("train", "validation", "analysis")},
        settings={**settings, FOUND: found} if found else settings,
        code=code["symbols"],
        packages=code["packages"],
        signature=transform.signature,
        run=current().run,
    )
    before = champion.lineage if champion else None
    version, level, reasons = derive(before, lineage, champion.version if champion else None)
    version = next_free(version, frozenset(taken))
    log = changelog(before, lineage, level, reasons, metric_sentences(evaluation, champion))
    folder = current().scratch / f"{model}-{version}"
    made = ModelVersion(
        model=model,
        version=version,
        bundle=folder,
        metrics={name: (e.value, e.low, e.high) for name, e in evaluation.metrics.items()},
        changelog=log,
        lineage=lineage,
        approved_by=decision.by,
        note=decision.note,
    )
    _write_bundle(folder, made, candidate, transform, architecture)
    return made


def metric_sentences(evaluation: Evaluation, champion: ModelVersion | None) -> tuple[str, ...]:
    """Say what became of each metric, beside the champion on the same rows if there is one."""
    if evaluation.champion is None or champion is None:
        return tuple(
            f"{name} {one.value:.4f} ({one.low:.4f} to {one.high:.4f})"
            for name, one in evaluation.metrics.items()
        )
    old = evaluation.champion.metrics
    return tuple(
        f"{name} {old[name].value:.4f} → {evaluation.metrics[name].value:.4f} "
        f"({difference.value:+.4f}, from {difference.low:+.4f} to {difference.high:+.4f}, "
        f"on the same rows as {champion.version})"
        for name, difference in evaluation.champion.differences.items()
    )


def _write_bundle(
    folder: Path,
    version: ModelVersion,
    candidate: Checkpoint,
    transform: "Transform",
    architecture: Any,
) -> None:
    import shutil

    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    shutil.copyfile(candidate.weights, folder / "weights.safetensors")
    transform.save(folder / "transform")
    signature = asdict(transform.signature)
    lineage = asdict(version.lineage)
    _write_json(folder / "signature.json", signature)
    _write_json(folder / "lineage.json", lineage)
    _write_json(
        folder / "bundle.json",
        {
            "format": 1,
            "model": version.model,
            "version": version.version,
            "architecture": architecture.model_dump(mode="json"),
            "code": _code_snapshot(),
            "metrics": version.metrics,
            "changelog": asdict(version.changelog),
        },
    )
    (folder / "card.md").write_text(card(replace(version, bundle=folder)))


def _write_json(file: Path, data: Any) -> None:
    file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def _code_snapshot() -> str | None:
    """Keep the project's code, which rebuilds the module; return its digest. None outside a run."""
    from raypipe.store.artifacts import artifacts_of_run
    from raypipe.store.snapshot import snapshot_project

    context = current()
    if context.home is None or context.root is None:
        return None
    return snapshot_project(context.root, artifacts_of_run(context.home, context.run))
