"""The tables of the README that all families share."""

from __future__ import annotations

from baselines import counts, of_baselines, of_settings, table, verdicts
from quoting import Quoted


def quoted() -> Quoted:
    """Every method that is not better than a baseline that needs no meta-training."""
    found = verdicts()
    tables = {
        "counts": counts(found),
        "below": table(found),
        "baselines": of_baselines(found),
        "settings": of_settings(found),
    }
    return Quoted(tables, [])
