"""The methods that a comparison's command line names, each with its settings, checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from metajax.core import ConfigError, one_of


class Entry(NamedTuple):
    """A method to be compared.

    Attributes:
      base: its settings as the words for all methods have them, with the first seed.
      config: the same with its own of ``--set``.
      own: the settings that no other method need have, by name: they name its runs.
      words: what its runs take of the command line, as words of ``metajax train``.
      options: where and how it runs.
    """

    base: Any
    config: Any
    own: dict[str, Any]
    words: list[str]
    options: Any


def shared_fields(system: Any) -> list[str]:
    """The settings of the problem and of training, which all methods have, but the seed."""
    parts = dataclasses.fields(system.settings) + dataclasses.fields(system.training)
    return [field.name for field in parts if field.name != "seed"]


def group_words(rest: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Group words of ``metajax train`` by option: its name as a field's, and its words."""
    groups: list[tuple[str, list[str]]] = []
    for word in rest:
        if word.startswith("--"):
            groups.append((word[2:].partition("=")[0].replace("-", "_"), [word]))
        elif groups:
            groups[-1][1].append(word)
        else:
            groups.append(("", [word]))
    return groups


def choose(
    system: Any,
    preset: str,
    named: Sequence[str] | None,
    groups: Sequence[tuple[str, list[str]]],
    assigned: Sequence[str],
) -> dict[str, Entry]:
    """Return the methods to compare, each checked against the preset's problem.

    Args:
      system: theirs.
      preset: by name.
      named: the methods, by name; None: all that fit the problem.
      groups: what ``metajax train`` is given for all of them.
      assigned: the words of ``--set``.

    Raises:
      ConfigError: a name is unknown or comes twice, an option is of none of the methods, a value
        is out of range, or a named method does not fit the problem.
    """
    from metajax.systems import check_fits, configure

    family, system = system, configure(system, preset).system
    methods = list(system.methods) if named is None else list(named)
    for method in methods:
        if one_of("methods", method, family.methods) not in system.methods:
            fitting = ", ".join(system.methods)
            raise ConfigError("methods", method, f"one that preset {preset} fits: {fitting}")
        if methods.count(method) > 1:
            raise ConfigError("methods", method, "each method once")
    check_groups(system, methods, groups)
    values = read_settings(system, methods, assigned)
    entries = {}
    for method in methods:
        try:
            entries[method] = make_entry(system, preset, method, groups, values.get(method, {}))
        except ConfigError as error:
            if error.field != "method" or named is not None or method in values:
                raise
    if not entries:
        raise ConfigError("methods", methods, f"some that fit the preset {preset}")
    data_dir = next(iter(entries.values())).options.data_dir
    misfits = check_fits([entry.config for entry in entries.values()], data_dir)
    if misfits and named is not None:
        raise next(iter(misfits.values()))
    for method in misfits.keys() & values.keys():
        raise misfits[method]
    return {method: entry for method, entry in entries.items() if method not in misfits}


def check_groups(
    system: Any, methods: Sequence[str], groups: Sequence[tuple[str, list[str]]]
) -> None:
    """Raise where an option is not one of the methods', or is compare's own.

    Raises:
      ConfigError: it is.
    """
    from metajax.systems import field_types, methods_with

    known = {name for method in methods for name in field_types(system, method)}
    for name, words in groups:
        said = " ".join(words[1:]) or words[0].partition("=")[2]
        if name == "method":
            raise ConfigError("--method", said, "--methods, with all that are to be compared")
        having = methods_with(system, name)
        if having and name not in known:
            raise ConfigError(
                words[0].partition("=")[0],
                said,
                f"options of {', '.join(methods)}; this one belongs to {' or '.join(having)}",
            )


def read_settings(
    system: Any, methods: Sequence[str], assigned: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Read ``METHOD.FIELD=VALUE`` words; returns values by method and field.

    Raises:
      ConfigError: one is not of this form, names what is not compared, a setting of the problem,
        or a value of another type.
    """
    from metajax.sweep import parse_value, read_assignments
    from metajax.systems import field_types

    problem = {field.name for field in dataclasses.fields(system.settings)}
    found: dict[str, dict[str, Any]] = {}
    for target, text in read_assignments("set", assigned).items():
        method, dot, field = target.partition(".")
        if not (method and dot and field):
            raise ConfigError("set", f"{target}={text}", "METHOD.FIELD=VALUE")
        one_of("method of --set", method, methods)
        hints = field_types(system, method)
        own = {name for name in hints if name not in problem} - {"method", "seed"}
        if field in problem:
            raise ConfigError(
                "set", target, f"--{field.replace('_', '-')}: the problem is the same for all"
            )
        if field == "seed":
            raise ConfigError("set", target, "--seed: all methods have the same seeds")
        hint = hints[one_of(f"field of --set {method}", field, own)]
        found.setdefault(method, {})[field] = parse_value(target, hint, text)
    return found


def make_entry(
    system: Any,
    preset: str,
    method: str,
    groups: Sequence[tuple[str, list[str]]],
    values: Mapping[str, Any],
) -> Entry:
    """Return a method as the command line has it.

    Raises:
      ConfigError: a setting is unknown, out of range, or does not fit the others.
    """
    from metajax.cli.arguments import parse_train
    from metajax.cli.sweep import flags
    from metajax.systems import configure, field_types, methods_with, replace

    mine = field_types(system, method)
    words = [
        word
        for name, group in groups
        if _positive(name) in mine or not methods_with(system, _positive(name))
        for word in group
    ]
    base, options, _ = parse_train(system, preset, [*words, "--method", method])
    config = replace(base, **values)
    usual, shared = configure(system, preset, method), shared_fields(system)
    own = {
        name: value
        for name in mine
        if name not in ("method", "seed")
        and (value := getattr(config, name)) != getattr(base if name in shared else usual, name)
    }
    return Entry(base, config, own, [*words, *flags(dict(values))], options)


def _positive(name: str) -> str:
    """An option's field: that of ``--no-rotations`` is ``rotations``."""
    return name.removeprefix("no_")
