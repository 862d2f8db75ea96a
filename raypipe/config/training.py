"""What the training stage is told: the model, the loop, and the workers."""

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from raypipe.config.base import BaseConfig, CodeReference


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


ModelConfig = Annotated[MlpConfig | CustomModelConfig, Field(discriminator="kind")]


class WorkersConfig(BaseConfig):
    """The processes that train together."""

    count: int = Field(1, ge=1)
    """Number of Ray Train workers; more than one trains with DDP."""

    gpu: bool = False
    """Give each worker a GPU."""

    cpus: float = Field(1.0, gt=0)
    """CPUs for each worker."""


class TrainingConfig(BaseConfig):
    """Settings of the training stage."""

    model: ModelConfig = MlpConfig()
    """What is trained."""

    task: Literal["binary", "multiclass", "regression"] = "binary"
    """What the label is: one of two classes, one of several, or a number."""

    epochs: int = Field(10, ge=1)
    """Most passes over the train split."""

    batch_size: int = Field(1024, ge=1)
    """Rows in a batch of one worker."""

    learning_rate: float = Field(1e-3, gt=0)
    """Largest learning rate; it falls to zero along a cosine."""

    weight_decay: float = Field(1e-4, ge=0)
    """AdamW's weight decay."""

    patience: int | None = Field(3, ge=1)
    """Epochs without a better validation loss after which training stops; None: never early."""

    seed: int = 0
    """Seed of the weights and of the order of rows."""

    keep: int = Field(3, ge=1)
    """Checkpoints that are kept, the best by validation loss."""

    workers: WorkersConfig = WorkersConfig()
    """The processes that train together."""

    @field_validator("model", mode="before")
    @classmethod
    def _a_bare_reference_is_a_custom_model(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"kind": "custom", "build": value} if ":" in value else {"kind": value}
        if isinstance(value, dict) and "kind" not in value:
            return {"kind": "custom" if "build" in value else "tabular_mlp", **value}
        return value
