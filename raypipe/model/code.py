"""Where models find the code that settings name; the work is done below, where transforms need it too."""

from raypipe.values.code import resolve

__all__ = ["resolve"]
