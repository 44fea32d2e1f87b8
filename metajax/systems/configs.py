"""From presets, methods and single values to the settings of a run, and to JSON and back."""

from __future__ import annotations

import dataclasses
import functools
import json
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from metajax.core import ConfigError, check_value, check_values, is_traced, one_of, plain
from metajax.systems.base import System, get_system
from metajax.systems.options import options_type


@dataclasses.dataclass(frozen=True)
class Config:
    """What a run is made from: a method's name, and below it all settings by their names.

    Each method of a system has a class of its own, made by :func:`config_type`: it inherits from
    the system's ``settings`` and ``training`` and from the method's options. Values that are out of
    range raise.
    """

    method: str
    system: ClassVar[System]

    def __post_init__(self) -> None:
        kind: Any = type(self)
        check_values(_hints(kind), vars(self))
        self.system.check(self)


def config_type(system: System, method: str | None = None) -> type:
    """Return the class of the configs of a system's method; of the default one for None.

    Args:
      system: any.
      method: one of its methods, or None.

    Raises:
      ConfigError: the system has no such method.
    """
    names = list(system.methods)
    chosen = one_of("method", method or names[0], names)
    return _config_type(system.kind_of(chosen), chosen)


@functools.cache
def _config_type(system: System, method: str) -> type:
    # the fields of bases stand in the class from the last to the first
    return dataclasses.make_dataclass(
        f"{system.name}_{method}",
        [("method", str, method)],
        bases=(*reversed(_parts(system, method)), Config),
        namespace={
            "system": system,
            "__doc__": f"Settings of a run of {system.name} by the method {method}.",
        },
        frozen=True,
    )


def _parts(system: System, method: str) -> tuple[type, type, type]:
    return system.settings, system.training, options_type(system.methods[method])


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: hint for name, hint in hints.items() if name != "system"}


@functools.cache
def _types(kind: Any) -> dict[str, Any]:
    return {name: plain(hint) for name, hint in _hints(kind).items()}


def field_types(system: System, method: str | None = None) -> dict[str, Any]:
    """Return the settings that a run of a method has, by name, with their types.

    Args:
      system: any.
      method: one of its methods, or None for the default one.

    Raises:
      ConfigError: the system has no such method.
    """
    return dict(_types(config_type(system, method)))


def methods_with(system: System, name: str) -> list[str]:
    """Return the methods whose runs have a setting of this name.

    Args:
      system: any.
      name: of a setting.
    """
    return [method for method in system.methods if name in field_types(system, method)]


def setting_types(system: System) -> dict[str, Any]:
    """Return the settings that runs of a system have, by any of its methods, with their types.

    Args:
      system: any.
    """
    found: dict[str, Any] = {}
    for method in system.methods:
        found = field_types(system, method) | found
    found["method"] = typing.Literal[tuple(system.methods)]
    return found


def traced_fields(config: Any) -> tuple[str, ...]:
    """Return the settings of a config that may be traced, so that runs share one program.

    Args:
      config: of a run.
    """
    kind: Any = type(config)
    return tuple(name for name, hint in _hints(kind).items() if is_traced(hint))


def tied_to_steps(config: Any) -> str:
    """Return the parts of a run's training, other than its length, that depend on ``steps``.

    Args:
      config: of a run.

    Returns:
      In words, as ``schedule=cosine``; empty: nothing does, so that a finished run can be given
      more steps.
    """
    scheduled = "" if config.schedule == "constant" else f"schedule={config.schedule}"
    return config.system.tied_to_steps.get(config.method, scheduled)


def configure(
    system: str | System,
    preset: str | None = None,
    method: str | None = None,
    **values: Any,
) -> Any:
    """Return the settings of a run: those of a preset, with some of them changed.

    Args:
      system: by name, or itself.
      preset: by name; by default the usual one of the method, most often the system's first.
      method: by name; the preset's, or the system's first, by default.
      **values: settings by name, of the problem, of training, or the method's options.

    Returns:
      A :class:`Config` whose attributes are the settings.

    Raises:
      ConfigError: an unknown name, a value out of range, or settings that do not fit together.
    """
    system = get_system(system) if isinstance(system, str) else system
    preset = system.preset_for(method, preset)
    chosen = system.presets[preset]
    kind = system.kind_of(chosen.get("method"))
    if method is not None and one_of("method", method, system.methods) not in kind.methods:
        expected = f"one that preset {preset} fits: {', '.join(kind.methods)}"
        raise ConfigError("method", method, expected)
    if method in (None, chosen.get("method")):
        chosen = {**chosen, **chosen.get("own", {})}
    return _make(config_type(system, method or chosen.get("method")), chosen, values)


