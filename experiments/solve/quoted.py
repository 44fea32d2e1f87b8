"""The tables and figures of this folder's README."""

from __future__ import annotations

import card_tables
import many
import order_tables
import trust_tables
from quoting import Quoted, results


def quoted() -> Quoted:
    """What is quoted, of the results."""
    trust = results("solve", "results/trust.json")
    tables = {"verdicts": trust_tables.verdicts(trust), "known": trust_tables.problems(trust)}
    order = results("solve", "results/order.json")
    tables |= {"orders": order_tables.orders(order)}
    tables |= card_tables.tables()
    sentences = [*trust_tables.sentences(trust), *card_tables.sentences()]
    sentences += order_tables.sentences(order)
    elsewhere = {
        "docs/solve.md": card_tables.speed(),
        "docs/solve_parametric.md": many.sentences(results("solve", "results/solve_many.json")),
    }
    return Quoted(tables, sentences, elsewhere)
