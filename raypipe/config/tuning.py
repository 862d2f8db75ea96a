"""What the tuning stage is told: which settings are searched, how, and how often."""

from raypipe.config.base import BaseConfig


class TuningConfig(BaseConfig):
    """Settings of the tuning stage."""
