"""What the feedback stage is told: when captured rows are worth a look, and what is drift."""

from raypipe.config.base import BaseConfig


class FeedbackConfig(BaseConfig):
    """Settings of the feedback stage."""
