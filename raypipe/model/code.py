"""Where models find the code that settings name; transforms need it too, so it lies in values."""

from raypipe.values.code import resolve

__all__ = ["resolve"]
