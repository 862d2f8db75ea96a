"""Where steps run: in this process or on Ray."""

from typing import Literal

from pydantic import Field

from raypipe.config.base import BaseConfig


class RuntimeConfig(BaseConfig):
    """Settings of the runtime."""

    kind: Literal["ray", "inline"] = "ray"
    """Where steps run; steps that need no cluster run in the driver either way."""

    address: str | None = None
    """Address of a running Ray cluster (host:port, or "auto").

    None: a Ray of its own on this machine.
    """

    cpus: int | None = Field(None, ge=1)
    """CPUs of a Ray of its own; None: those of the machine."""
