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

    shared: bool = False
    """The home is on a file system that each node of the cluster sees under the same path.

    Without it a cluster of several nodes is refused: what a step elsewhere wrote would be lost.
    """

    audit: Literal["warn", "strict", "off"] = "warn"
    """What is done where a step reads a file, a variable or a socket that it does not declare.

    A warning, an error, or nothing. What `depends_on` names is declared.
    """

    cpus: int | None = Field(None, ge=1)
    """CPUs of a Ray of its own; None: those of the machine."""
