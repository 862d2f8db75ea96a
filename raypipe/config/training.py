"""What the training stage is told: the model, the loop, and the workers."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, field_validator, model_validator

from raypipe.config.base import BaseConfig, CodeReference
from raypipe.config.families import (
    ImageClassifierConfig,
    TabularResNetConfig,
    TextClassifierConfig,
)
from raypipe.config.loop import (
    EXTRA_METRICS,
    LOSSES,
    ScheduleConfig,
    TaskName,
    WithinEpochConfig,
)


class MlpConfig(BaseConfig):
    """The built-in multilayer perceptron for tables, with an embedding for each indexed column."""

    kind: Literal["tabular_mlp"] = "tabular_mlp"

    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (128, 64)
    """Width of each hidden layer."""

    dropout: float = Field(0.1, ge=0, lt=1)
    """Share of activations dropped while training."""

    embedding_width: int = Field(16, ge=1)
    """Largest width of an embedding; small vocabularies get narrower ones."""


class CustomModelConfig(BaseConfig):
    """A model of your own."""

    kind: Literal["custom"] = "custom"

    build: CodeReference
    """Callable that takes the signature (and `options` as keywords) and gives a module.

    A torch.nn.Module, whose forward takes a dict of named tensors and returns logits of
    shape [rows, outputs].
    """

    options: dict[str, Any] = {}
    """Keyword arguments for `build`."""


AnyModel: TypeAlias = (
    MlpConfig | TabularResNetConfig | TextClassifierConfig | ImageClassifierConfig
    | CustomModelConfig
)  # fmt: skip
ModelConfig = Annotated[AnyModel, Field(discriminator="kind")]


class WorkersConfig(BaseConfig):
    """The processes that train together."""

    count: int = Field(1, ge=1)
    """Number of Ray Train workers."""

    min: int | None = Field(None, ge=1)
    """Fewest workers that training goes on with, where their number may change; None: `count`."""

    max: int | None = Field(None, ge=1)
    """Most workers, as many as the cluster has room for; set together with `min`."""

    strategy: Literal["ddp", "fsdp"] = "ddp"
    """What several workers hold: each all weights, or (torch's fully_shard) each a part of them."""

    gpu: bool = False
    """Give each worker a GPU."""

    cpus: float = Field(1.0, gt=0)
    """CPUs for each worker."""

    @property
    def elastic(self) -> bool:
        """Whether the number of workers may change while they train."""
        return self.max is not None

    @property
    def fewest(self) -> int:
        """Fewest workers that train."""
        return self.min or self.count

    @property
    def most(self) -> int:
        """Most workers that train."""
        return self.max or self.count

    @model_validator(mode="after")
    def _min_and_max_go_together(self) -> Self:
        if (self.min is None) != (self.max is None):
            raise ValueError("min and max go together; set both, or count alone")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min ({self.min}) is above max ({self.max}); swap them")
        if self.elastic and "count" in self.model_fields_set and self.count != 1:
            raise ValueError(
                "count says how many workers there are, min and max too; leave it away"
            )
        return self


class TrainingConfig(BaseConfig):
    """Settings of the training stage."""

    model: ModelConfig = MlpConfig()
    """What is trained."""

    task: TaskName = "binary"
    """What the label is: one of two classes, one of several, any of several, or a number."""

    epochs: int = Field(10, ge=1)
    """Most passes over the train split."""

    batch_size: int = Field(1024, ge=1)
    """Rows in a batch of one worker."""

    learning_rate: float = Field(1e-3, gt=0)
    """Largest learning rate."""

    schedule: ScheduleConfig = ScheduleConfig()
    """How it changes from step to step; a bare name is its kind."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or stochastic gradient descent with Nesterov's momentum."""

    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of `sgd`."""

    weight_decay: float = Field(1e-4, ge=0)
    """Weight decay of the optimizer; biases and scales do not decay."""

    clip_norm: float | None = Field(1.0, gt=0)
    """Largest norm of the gradient of a step, longer ones are shortened to it; None: any."""

    accumulate: int = Field(1, ge=1)
    """Batches whose gradients make one step: as a batch so many times as large, in less memory."""

    loss: str | None = None
    """What is minimised, by name, or a function of your own: `my_pkg.losses:mine`.

    None is the first of the task's: binary, multiclass and multilabel have cross_entropy and focal,
    binary also hinge; regression has squared, absolute and huber. A function of your own takes
    logits [rows, outputs] and the label and returns a loss for each row, [rows].
    """

    metrics: tuple[str, ...] = ()
    """Further metrics of the validation split: names, or functions of your own.

    A function takes scores and label as numpy arrays and returns a number.
    """

    class_weights: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0)]] | None = None
    """What a row counts in the loss of training, by its class.

    "balanced": each class as much as any other in sum. Or a weight a class, by name; those left
    out have 1. Validation counts each row once in any case.
    """

    precision: Literal["float32", "bf16"] = "float32"
    """What training computes in. bf16: where torch holds it safe; weights stay float32.

    Validation is in float32, as the model will answer.
    """

    compile: bool = False
    """Train through torch.compile, which takes a while at the start."""

    deterministic: bool = False
    """Refuse operations whose result differs from run to run, on a GPU above all."""

    pretrained: Path | None = None
    """File with weights to begin with: safetensors, or a state dict of torch.save (`.pt`).

    Its content counts. Weights are taken by name where the shape fits; see what else was found in
    the log. A `.pt` is read with weights_only, so that no code in it runs.
    """

    checkpoint: WithinEpochConfig = WithinEpochConfig()
    """When a state to go on from is kept within an epoch; at its end there is one anyhow."""

    patience: int | None = Field(3, ge=1)
    """Epochs without a better validation loss after which training stops; None: never early."""

    seed: int = Field(0, ge=-(2**63), lt=2**64)
    """Seed of the weights and of the order of rows: what torch takes, -2^63 to 2^64 - 1."""

    keep: int = Field(3, ge=1)
    """Checkpoints that are kept, the best by validation loss."""

    workers: WorkersConfig = WorkersConfig()
    """The processes that train together."""

    feed: Literal["materialize", "stream"] = "materialize"
    """How rows come to training.

    materialize: transformed once, kept, and used again. stream: transformed on the way, in each
    epoch anew, and nothing is written: for data too large to write twice.
    """

    loop: CodeReference | None = None
    """A loop of your own instead: `my_pkg.train:loop`, a train_loop_per_worker of Ray Train's.

    It gets its rows by ray.train.get_dataset_shard("train") and ("validation"), and reports the
    loss of the validation split with a checkpoint that holds the state dict of `model`'s module.
    """

    loop_options: dict[str, Any] = {}
    """What else `loop` is given in its config, beside epochs, batch_size and the like."""

    @field_validator("schedule", mode="before")
    @classmethod
    def _a_bare_name_is_a_kind(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @field_validator("loss", mode="after")
    @classmethod
    def _code_is_a_reference(cls, value: str | None) -> str | None:
        return CodeReference(value) if value and ":" in value else value

    @field_validator("metrics", mode="after")
    @classmethod
    def _codes_are_references(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(CodeReference(one) if ":" in one else one for one in values)

    @model_validator(mode="after")
    def _fits_the_task(self) -> Self:
        for what, names, allowed in (
            ("loss", (self.loss,), LOSSES),
            ("metrics", self.metrics, EXTRA_METRICS),
        ):
            known = allowed[self.task]
            odd = [one for one in names if one and ":" not in one and one not in known]
            if odd:
                raise ValueError(
                    f"{what} is {odd[0]!r}; for {self.task} there are {', '.join(known)}, or "
                    "functions of your own, as MODULE:NAME"
                )
        if self.class_weights is not None and self.task == "regression":
            raise ValueError("class_weights is set, but a regression has no classes; leave it away")
        if self.feed == "stream" and self.class_weights == "balanced":
            raise ValueError(
                "class_weights is balanced, and feed is stream, which counts no classes; give a "
                "weight a class, or materialize"
            )
        if self.feed == "stream" and self.loop is not None:
            raise ValueError(
                "loop is set, and feed is stream; a loop of your own is given rows that are "
                "materialized: leave feed away"
            )
        return self

    @field_validator("model", mode="before")
    @classmethod
    def _a_bare_reference_is_a_custom_model(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"kind": "custom", "build": value} if ":" in value else {"kind": value}
        if isinstance(value, dict) and "kind" not in value:
            return {"kind": "custom" if "build" in value else "tabular_mlp", **value}
        return value
