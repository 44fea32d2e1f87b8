"""The tables of the README that all families share."""

from __future__ import annotations

from baselines import counts, table, verdicts
from quoting import Quoted


def quoted() -> Quoted:
    """Every method that is not better than a baseline that needs no meta-training."""
    found = verdicts()
    return Quoted({"counts": counts(found), "below": table(found)}, [])
