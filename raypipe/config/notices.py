"""Who is told that a person must look, or that a run ended."""

from typing import Annotated, Literal

from pydantic import Field

from raypipe.config.base import BaseConfig, Secret

Occasion = Literal["review", "failed", "succeeded"]


class NoticeConfig(BaseConfig):
    """One address that JSON is posted to."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")] | Secret
    """Where to, such as the incoming webhook of a chat; `{env: NAME}` where the URL is a secret."""

    on: Annotated[tuple[Occasion, ...], Field(min_length=1)] = ("review", "failed")
    """When: a review opens, a run fails or is rejected, a run succeeds."""

    timeout: float = Field(10.0, gt=0, le=60)
    """Seconds that the receiver has to answer."""
