"""The analysis stage, as a run calls it: the sealed split, the verdict, and the report."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raypipe.config.analysis import AnalysisConfig, MeasuringConfig
from raypipe.config.data import SplitRule
from raypipe.engine.context import current
from raypipe.engine.step import step
from raypipe.errors import NotBlessed
from raypipe.pages.look import look_of
from raypipe.values.dataset import Shard
from raypipe.values.edge_cases import EdgeCaseEvaluation, EdgeCases, EdgeFindings
from raypipe.values.evaluation import Evaluation
from raypipe.values.training import Checkpoint
from raypipe.values.validation import Validation
from raypipe.values.version import ModelVersion

if TYPE_CHECKING:  # a plan imports this module, and must not wait for Arrow
    from raypipe.values.transform import Transform


@step(num_cpus=0)
def evaluate(
    shards: list[Shard],
    rule: SplitRule,
    transform: Transform,
    candidate: Checkpoint,
    architecture: Any,
    champion: ModelVersion | None,
    settings: MeasuringConfig,
) -> Evaluation:
    """Score the analysis rows with candidate and champion, and say how good they are.

    Each figure is a metric of the run: `analysis.METRIC`. Whether that is good enough is `judge`'s
    to say, so that another threshold costs no look.
    """
    from raypipe.stages.analysis.evaluating import evaluate_scores
    from raypipe.stages.analysis.scoring import Work, score_here
    from raypipe.values.split import rule_columns

    here = current()
    work = Work(
        rule=rule,
        transform=transform,
        weights=candidate.weights,
        architecture=architecture,
        champion=champion.bundle if champion else None,
        groups=settings.groups or rule_columns(rule),
        slices=settings.slices,
        home=here.home,
        paths=here.paths,
    )
    here.progress(0, 2, "scoring")
    if here.runtime == "ray":
        from raypipe.stages.analysis.on_ray import score_on_ray

        table = score_on_ray(shards, work)
    else:
        table = score_here(shards, work)
    here.progress(1, 2, "intervals")
    version = champion.version if champion else ""
    found = evaluate_scores(table, transform.signature.label.task, version, settings)
    for name, one in found.metrics.items():
        if isfinite(one.value):
            here.log_metric(f"analysis.{name}", one.value, 0)
    return found


@step(num_cpus=0)
def evaluate_edge_cases(
    edge_cases: tuple[EdgeCases, ...],
    transform: Transform,
    candidate: Checkpoint,
    architecture: Any,
    champion: ModelVersion | None,
    error: float | None,
) -> tuple[EdgeFindings, ...]:
    """Ask candidate and champion the rows that people keep; the sealed split is not looked at.

    Each figure is a metric of the run: `edge.SET.METRIC`.
    """
    from raypipe.stages.analysis.edge_cases import ask_edge_cases
    from raypipe.stages.analysis.scoring import Work

    here = current()
    work = Work(
        rule=None,
        transform=transform,
        weights=candidate.weights,
        architecture=architecture,
        champion=champion.bundle if champion else None,
        groups=(),
        slices=(),
        home=here.home,
        paths=here.paths,
    )
    found = ask_edge_cases(edge_cases, work, champion.version if champion else "", error)
    for one in found:
        for name, value in one.metrics.items():
            if isfinite(value):
                here.log_metric(f"edge.{one.name}.{name}", value, 0)
    return found


@step(driver=True)
def judge(
    evaluation: Evaluation,
    settings: AnalysisConfig,
    edge_cases: tuple[EdgeFindings, ...] = (),
) -> Evaluation:
    """Return the evaluation with its verdict, and with what was found of edge cases."""
    from raypipe.stages.analysis.verdict import judge as verdict_on

    verdict = verdict_on(evaluation.metrics, evaluation.champion, settings, edge_cases)
    if not edge_cases:
        return replace(evaluation, verdict=verdict)
    known = {**vars(evaluation), "verdict": verdict}
    return EdgeCaseEvaluation(**known, edge_cases=edge_cases)


@step(driver=True, uncounted=("page",))
def bless(evaluation: Evaluation, page: Path) -> Evaluation:
    """Hand the evaluation on if the candidate is blessed.

    Else raise NotBlessed with the reasons, and where the report (`page`) lies.
    """
    if not evaluation.verdict.blessed:
        raise NotBlessed(
            "the candidate is not blessed:\n"
            + "\n".join(f"  {reason}" for reason in evaluation.verdict.reasons),
            hint=f"look at the report {page}; train otherwise, or move the thresholds of "
            "`analysis`",
        )
    return evaluation


def report_look() -> str:
    """Return the digest of what a report is drawn with."""
    return look_of(Path(__file__).with_name("templates"))


@step(driver=True)
def report(
    evaluation: Evaluation,
    validation: Validation,
    history: tuple[dict[str, float], ...],
    name: str,
    look: str = "",
    sweep: str = "",
) -> Path:
    """Write the evaluation as one HTML file that needs nothing else.

    `look` is the digest of what it is drawn with; `sweep` is HTML that says what a sweep found.
    """
    from raypipe.pages.page import write
    from raypipe.stages.analysis.page import render

    page = render(evaluation, validation, history, name, sweep)
    return write(page, current().scratch / f"{name}-report.html")
