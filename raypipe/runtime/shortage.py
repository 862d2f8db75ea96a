"""What Ray's memory monitor says of a node, in the words that count: who was ended, and why."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MARK = "due to the node running low on memory"
"""What each of its messages says."""
NODE = re.compile(r"was ([\d.]+)GB used / ([\d.]+)GB limit")
PROCESS = re.compile(r"pid=(\d+), actual memory used=([\d.]+)GB")
HINT = (
    "give the node more memory or less to do at once; Ray ends processes from the share of its "
    "memory on that RAY_memory_usage_threshold says (0.95)"
)


@dataclass(frozen=True, kw_only=True)
class Shortage:
    """A node whose memory was as good as full, so that Ray ended processes on it.

    It goes by who began last, not by who holds most, and takes down what they started with them.
    """

    used: str
    """GB, of all processes of the node; empty where it was not said."""
    limit: str
    """GB that the node has."""
    held: Mapping[int, str]
    """GB of each of Ray's processes there, by process id."""

    def of(self, known: Mapping[int, str]) -> tuple[str, str]:
        """Return which of the processes that are `known` held most, and how much; or nothing."""
        there = [pid for pid in self.held if pid in known]
        most = max(there, key=lambda pid: float(self.held[pid]), default=None)
        return ("", "") if most is None else (known[most], self.held[most])

    def told(self, known: Mapping[int, str], unknown: str) -> str:
        """Say who was lost and why; `unknown` is who if it is none of the `known` processes."""
        name, held = self.of(known)
        which = f"{name} (it held {held} GB)" if name else unknown
        full = f" ({self.used} of {self.limit} GB used)" if self.used else ""
        return (
            f"lost {which}: the node was short of memory{full}, so that Ray ended processes on it"
        )


def shortage_of(error: Exception) -> Shortage | None:
    """Return the shortage that an error of Ray's tells of; None if it is of something else."""
    said = str(error)
    if MARK not in said:
        return None
    node = NODE.search(said)
    return Shortage(
        used=node[1] if node else "",
        limit=node[2] if node else "",
        held={int(pid): held for pid, held in PROCESS.findall(said)},
    )
