"""All settings of a model's life, one section a stage, in the order in which a run meets them."""

from typing import Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from raypipe.config.analysis import AnalysisConfig
from raypipe.config.base import BaseConfig
from raypipe.config.data import DataConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.config.registry import RegistryConfig
from raypipe.config.runtime import RuntimeConfig
from raypipe.config.serving import ServingConfig
from raypipe.config.training import TrainingConfig
from raypipe.config.tuning import TuningConfig, complaints
from raypipe.config.validation import ValidationConfig


class CycleConfig(BaseConfig):
    """The settings of one model's cycle."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    """Name of the model and of its pipeline."""

    data: DataConfig
    """Which rows."""

    validation: ValidationConfig = ValidationConfig()
    """What the rows must be."""

    preprocessing: PreprocessingConfig
    """How rows become tensors."""

    training: TrainingConfig = TrainingConfig()
    """How the model is trained."""

    tuning: TuningConfig = TuningConfig()
    """Which settings of training are searched."""

    analysis: AnalysisConfig = AnalysisConfig()
    """How the candidate is judged."""

    registry: RegistryConfig = RegistryConfig()
    """How versions are kept."""

    serving: ServingConfig = ServingConfig()
    """How versions are served."""

    feedback: FeedbackConfig = FeedbackConfig()
    """What becomes of requests and labels."""

    runtime: RuntimeConfig = RuntimeConfig()
    """Where steps run."""

    @model_validator(mode="after")
    def _the_label_is_no_feature(self) -> Self:
        for number, group in enumerate(self.preprocessing.groups):
            if self.data.label in group.columns:
                raise ValueError(
                    f"preprocessing.groups[{number}] reads the label {self.data.label!r}; "
                    "a model cannot be asked with the answer: leave it out"
                )
        return self

    @model_validator(mode="after")
    def _what_is_searched_can_be_trained_with(self) -> Self:
        found = [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{error}", {"error": said}),
                loc=("tuning", *place),
                input=None,
            )
            for place, said in complaints(self.tuning, self.training)
        ]
        if found:
            raise ValidationError.from_exception_data("tuning", found)
        return self
