"""What the benchmarks share: CPU seconds of whole processes, and a table with budgets."""

import resource
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path


def cpu(
    command: Sequence[str], folder: Path, times: int = 5, environment: dict | None = None
) -> float:
    """Return the median CPU seconds of a command with all its children, one warm-up left out."""
    spent = [once(command, folder, environment) for _ in range(times + 1)]
    return statistics.median(spent[1:])


def once(command: Sequence[str], folder: Path, environment: dict | None = None) -> float:
    """Return the CPU seconds of one run of a command with all its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def row(what: str, measured: float, budget: float | None, unit: str = "s") -> None:
    """Print a line of the table; the budget is an upper bound."""
    if budget is None:
        print(f"{what:<64} {measured:>9.3f} {unit:<3}")
        return
    verdict = "holds" if measured <= budget else "MISSED"
    print(f"{what:<64} {measured:>9.3f} {unit:<3} budget {budget:>7.3f}  {verdict}")
