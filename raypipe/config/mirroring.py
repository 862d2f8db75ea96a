"""Where runs are shown beside raypipe itself: other trackers, which get a copy of each."""

from typing import Annotated

from pydantic import Field

from raypipe.config.base import BaseConfig, Secret


class MlflowConfig(BaseConfig):
    """An MLflow server that each run is copied to when it ends; needs `raypipe[mlflow]`."""

    uri: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | Secret
    """Its address; `{env: NAME}` where that is a secret. Logins are MLflow's own variables."""

    experiment: str = Field("", max_length=200)
    """Experiment that the runs go to; empty: one of the pipeline's name."""


class TrackConfig(BaseConfig):
    """Trackers that get a copy of each run."""

    mlflow: MlflowConfig | None = None
    """An MLflow server; None: none."""
