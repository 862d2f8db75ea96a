"""Where runs are shown beside raypipe itself: other trackers, which get a copy of each."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from raypipe.config.base import BaseConfig, Secret


def _without_login(value: Any) -> Any:
    """Refuse an address that holds a login; what is refused is not shown."""
    if isinstance(value, str) and "@" in value.partition("://")[2].partition("/")[0]:
        raise ValueError(
            "it holds a login, and settings are kept; use {env: NAME}, or MLflow's own variables "
            "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        )
    return value


class MlflowConfig(BaseConfig):
    """An MLflow server that each run is copied to when it ends; needs `raypipe[mlflow]`."""

    uri: Annotated[
        Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | Secret,
        BeforeValidator(_without_login),
    ]
    """Its address; `{env: NAME}` where that is a secret. Logins are MLflow's own variables."""

    experiment: str = Field("", max_length=200)
    """Experiment that the runs go to; empty: one of the pipeline's name."""


class TrackConfig(BaseConfig):
    """Trackers that get a copy of each run."""

    mlflow: MlflowConfig | None = None
    """An MLflow server; None: none."""
