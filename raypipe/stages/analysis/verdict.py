"""Whether a candidate is blessed, and why: pure."""

from collections.abc import Iterator, Sequence

from raypipe.config.analysis import AnalysisConfig, Threshold
from raypipe.errors import UsageError
from raypipe.values.edge_cases import EdgeFindings, told_in_short
from raypipe.values.evaluation import HIGHER_IS_BETTER, Comparison, Estimate, Verdict


def judge(
    metrics: dict[str, Estimate],
    champion: Comparison | None,
    settings: AnalysisConfig,
    edge_cases: Sequence[EdgeFindings] = (),
) -> Verdict:
    """Hold the metrics, those of edge cases too, against the thresholds and the champion."""
    faults = [
        *_threshold_faults(metrics, settings),
        *_edge_faults(edge_cases, settings),
        *_champion_faults(metrics, champion, settings),
    ]
    if faults:
        return Verdict(blessed=False, reasons=tuple(faults))
    kept = [f"{name} is {metrics[name].value:.4f}" for name in settings.thresholds]
    held = [one for one in edge_cases if one.name in settings.edge_cases]
    kept += [f"of the edge cases {one.name}, {told_in_short(one)}" for one in held]
    first = next(iter(metrics))
    if champion is not None and first in champion.differences:
        kept.append(f"{first} {champion.differences[first].value:+.4f} beside {champion.version}")
    return Verdict(blessed=True, reasons=tuple(kept) or ("no threshold is set",))


def _threshold_faults(metrics: dict[str, Estimate], settings: AnalysisConfig) -> Iterator[str]:
    for name, bound in settings.thresholds.items():
        if name not in metrics:
            raise UsageError(
                f"analysis.thresholds names the metric {name!r}",
                hint=f"this task has {', '.join(metrics)}",
            )
        for said in _beyond(metrics[name].value, bound):
            yield f"{name} is {said} (analysis.thresholds.{name})"


def _edge_faults(found: Sequence[EdgeFindings], settings: AnalysisConfig) -> Iterator[str]:
    known = {one.name: one for one in found}
    for name, bounds in settings.edge_cases.items():
        if name not in known:
            raise UsageError(
                f"analysis.edge_cases names the set {name!r}",
                hint=f"there is {', '.join(known) or 'none'}; `raypipe edge-cases add` keeps one",
            )
        for metric, bound in bounds.items():
            if metric not in known[name].metrics:
                raise UsageError(
                    f"analysis.edge_cases.{name} names the metric {metric!r}",
                    hint=f"this task has {', '.join(known[name].metrics)}",
                )
            for said in _beyond(known[name].metrics[metric], bound):
                yield f"edge.{name}.{metric} is {said} (analysis.edge_cases.{name}.{metric})"


def _beyond(value: float, bound: Threshold) -> Iterator[str]:
    if bound.at_least is not None and not value >= bound.at_least:
        yield f"{value:.4f}, below {bound.at_least:g}"
    if bound.at_most is not None and not value <= bound.at_most:
        yield f"{value:.4f}, above {bound.at_most:g}"


def _champion_faults(
    metrics: dict[str, Estimate], champion: Comparison | None, settings: AnalysisConfig
) -> Iterator[str]:
    first = next(iter(metrics))
    if champion is None or first not in champion.differences:
        return
    difference = champion.differences[first].value
    loss = -difference if first in HIGHER_IS_BETTER else difference
    if loss > settings.largest_loss:
        yield (
            f"{first} is {loss:.4f} worse than that of the champion {champion.version} on the same "
            f"rows; analysis.largest_loss allows {settings.largest_loss:g}"
        )
