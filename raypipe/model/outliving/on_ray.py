"""A group of torch's that is shut down whole though a worker was ended for want of memory.

Ray's own takes a worker whose process is gone for granted there, but not this error: the shutdown
breaks off, the group's CPUs stay reserved, and no further group ever finds room.
"""

from dataclasses import dataclass
from typing import Any

from ray.exceptions import OutOfMemoryError
from ray.train.torch import TorchConfig


@dataclass
class OutlivingConfig(TorchConfig):  # type: ignore[misc]
    """How torch's processes find one another, as by Ray's own config."""

    @property
    def backend_cls(self) -> Any:
        """The backend that Ray Train starts and shuts down the group with."""
        own: Any = super().backend_cls

        class Outliving(own):  # type: ignore[misc]
            def on_shutdown(self, *args: Any, **kwargs: Any) -> None:
                try:
                    super().on_shutdown(*args, **kwargs)
                except OutOfMemoryError:
                    return

        return Outliving
