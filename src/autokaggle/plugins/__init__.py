"""Where other packages join: hook specifications, the manager, and our own defaults by the same door."""

from autokaggle.plugins.hookspecs import hookimpl

__all__ = ["hookimpl"]
