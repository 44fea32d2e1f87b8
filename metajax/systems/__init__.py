"""Published meta-learning systems, one folder each."""

from metajax.systems.base import SYSTEMS, Figure, Run, System, get_system

__all__ = ["SYSTEMS", "Figure", "Run", "System", "get_system"]
