"""What the READMEs of the experiments are checked with: tables and figures made of their JSONs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

HERE = Path(__file__).parent


class Quoted(NamedTuple):
    """What one README quotes of its results.

    Attributes:
      tables: by the name in the README's marks, in Markdown.
      sentences: pieces of its text, with every figure as the results give it.
      elsewhere: the same for other files, by their path from the repository's root.
    """

    tables: dict[str, str]
    sentences: list[str]
    elsewhere: Mapping[str, list[str]] = MappingProxyType({})


def results(family: str, name: str) -> Any:
    """A file of a family's results."""
    return json.loads((HERE / family / name).read_text())


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, *rows)]
    lines.insert(1, "|---" * len(header) + "|")
    return "\n".join(re.sub(r"\|  (?=\|)", "| ", line) for line in lines)


def bare(value: float, digits: int = 2) -> str:
    """A number without the 0 before its point: .56, 1.25, -.04."""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text


def over_seeds(values: Sequence[float] | np.ndarray, digits: int = 3, sign: bool = False) -> str:
    """A mean over seeds with its 95% interval, by Student's t: .560 ±.012; +.560 with a sign."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    mean = round(float(np.mean(values)), digits) + 0.0  # no minus before a zero
    plus = "+" if sign and mean >= 0 else ""
    return f"{plus}{bare(mean, digits)} ±{bare(float(half), digits)}"


def within(found: Sequence[float], digits: int = 2) -> str:
    """A mean and its interval, bare: .56 [.50, .63]."""
    mean, low, high = (bare(value, digits) for value in found)
    return f"{mean} [{low}, {high}]"


def power(value: float, digits: int = 1) -> str:
    """A number by its power of ten, plain where it has none to speak of: 2.2e-1, 1.2, 3.5e-15."""
    if 1 <= abs(value) < 10:
        return f"{value:.{digits}f}"
    mantissa, _, exponent = f"{value:.{digits}e}".partition("e")
    return mantissa if int(exponent) == 0 else f"{mantissa}e{int(exponent)}"