def replace(config: Any, **values: Any) -> Any:
    """Return a config with some settings changed.

    Another ``method`` keeps the settings of the problem and of training, and of the options those
    that it has too and that differ from their default.

    Args:
      config: stays as it is.
      **values: the new settings by name.

    Raises:
      ConfigError: an unknown name, a value out of range, or settings that do not fit together.
    """
    kept, method = vars(config), values.get("method", config.method)
    if method != config.method:
        defaults = {field.name: field.default for field in dataclasses.fields(config)}
        kept = {name: value for name, value in kept.items() if value != defaults[name]}
    return _make(config_type(config.system, method), kept, values)


def _make(kind: Any, usual: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    """A config of some values, and of those of ``usual`` that its method has.

    Raises:
      ConfigError: the method has no setting of a value's name, or a value is rejected.
    """
    system, known = kind.system, _hints(kind)
    for name in [name for name in values if name not in known]:
        if name in system.renamed:
            raise ConfigError("setting", name, f"{system.renamed[name]}, its new name")
        if having := ", ".join(methods_with(system, name)):
            raise ConfigError("setting", name, f"one that {kind.method} has; {having} have it")
        one_of(f"setting of {system.name}", name, known)
    kept = {name: value for name, value in usual.items() if name in known and name != "method"}
    return kind(**{**kept, **values})


class Parts(NamedTuple):
    """A config by what its settings are of.

    Attributes:
      settings: of the problem.
      training: of meta-training.
      options: of the method, by name.
    """

    settings: Any
    training: Any
    options: dict[str, Any]


def split(config: Any) -> Parts:
    """Return the settings of the problem, of training, and the method's options.

    Args:
      config: of a run.
    """
    settings, training, options = (
        {field.name: getattr(config, field.name) for field in dataclasses.fields(part)}
        for part in _parts(config.system, config.method)
    )
    return Parts(config.system.settings(**settings), config.system.training(**training), options)


def config_to_json(system: System, config: Any) -> dict[str, Any]:
    """Return what ``config.json`` holds of a config.

    Args:
      system: whose config it is.
      config: of a run.
    """
    return {"system": system.name, "config": json.loads(json.dumps(dataclasses.asdict(config)))}


def config_from_json(system: System, values: Any) -> Any:
    """Return the config that ``config.json`` holds.

    Files of older versions may hold older words (``System.renamed``) and options of other methods.

    Args:
      system: whose config it is.
      values: what the file holds.

    Raises:
      ConfigError: it names a field that this version does not have, or a value out of range.
    """
    if not isinstance(values, dict):
        raise ConfigError("config of config.json", values, f"fields of {system.name}")
    for name, today in system.older_values.items():
        if name in values:
            check_value(f"{name} of config.json", typing.Literal[tuple(today)], values[name])
            values = values | {name: today[values[name]]}
    newer = system.renamed
    values = {
        newer.get(name, name): value
        for name, value in values.items()
        if newer.get(name) not in (*values, "preset")  # else the newer word or the rest says it
    }
    method = values.get("method")
    if method is not None and not isinstance(method, str):
        raise ConfigError("method of config.json", method, "text")
    kind = config_type(system, method)
    known = _hints(kind)
    elsewhere = setting_types(system).keys() - known.keys()
    fields = {}
    for name, value in values.items():
        if name not in elsewhere:
            hint = known[one_of("field of config.json", name, known)]
            fields[name] = _from_json(value)
            check_value(f"{name} of config.json", hint, fields[name])
    return kind(**fields)


def _from_json(value: Any) -> Any:
    """A JSON value as a field holds it, lists as tuples."""
    return tuple(map(_from_json, value)) if isinstance(value, list) else value
