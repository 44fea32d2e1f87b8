"""What this folder's README quotes of its results."""

from __future__ import annotations

from quoted_starts import starts
from quoting import Quoted


def quoted() -> Quoted:
    """Every table."""
    return starts()
