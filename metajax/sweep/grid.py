"""From a grid, random draws and seeds to the runs of a sweep, each checked before any starts."""

from __future__ import annotations

import math
import types
import typing
import zlib
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np

from metajax.core import ConfigError, one_of
from metajax.systems import field_types, methods_with, replace

LARGEST = 10_000
"""Runs of a sweep at most: more are a slip of the pen."""


class Point(NamedTuple):
    """One run of a sweep.

    Attributes:
      number: its place in the sweep, from 0.
      values: the swept fields.
      config: the whole config, seed included.
      label: its folder's name, where that is not its number.
    """

    number: int
    values: dict[str, Any]
    config: Any
    label: str = ""

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.label or f"{self.number:04d}"


def read_assignments(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Split ``field=values`` of an option; fields may be written with hyphens.

    Args:
      option: its name, for errors.
      texts: ``field=values`` each.

    Returns:
      The values' text by field.

    Raises:
      ConfigError: one is not of this form, or names a field again.
    """
    found: dict[str, str] = {}
    for text in texts:
        field, equals, values = text.partition("=")
        field = field.strip().replace("-", "_")
        if not (field and equals and values.strip()):
            raise ConfigError(option, text, "FIELD=VALUES")
        if field in found:
            raise ConfigError(option, text, f"each field once, and {field} is there already")
        found[field] = values.strip()
    return found


def expand(
    config: Any,
    grid: Mapping[str, str],
    random: Mapping[str, str],
    *,
    samples: int | None = None,
    seeds: int = 1,
    sweep_seed: int = 0,
) -> list[Point]:
    """Return the runs of a sweep: every combination of the grid, with every draw, with every seed.

    The order, and what is drawn, are decided by the arguments alone. A field's draws do not depend
    on the other fields; combinations that come twice are run once.

    Args:
      config: what all runs share; its ``seed`` is the first of the ``seeds``.
      grid: by field, values separated by commas; a tuple's elements by spaces.
      random: by field, ``log:LOW:HIGH``, ``uniform:LOW:HIGH`` or ``choice:A,B,...``; draws for
        whole numbers are rounded.
      samples: draws of the random fields, 1 or more; None where there are none.
      seeds: runs of each combination.
      sweep_seed: of the draws.

    Raises:
      ConfigError: a field is unknown or given twice, values are not of its type, a range is empty,
        or a run's config is rejected.

    Examples:
      >>> from metajax.sweep import expand
      >>> from metajax.systems import configure
      >>> config = configure("fewshot", "sinusoid_quick")
      >>> runs = expand(config, {"learning_rate": "0.001,0.01"}, {}, seeds=2)
      >>> [(run.values["learning_rate"], run.config.seed) for run in runs]
      [(0.001, 0), (0.001, 1), (0.01, 0), (0.01, 1)]
    """
    hints = swept_types(config, grid)
    for option, fields in (("grid", grid), ("random", random)):
        for field in fields:
            check_field(f"{option} field", field, config, hints)
            if field == "seed":
                raise ConfigError(option, "seed", "other fields: seeds are what --seeds is for")
            if option == "random" and field in grid:
                raise ConfigError("random", field, "fields that the grid does not hold")
    for name, value in (("samples", samples), ("seeds", seeds)):
        if value is not None and not 1 <= value <= LARGEST:
            raise ConfigError(name, value, f"1 to {LARGEST}")
    if bool(random) != (samples is not None):
        wanted = "a number of draws of the random fields" if random else "none without random"
        raise ConfigError("samples", samples, wanted)
    if not 0 <= sweep_seed < 2**32:
        raise ConfigError("sweep_seed", sweep_seed, "0 to 2**32 - 1")
    columns = {field: _grid_values(field, hints[field], text) for field, text in grid.items()}
    draws = {
        field: _draws(field, hints[field], text, samples or 0, sweep_seed)
        for field, text in random.items()
    }
    num = math.prod(map(len, columns.values())) * (samples or 1) * seeds
    if num > LARGEST:
        raise ConfigError("grid", f"{num} runs", f"at most {LARGEST} runs in a sweep")
    found: dict[Any, dict[str, Any]] = {}
    for chosen in product(*columns.values()):
        for index in range(samples or 1):
            drawn = {field: values[index] for field, values in draws.items()}
            values = {**dict(zip(columns, chosen, strict=True)), **drawn}
            for seed in range(config.seed, config.seed + seeds):
                found.setdefault(_checked(config, values, seed), values)
    return [Point(n, values, made) for n, (made, values) in enumerate(found.items())]


def swept_types(config: Any, grid: Mapping[str, str]) -> dict[str, Any]:
    """The settings that runs may differ in, with their types: of all methods of the grid."""
    named = grid.get("method", config.method).split(",")
    known = tuple(config.system.methods)
    kinds = [field_types(config.system, one_of("method", name.strip(), known)) for name in named]
    shared = {name: hint for name, hint in kinds[0].items() if all(name in of for of in kinds)}
    return {**shared, "method": Literal[known]}


def check_field(option: str, field: str, config: Any, known: Iterable[str]) -> None:
    """Raise where runs cannot differ in a field, or be given it.

    Raises:
      ConfigError: no run has it, or only those of other methods.
    """
    known = tuple(known)
    having = methods_with(config.system, field)
    if field not in known and having:
        named = ", ".join(having)
        raise ConfigError(
            option, field, f"a setting; it is an option of {named}, and not of {config.method}"
        )
    one_of(option, field, known)


def parse_value(field: str, hint: Any, text: str) -> Any:
    """Read a field's value as the command line of ``train`` would; a tuple's parts by spaces.

    Args:
      field: the name that an error gives it.
      hint: the field's type.
      text: as on the command line.

    Returns:
      The value.

    Raises:
      ConfigError: it is not of the field's type.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if text.lower() == "none":
            return None
        return parse_value(field, next(part for part in parts if part is not type(None)), text)
    if origin is Literal:
        return one_of(field, text, parts)
    if origin is tuple:
        texts = text.split()
        kinds = [parts[0]] * len(texts) if parts[-1] is Ellipsis else list(parts)
        if not texts or len(texts) != len(kinds):
            raise ConfigError(field, text, f"{len(kinds) or 'some'} values with spaces between")
        return tuple(parse_value(field, kind, one) for kind, one in zip(kinds, texts, strict=True))
    if hint is bool:
        return one_of(field, text.lower(), ("true", "false")) == "true"
    try:
        return hint(text)
    except ValueError as error:
        wanted = {int: "a whole number", float: "a number"}[hint]
        raise ConfigError(field, text, wanted) from error


def _grid_values(field: str, hint: Any, text: str) -> list[Any]:
    texts = [one.strip() for one in text.split(",")]
    if "" in texts:
        raise ConfigError(field, text, "values separated by single commas")
    values = [parse_value(field, hint, one) for one in texts]
    if len(set(values)) < len(values):
        raise ConfigError(field, text, "each value once")
    return values


def _draws(field: str, hint: Any, text: str, num: int, seed: int) -> list[Any]:
    """Draw a random field's values; its name is part of the seed."""
    kind, _, rest = text.partition(":")
    one_of(f"random {field}", kind, ("log", "uniform", "choice"))
    shares = np.random.default_rng([seed, zlib.crc32(field.encode())]).random(num)
    if kind == "choice":
        values = _grid_values(field, hint, rest)
        return [values[int(share * len(values))] for share in shares]
    try:
        low, high = map(float, rest.split(":"))
    except ValueError as error:
        raise ConfigError(field, text, f"{kind}:LOW:HIGH, two numbers") from error
    numeric = {part for part in (hint, *typing.get_args(hint)) if part in (int, float)}
    if not numeric or typing.get_origin(hint) is tuple:
        raise ConfigError(field, text, "choice:A,B,...: it holds no single number")
    if not (low < high and math.isfinite(high - low)):
        raise ConfigError(field, text, "finite ends, the first below the second")
    if kind == "log" and low <= 0:
        raise ConfigError(field, text, "ends above 0 on a logarithmic range")
    if kind == "log" and math.isinf(high / low):
        raise ConfigError(field, text, "ends whose ratio is below 1e308")
    if kind == "log":
        drawn = np.exp(math.log(low) + shares * math.log(high / low))
    else:
        drawn = low + shares * (high - low)
    if int in numeric:
        return [round(value) for value in drawn.tolist()]
    # six digits: a run can be repeated from what a table shows
    return [min(max(float(f"{value:.6g}"), low), high) for value in drawn.tolist()]


def _checked(config: Any, values: Mapping[str, Any], seed: int) -> Any:
    try:
        return replace(config, **values, seed=seed)
    except ConfigError as error:
        where = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ConfigError(
            error.field, error.value, f"{error.expected} (in the run {where})"
        ) from error
