"""The tables and figures of this folder's README."""

from __future__ import annotations

import card_tables
import trust_tables
from quoting import Quoted, results


def quoted() -> Quoted:
    """What is quoted, of the results."""
    trust = results("solve", "results/trust.json")
    tables = {"verdicts": trust_tables.verdicts(trust), "known": trust_tables.problems(trust)}
    tables |= card_tables.tables()
    sentences = [*trust_tables.sentences(trust), *card_tables.sentences()]
    return Quoted(tables, sentences, {"docs/solve.md": card_tables.speed()})
