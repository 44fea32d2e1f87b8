"""The one layout of a family's package, from which its :class:`System` is read.

A family of several kinds of problem has a package for each, of the same layout.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from metajax.systems.base import Objective, System
from metajax.systems.training import Training

PLACES = {
    "settings": ("settings", "Settings"),
    "training": ("settings", "Training"),
    "presets": ("settings", "PRESETS"),
    "tiny": ("settings", "TINY"),
    "check": ("settings", "check"),
    "problem": ("problem", "make_problem"),
    "methods": ("methods", "METHODS"),
    "evaluate": ("evaluate", "evaluate"),
    "table": ("report", "table"),
    "figures": ("report", "figures"),
    "use": ("use", "use"),
}
"""In which module of a family's package, and under which name, a field of ``System`` stands."""


def family(
    package: str,
    *,
    objective: Objective | Callable[[Any], Objective],
    evaluators: Mapping[str, Callable[..., dict[str, Any]]],
    evaluation: tuple[str, ...] = (),
    **fields: Any,
) -> System:
    """Return the system of a family whose modules are laid out by ``PLACES``.

    A field whose module or name the family does not have keeps the default of ``System``.

    Args:
      package: the family's, which its modules are in; its last part is the system's name.
      objective: what a sweep compares runs by, of every config or by config. One of every config
        is foretold by what the first of the evaluators measures last.
      evaluators: what is measured along training.
      evaluation: further settings of the evaluation than those whose name begins with ``eval_``.
      **fields: further fields of the system; also what stands elsewhere than in its place.
    """
    found = {name: _read(package, *place) for name, place in PLACES.items() if name not in fields}
    fields = {name: each for name, each in found.items() if each is not None} | fields
    if "settings" not in fields:
        raise TypeError(f"{package}.settings has no Settings")
    parts = fields.get("training", Training), fields["settings"]
    named = (each.name for part in parts for each in dataclasses.fields(part))
    measured = [name for name in named if name.startswith("eval_")]
    if isinstance(objective, Objective):
        objective = functools.partial(
            _always, objective._replace(logged=f"{next(iter(evaluators))}/last")
        )
    return System(
        name=package.rpartition(".")[2],
        objective=objective,
        evaluators=evaluators,
        evaluation=tuple(dict.fromkeys([*measured, *evaluation])),
        **fields,
    )


def united(
    package: str, kinds: Sequence[str], summary: str, tiny: Mapping[str, Any], **shared: Any
) -> System:
    """Return the system of a family of several kinds of problem, which has the methods of all.

    Args:
      package: the family's; its last part is the system's name.
      kinds: the packages in it that each are of one kind and have a ``SYSTEM``, the default first.
      summary: one line.
      tiny: the smallest settings that all kinds have.
      **shared: further fields of all kinds.
    """
    shared["name"] = package.rpartition(".")[2]
    systems = (importlib.import_module(f"{package}.{kind}").SYSTEM for kind in kinds)
    found = tuple(
        dataclasses.replace(kind, tiny={**tiny, **kind.tiny}, **shared) for kind in systems
    )

    def merged(field: str) -> dict[str, Any]:
        return {key: value for kind in found for key, value in getattr(kind, field).items()}

    return System(
        **shared,
        summary=summary,
        kinds=found,
        methods=merged("methods"),
        presets=merged("presets"),
        tiny=merged("tiny"),
        usual_presets={each: next(iter(kind.presets)) for kind in found for each in kind.methods},
        evaluation=tuple(dict.fromkeys(each for kind in found for each in kind.evaluation)),
        evaluators={},
        settings=None,
        problem=_of_kinds,
        evaluate=_of_kinds,
        objective=_of_kinds,
        table=_of_kinds,
        figures=_of_kinds,
        check=_of_kinds,
    )


def _of_kinds(*given: Any) -> NoReturn:
    """Raise: a family of several kinds has no problem of its own."""
    raise TypeError("each kind of problem of this family has its own: see config.system")


def _read(package: str, module: str, name: str) -> Any:
    """What a name of a family's module stands for; None where there is none."""
    if importlib.util.find_spec(f"{package}.{module}") is None:
        return None
    return getattr(importlib.import_module(f"{package}.{module}"), name, None)


def _always(objective: Objective, config: Any) -> Objective:
    return objective
