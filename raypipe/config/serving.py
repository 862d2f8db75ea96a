"""What the serving stage is told: where the gateway listens, and how it keeps what it is asked."""

from typing import Literal

from pydantic import Field

from raypipe.config.base import BaseConfig


class ServingConfig(BaseConfig):
    """Settings of the serving stage; one gateway speaks for all models of a home."""

    host: str = "127.0.0.1"
    """Address that the gateway listens at; 0.0.0.0 for every network of the machine."""

    port: int = Field(8000, ge=1, le=65535)
    """Port that the gateway listens at."""

    replicas: int = Field(1, ge=1)
    """Processes that answer; each holds every version that is served."""

    isolation: Literal["shared"] = "shared"
    """Versions are loaded inside the gateway's replicas."""

    keep: int = Field(3, ge=1)
    """Newest versions of a model that are loaded beside those that its route and aliases name."""

    log: Literal["memory", "process", "disk"] = "process"
    """What an acknowledged request survives.

    memory: nothing; process: the end of any process; disk: a power failure too.
    """

    seal_after: float = Field(60.0, gt=0)
    """Seconds after which a segment of the request log is sealed to Parquet."""

    seal_bytes: int = Field(64 * 2**20, ge=2**16)
    """Bytes after which it is."""

    largest_body: int = Field(4 * 2**20, ge=1024)
    """Bytes of the largest request that is read."""
