"""Whether a candidate is blessed, and why: pure."""

from collections.abc import Iterator

from raypipe.config.analysis import AnalysisConfig
from raypipe.errors import UsageError
from raypipe.values.evaluation import HIGHER_IS_BETTER, Comparison, Estimate, Verdict


def judge(
    metrics: dict[str, Estimate], champion: Comparison | None, settings: AnalysisConfig
) -> Verdict:
    """Hold the metrics against the thresholds and the champion."""
    faults = [*_threshold_faults(metrics, settings), *_champion_faults(metrics, champion, settings)]
    if faults:
        return Verdict(blessed=False, reasons=tuple(faults))
    kept = [f"{name} is {metrics[name].value:.4f}" for name in settings.thresholds]
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
        value = metrics[name].value
        if bound.at_least is not None and not value >= bound.at_least:
            yield f"{name} is {value:.4f}, below {bound.at_least:g} (analysis.thresholds.{name})"
        if bound.at_most is not None and not value <= bound.at_most:
            yield f"{name} is {value:.4f}, above {bound.at_most:g} (analysis.thresholds.{name})"


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
