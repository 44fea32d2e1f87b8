"""From settings to HyperDistill's problem: tasks of which test and validation see other classes."""

from __future__ import annotations

from metajax.systems.parts import PartedProblem


class Problem(PartedProblem):
    """Tasks of a test-bed; the test-bed itself is made by each method, of what may be traced."""

    __slots__ = ()

    def setting(self) -> str:
        """Return the tasks in a few words."""
        return f"{self.settings.testbed}, {super().setting()}" if self.images else super().setting()
