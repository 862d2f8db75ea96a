"""What the registry stage is told: under which name model versions are kept."""

from raypipe.config.base import BaseConfig


class RegistryConfig(BaseConfig):
    """Settings of the registry stage."""

    model: str | None = None
    """Name of the model; None: the name at the top of the settings."""

    promote: bool = True
    """Make a newly registered version the champion."""
