"""The plain loop on a GPU, without Ray: examples a second, and the share of time spent on data.

An image model and a tabular one, in float32, bf16, and bf16 with torch.compile. The rows are on the
device, as training keeps them; the same loop over batches that are cut beforehand says how much of
the time is spent on data. FSDP2 is tried on one worker. Needs no more of raypipe's packages than
torch, numpy, pyarrow, safetensors and pydantic.

    python scripts/bench_gpu.py [--tiny] [--case image|table] [--json FILE]
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from raypipe.config.families import ImageClassifierConfig
from raypipe.config.training import MlpConfig, TrainingConfig
from raypipe.model.build import build_module
from raypipe.model.feed import Batch, TensorFeed
from raypipe.model.loop import train_loop
from raypipe.model.share import Share
from raypipe.model.world import Sharded
from raypipe.values.signature import Label, Signature, TensorSpec

MODES: dict[str, dict[str, Any]] = {
    "float32": {},
    "bf16": {"precision": "bf16"},
    "bf16, compile": {"precision": "bf16", "compile": True},
}
BUDGET = 0.05


@dataclass(frozen=True)
class Cut(TensorFeed):
    """Hands out the same batches in each epoch, cut beforehand: no time goes to data."""

    kept: list[Batch] = field(default_factory=list)

    def epoch(self, epoch: int, begin: int = 0) -> Iterator[Batch]:
        """Hand out what is kept."""
        if not self.kept:
            self.kept.extend(super().epoch(epoch, begin))
        yield from self.kept


@dataclass(frozen=True, kw_only=True)
class Case:
    """A model and rows for it."""

    name: str
    model: Any
    spec: TensorSpec
    rows: int
    batch_size: int
    epochs: int
    """How many are measured; the best counts, after one to warm up."""

    @property
    def signature(self) -> Signature:
        """Its one tensor, and a binary label."""
        label = Label(name="y", task="binary", classes=("no", "yes"))
        return Signature(features=(), tensors=(self.spec,), label=label)

    def share(self, rows: int, device: torch.device) -> Share:
        """Draw rows on the device; the label follows from the first values."""
        values = torch.randn((rows, *self.spec.shape), device=device)
        label = (values.flatten(1)[:, :3].sum(dim=1) > 0).float()
        return Share(tensors={self.spec.name: values}, label=label)


def cases(tiny: bool) -> list[Case]:
    """Return the image model (of ResNet-18's shape) and the tabular one; tiny ones to try this."""
    side, widths, blocks = (16, (8, 16), 1) if tiny else (64, (64, 128, 256, 512), 2)
    return [
        Case(
            name=f"image 3×{side}×{side}",
            model=ImageClassifierConfig(widths=widths, blocks=blocks),
            spec=TensorSpec(name="picture", dtype="float32", shape=(3, side, side)),
            rows=256 if tiny else 40_960,
            batch_size=32 if tiny else 512,
            epochs=2,
        ),
        Case(
            name="table of 32 columns",
            model=MlpConfig(hidden=(32, 16) if tiny else (2048, 1024, 512)),
            spec=TensorSpec(name="dense", dtype="float32", shape=(32,)),
            rows=2048 if tiny else 2_097_152,
            batch_size=256 if tiny else 16_384,
            epochs=2 if tiny else 12,
        ),
    ]


def rate(case: Case, feed: TensorFeed, mode: dict[str, Any], world: Any = None) -> float:
    """Return rows a second of an epoch that follows one to warm up; validation left out."""
    device = feed.share.label.device
    settings = TrainingConfig(
        model=case.model,
        epochs=1 + case.epochs,
        patience=None,
        batch_size=case.batch_size,
        **mode,
    )
    times: dict[tuple[int, int], float] = {}

    class Clock:
        def wants_state(self, epoch: int, batches: int, of: int) -> bool:
            if batches in (1, of):
                if device.type == "cuda":
                    torch.cuda.synchronize()
                times[(epoch, 1 if batches == 1 else 2)] = time.perf_counter()
            return False

        def take(self, state: Any) -> None: ...

    module = build_module(case.model, case.signature).to(device)
    validation = case.share(64, device)
    train_loop(module, feed, validation, settings, watcher=Clock(), world=world)
    measured = range(2, 2 + case.epochs)
    seconds = [times[(epoch, 2)] - times[(epoch, 1)] for epoch in measured]
    return case.rows * (1 - 1 / feed.batches) / min(seconds)


def fsdp(case: Case, device: torch.device) -> float:
    """Train with fully_shard on one worker; return rows a second."""
    import torch.distributed as dist

    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"file://{folder}/store",
            rank=0,
            world_size=1,
        )
        try:
            feed = TensorFeed(share=case.share(case.rows, device), batch_size=case.batch_size)
            return rate(case, feed, {"precision": "bf16"}, Sharded())
        finally:
            dist.destroy_process_group()


def main() -> None:
    """Measure, print, and write what was measured."""
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--tiny", action="store_true")
    asked.add_argument("--json", type=Path)
    asked.add_argument("--case", choices=("image", "table"))
    options = asked.parse_args()
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    name = torch.cuda.get_device_name(0) if device.type == "cuda" else "CPU"
    print(f"{name}, torch {torch.__version__}", flush=True)
    found: list[dict[str, Any]] = []

    def tell(what: str, mode: str, rows: float, waiting: float | None) -> None:
        found.append({"what": what, "mode": mode, "rows_a_second": rows, "waiting": waiting})
        share = "" if waiting is None else f"{waiting:8.1%} of it for data (budget {BUDGET:.0%})"
        print(f"{what:22} {mode:14} {rows:14,.0f} examples/s {share}", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"device": name, "found": found}, indent=1))

    for case in cases(options.tiny):
        if options.case and not case.name.startswith(options.case):
            continue
        share = case.share(case.rows, device)
        for mode, settings in MODES.items():
            asked_for = {"share": share, "batch_size": case.batch_size}
            rows = rate(case, TensorFeed(**asked_for), settings)
            bare = rate(case, Cut(**asked_for), settings)
            tell(case.name, mode, rows, max(0.0, 1 - rows / bare))
    tell(cases(options.tiny)[1].name, "FSDP2, bf16", fsdp(cases(options.tiny)[1], device), None)


if __name__ == "__main__":
    main()
