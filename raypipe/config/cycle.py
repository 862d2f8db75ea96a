"""All settings of a model's life, one section a stage, in the order in which a run meets them."""

from collections.abc import Iterator
from typing import Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from raypipe.config.analysis import AnalysisConfig
from raypipe.config.base import BaseConfig
from raypipe.config.data import DataConfig
from raypipe.config.feedback import FeedbackConfig
from raypipe.config.importing import ImportConfig
from raypipe.config.mirroring import TrackConfig
from raypipe.config.notices import NoticeConfig
from raypipe.config.preprocessing import PreprocessingConfig
from raypipe.config.registry import RegistryConfig
from raypipe.config.runtime import RuntimeConfig
from raypipe.config.serving import ServingConfig
from raypipe.config.store import StoreConfig
from raypipe.config.training import TrainingConfig
from raypipe.config.tuning import Complaint, TuningConfig, Written, complaints, of_recipe, recipes
from raypipe.config.validation import ValidationConfig


class CycleConfig(BaseConfig):
    """The settings of one model's cycle."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    """Name of the model and of its pipeline."""

    data: DataConfig
    """Which rows."""

    imports: ImportConfig = ImportConfig()
    """How `raypipe data import` reads files."""

    validation: ValidationConfig = ValidationConfig()
    """What the rows must be."""

    preprocessing: PreprocessingConfig
    """How rows become tensors."""

    training: TrainingConfig = TrainingConfig()
    """How the model is trained."""

    tuning: TuningConfig = TuningConfig()
    """Which settings are searched."""

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

    store: StoreConfig = StoreConfig()
    """Where what lasts is kept, and for how long."""

    notify: tuple[NoticeConfig, ...] = ()
    """Who is told that a review waits, or that a run ended."""

    track: TrackConfig = TrackConfig()
    """Other trackers that get a copy of each run."""

    @property
    def written(self) -> Written:
        """The sections that a sweep searches settings of."""
        return Written(training=self.training, preprocessing=self.preprocessing)

    @model_validator(mode="after")
    def _the_label_is_no_feature(self) -> Self:
        if (number := self._reader_of_the_label(self.preprocessing)) is not None:
            raise ValueError(
                f"preprocessing.groups[{number}] reads the label {self.data.label!r}; "
                "a model cannot be asked with the answer: leave it out"
            )
        return self

    def _reader_of_the_label(self, recipe: PreprocessingConfig) -> int | None:
        readers = (n for n, one in enumerate(recipe.groups) if self.data.label in one.columns)
        return next(readers, None)

    @model_validator(mode="after")
    def _what_is_searched_can_be_trained_with(self) -> Self:
        faults = list(complaints(self.tuning, self.written)) or list(self._searched_labels())
        if faults:
            raise ValidationError.from_exception_data(
                "tuning",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("value_error", "{error}", {"error": said}),
                        loc=("tuning", *place),
                        input=None,
                    )
                    for place, said in faults
                ],
            )
        return self

    def _searched_labels(self) -> Iterator[Complaint]:
        for recipe in recipes(self.tuning.space, self.written):
            if (number := self._reader_of_the_label(recipe)) is not None:
                yield (
                    ("space", next(iter(of_recipe(self.tuning.space)))),
                    f"it makes a recipe whose group {number} reads the label "
                    f"{self.data.label!r}; a model cannot be asked with the answer: leave it out",
                )
                return
