"""The table of `order.json`: errors by the number of sines, and how fast they fall."""

from __future__ import annotations

from typing import Any

import numpy as np
from quoting import bare, markdown, power

ABOUT = {
    "smooth": "Poisson's equation in the square",
    "corner": "the L-shape, singular at its corner",
    "hole": "an ellipse less an ellipse",
    "interface": "a square with a disk that conducts 5 times as well",
}


def orders(found: dict[str, Any]) -> str:
    """Medians over seeds, with the power of the number of sines by which they fall."""
    numbers = list(found["problems"]["smooth"]["solve"])
    rows = []
    for name, ways in found["problems"].items():
        for way, errors in ways.items():
            middle = [float(np.median(errors[num])) for num in numbers]
            last, first = numbers.index("160"), numbers.index("40")
            fall = np.log(middle[first] / middle[last]) / np.log(4.0)
            rows.append(
                [f"{name}: {ABOUT[name]}", way, *(power(one) for one in middle), bare(fall, 1)]
            )
    return markdown(["problem", "functions", *(f"{num} sines" for num in numbers), "order"], rows)


def sentences(found: dict[str, Any]) -> list[str]:
    """What the text says of the results."""
    return [f"the medians of {found['seeds']} seeds"]
