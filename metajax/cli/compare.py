"""``metajax compare``: methods of a system, trained from the same seeds, in one table."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metajax.cli.cache import use_compilation_cache
from metajax.core import ConfigError, MetajaxError, one_of

DESCRIPTION = """\
Train methods of a system from the same seeds and compare their scores on the same new tasks, with
the system's baselines. Every field and option of `metajax train SYSTEM` may be given too, for all
methods that have it. Given again, also with more methods or seeds, it trains only what is not
trained yet, and resumes what was interrupted.
"""


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


def compare_command(argv: list[str]) -> int:
    """Run ``metajax compare ARGV``; returns the exit code, 1 where a run did not end well."""
    from metajax.cli.folders import comparison_folder
    from metajax.sweep import compared, write_comparison, write_results
    from metajax.systems import config_to_json, get_system
    from metajax.train import (
        as_path,
        check_workdir,
        check_writable,
        keep_freed_memory,
        open_workdir,
    )

    options, rest = make_parser().parse_known_args(argv)
    if options.workers < 1:
        raise ConfigError("workers", options.workers, "a whole number of 1 or more")
    system = get_system(options.system)
    if not system.methods:
        raise ConfigError("system", system.name, "one that has methods; metajax methods lists them")
    preset = one_of("preset", options.preset or next(iter(system.presets)), system.presets)
    if options.engine == "process":
        import jax

        # the runs need the accelerators, which a process holds once it has looked for them
        jax.config.update("jax_platforms", "cpu")
    entries = choose(system, preset, options.methods, group_words(rest), options.set)
    points = make_points(entries, options.seeds)
    if len({system.objective(point.config) for point in points}) > 1:
        raise ConfigError("methods", list(entries), "methods that are scored alike")
    base = config_to_json(system, next(iter(entries.values())).base)["config"]
    shared = {name: base[name] for name in shared_fields(system)}
    identity = {"compare": {"system": system.name, "preset": preset, "config": shared}}
    folder = as_path(options.workdir or comparison_folder(system.name, preset, identity))
    out = folder if options.out is None else as_path(options.out, "out")
    check_workdir(folder, identity)
    check_writable(out, "out")
    said = shlex.join(["metajax", "compare", *argv])

    def command(point: Any, workdir: Path) -> list[str]:
        method = point.values["method"]
        return [
            *(sys.executable, "-m", "metajax.cli.main", "train", system.name),
            *("--preset", preset, "--method", method, *entries[method].words),
            *("--no-progress", "--seed", str(point.config.seed), "--workdir", str(workdir)),
        ]

    with open_workdir(folder, identity):
        print(f"{len(points)} runs in {folder}", file=sys.stderr)
        if options.engine == "vmap":
            use_compilation_cache(next(iter(entries.values())).options.compilation_cache)
            keep_freed_memory()
        run = run_by_method if options.engine == "vmap" else run_apart
        outcomes = run(folder, entries, points, command, options.workers, said)
        write_results(folder, points, outcomes)
        text, page = write_comparison(out, compared(folder, points, outcomes, said))
    print(f"\n{text}\n\ntable: {out / 'compare.md'}\nreport: {page}")
    bad = [point for point in points if outcomes[point.number].status != "done"]
    if bad:
        print(
            f"metajax: {len(bad)} of {len(points)} runs did not end well; the table says why",
            file=sys.stderr,
        )
    return 1 if bad else 0


def run_apart(
    folder: Path,
    entries: Mapping[str, Entry],
    points: Sequence[Any],
    command: Any,
    workers: int,
    said: str,
) -> dict[int, Any]:
    """Train each run in a process of its own; see :func:`metajax.sweep.run_processes`."""
    from metajax.sweep import run_processes

    progress = next(iter(entries.values())).options.progress
    return run_processes(folder, points, command, workers=workers, progress=progress)


def run_by_method(
    folder: Path,
    entries: Mapping[str, Entry],
    points: Sequence[Any],
    command: Any,
    workers: int,
    said: str,
) -> dict[int, Any]:
    """Train the seeds of each method as one program; in processes where that cannot be.

    Returns:
      How each run ended.

    Raises:
      Interrupted: a signal came; what was trained is saved.
    """
    from metajax.sweep import Outcome, is_done, run_together
    from metajax.train import Interrupted

    outcomes = {point.number: Outcome("done") for point in points if is_done(folder, point)}
    apart = []
    for method, entry in entries.items():
        waiting = [
            point
            for point in points
            if point.values["method"] == method and point.number not in outcomes
        ]
        if not waiting:
            continue
        print(f"{method}: {len(waiting)} seeds as one program", file=sys.stderr)
        options = entry.options
        try:
            outcomes |= run_together(
                folder,
                entry.config.system,
                waiting,
                command=said,
                data_dir=options.data_dir,
                log_every=options.log_every,
                checkpoint_every=options.checkpoint_every,
                progress=options.progress,
                on_changed=options.on_changed,
            )
        except Interrupted:
            raise
        except MetajaxError as error:
            if isinstance(error, ConfigError) and error.field == "engine":
                apart += waiting
            else:
                failed = Outcome("failed", str(error))
                outcomes |= {
                    point.number: failed for point in waiting if not is_done(folder, point)
                }
    if apart:
        outcomes |= run_apart(folder, entries, apart, command, workers, said)
    return outcomes


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
    from metajax.systems import check_fits

    methods = list(system.methods) if named is None else list(named)
    for method in methods:
        one_of("methods", method, system.methods)
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
                f"options of {', '.join(methods)}; this one is of {' and '.join(having)}",
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


def make_points(entries: Mapping[str, Entry], seeds: int) -> list[Any]:
    """Return the runs: every method with every seed.

    Raises:
      ConfigError: the seeds are too many, or too large.
    """
    return [
        point._replace(number=number) for number, point in enumerate(_each_point(entries, seeds))
    ]


def _each_point(entries: Mapping[str, Entry], seeds: int) -> Iterator[Any]:
    from metajax.cli.folders import compared_run
    from metajax.sweep import expand

    for method, entry in entries.items():
        for point in expand(entry.config, {}, {}, seeds=seeds):
            label = compared_run(method, entry.own, point.config.seed)
            yield point._replace(values={"method": method}, label=label)


def make_parser() -> argparse.ArgumentParser:
    """The comparison's own arguments."""
    parser = argparse.ArgumentParser(
        prog="metajax compare",
        description=DESCRIPTION,
        allow_abbrev=False,
        usage="metajax compare SYSTEM [--preset NAME] [--methods A B ...] [--seeds N] "
        "[--set METHOD.FIELD=VALUE ...] [--engine process|vmap] [--workers N] [--workdir DIR] "
        "[--out DIR] [--FIELD VALUE ...]",
    )
    add = parser.add_argument
    add("system", metavar="SYSTEM", help="by name; metajax methods lists all, with their methods")
    add("--preset", help="of the system; its first by default")
    add("--methods", nargs="+", metavar="METHOD", help="by name; all that fit the preset's tasks")
    add("--seeds", type=int, default=1, help="runs of each method, from --seed on; 1 by default")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="METHOD.FIELD=VALUE",
        help="a setting of one method: an option of it, or of its training",
    )
    add(
        "--engine",
        choices=("process", "vmap"),
        default="process",
        help="process: each run is a process; vmap: the seeds of a method are one compiled program",
    )
    add("--workers", type=int, default=1, help="processes at a time; 1 by default")
    add(
        "--workdir",
        type=Path,
        help="folder of the runs, which may be in a store; by default one in runs for each system, "
        "preset and settings that all methods share",
    )
    add("--out", type=Path, help="folder of the table and figures; by default that of the runs")
    return parser
