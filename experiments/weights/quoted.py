"""What this folder's README quotes of its results."""

from __future__ import annotations

from quoted_conditions import conditions
from quoted_edits import edits
from quoted_fashion import fashion
from quoted_modalities import modalities
from quoted_pruning import pruning
from quoted_starts import starts
from quoted_zoos import zoos
from quoting import Quoted


def quoted() -> Quoted:
    """Every table."""
    parts = (conditions(), fashion(), starts(), zoos(), edits(), modalities(), pruning())
    tables = {name: table for part in parts for name, table in part.tables.items()}
    elsewhere = {path: lines for part in parts for path, lines in part.elsewhere.items()}
    return Quoted(tables, [line for part in parts for line in part.sentences], elsewhere)
