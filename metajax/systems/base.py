"""What every published system offers to the command line."""

from __future__ import annotations

import dataclasses
import importlib
import json
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from metajax.core import Algorithm, ConfigError, Evaluator, Params, one_of


class Run(NamedTuple):
    """A config made into what :func:`metajax.train.fit` takes.

    Attributes:
      algorithm: the meta-training step.
      tasks: a task distribution, staged or of a key alone, or host-fed batches.
      tasks_per_step: tasks of one meta-step.
      steps: meta-steps; 0 for a learner that is not meta-trained.
      example_tasks: a device-sampled distribution of the same shapes, to learn the shapes from.
      evaluators: what is measured along the way.
      evaluate: ``evaluate(params, progress) -> dict`` of JSON values, the content of
        ``eval.json``.
    """

    algorithm: Algorithm
    tasks: Any
    tasks_per_step: int
    steps: int
    example_tasks: Any
    evaluators: tuple[Evaluator, ...]
    evaluate: Callable[[Params, bool], dict[str, Any]]


class Figure(NamedTuple):
    """A figure of a report: file name without suffix, caption, and a drawing function.

    ``draw()`` returns a ``matplotlib.figure.Figure``.
    """

    name: str
    caption: str
    draw: Callable[[], Any]


class Objective(NamedTuple):
    """What a sweep compares runs by.

    Attributes:
      metric: a number of the evaluation, by its path: ``new_tasks.last``; of a list ``[-1]``.
      greatest: whether more is better.
      logged: what rows of ``metrics.jsonl`` hold that foretells it and is better in the same sense,
        ``new_tasks/last``, for schedulers that stop runs early; None: they watch the loss.
    """

    metric: str
    greatest: bool
    logged: str | None = None


def never(config: Any) -> str:
    """Say of a system that nothing in it depends on the number of meta-steps."""
    return ""


class System(NamedTuple):
    """A published system: its settings, how to run it, and how to show what came out.

    Attributes:
      name: as on the command line.
      summary: one line.
      config: a frozen dataclass with ``steps`` and ``seed``, every field documented; its
        ``__post_init__`` refuses impossible values with :class:`~metajax.core.ConfigError`.
      presets: named configs, the default first.
      build: ``build(config, data_dir) -> Run``.
      table: ``table(evaluation) -> str``, what a person reads first, as plain text.
      figures: ``figures(evaluation, history) -> [Figure]``.
      objective: ``objective(config) -> Objective``.
      algorithm: ``algorithm(config) -> Algorithm``, that of :attr:`build`.
      traced: fields that ``algorithm`` takes as traced scalars too, unless they are None: runs that
        differ in them alone can be one compiled program.
      of_tasks: fields that change no more than the leaves of a run's tasks, to the same effect.
      evaluation: fields that concern evaluation and report alone: they can be changed at any time,
        of a finished run too.
      tied_to_steps: ``tied_to_steps(config) -> str``, what in the training depends on ``steps``
        besides its length, as ``schedule=cosine``; empty where nothing does, so that a finished
        run can be given more steps.
      prepare: ``prepare(data_dir) -> folders``, which writes what the system can be trained from
        besides images, for ``metajax data prepare NAME``; None where there is nothing.
    """

    name: str
    summary: str
    config: type
    presets: dict[str, Any]
    build: Callable[[Any, Path | None], Run]
    table: Callable[[dict[str, Any]], str]
    figures: Callable[[dict[str, Any], list[dict[str, Any]]], list[Figure]]
    objective: Callable[[Any], Objective]
    algorithm: Callable[[Any], Algorithm]
    traced: tuple[str, ...] = ()
    of_tasks: tuple[str, ...] = ()
    evaluation: tuple[str, ...] = ()
    tied_to_steps: Callable[[Any], str] = never
    prepare: Callable[[Path | None], list[Path]] | None = None


SYSTEMS = {
    "gpicl": "metajax.systems.gpicl",
    "hyperdistill": "metajax.systems.hyperdistill",
    "fewshot": "metajax.systems.fewshot",
    "hamiltonian": "metajax.systems.hamiltonian",
    "hypino": "metajax.systems.hypino",
}
"""Where each system lives; a new one joins by a line here."""


def config_to_json(system: System, config: Any) -> dict[str, Any]:
    """What ``config.json`` holds of a config."""
    return {"system": system.name, "config": json.loads(json.dumps(dataclasses.asdict(config)))}


def config_from_json(system: System, values: dict[str, Any]) -> Any:
    """The config that ``config.json`` holds.

    Raises:
      ConfigError: it names a field that this version does not have, or is refused.
    """
    known = typing.get_type_hints(system.config)
    if not isinstance(values, dict):
        raise ConfigError("config of config.json", values, f"fields of {system.name}")
    fields = {}
    for name, value in values.items():
        hint = known[one_of("field of config.json", name, known)]
        fields[name] = _from_json(f"{name} of config.json", hint, value)
    return system.config(**fields)


def _from_json(name: str, hint: Any, value: Any) -> Any:
    """A JSON value as a field of this type holds it.

    Raises:
      ConfigError: it is not of this type.
    """
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in parts:
            return None
        return _from_json(name, next(part for part in parts if part is not type(None)), value)
    if origin is typing.Literal:
        if value not in parts:
            raise ConfigError(name, value, f"one of {', '.join(map(str, parts))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(name, value, "a list")
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) != len(value):
            raise ConfigError(name, value, f"{len(kinds)} values")
        return tuple(_from_json(name, kind, one) for kind, one in zip(kinds, value, strict=True))
    accepted = (int, float) if hint is float else (hint,)
    if not isinstance(value, accepted) or isinstance(value, bool) is not (hint is bool):
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
        raise ConfigError(name, value, words[hint])
    try:
        return hint(value)
    except OverflowError as error:
        raise ConfigError(name, value, "a number below 1e308") from error


def evaluate(
    system: System, config: Any, run: Run, params: Params, progress: bool
) -> dict[str, Any]:
    """Return the content of ``eval.json``: what ``run.evaluate`` finds, and by which ``settings``.

    These are the system's evaluation fields, which may differ from those in ``config.json``.
    """
    found = run.evaluate(params, progress)
    return found | {"settings": {name: getattr(config, name) for name in system.evaluation}}


def get_system(name: str) -> System:
    """Return the system called ``name``.

    Raises:
      ConfigError: there is none; the message names the nearest.
    """
    return importlib.import_module(SYSTEMS[one_of("system", name, SYSTEMS)]).SYSTEM
