"""How long a solve may take."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds that pass, and how many may.

    Attributes:
      most: seconds at most, infinite where there is no end.
      begun: when it was made, by the computer's clock.
      stopped: whether work was left undone as there was no time for it.
    """

    most: float = float("inf")
    begun: float = field(default_factory=time.monotonic)
    stopped: bool = False

    @property
    def passed(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self.begun

    def stops(self, seconds: float = 0.0) -> bool:
        """Return whether there is no time for work of so many seconds, and remember it.

        Args:
          seconds: that the work will probably take.
        """
        late = self.passed + seconds >= self.most
        self.stopped |= late
        return late
