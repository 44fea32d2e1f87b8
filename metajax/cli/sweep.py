"""``metajax sweep``: many runs of a system."""

from __future__ import annotations

import argparse
import shlex
import sys
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metajax.cli.cache import use_compilation_cache
from metajax.core import ConfigError, one_of

ENGINES = ("process", "vmap", "ray")
OF_RAY = ("scheduler", "metric", "mode", "grace_period", "address")
"""Options of the engine ray alone."""

DESCRIPTION = """\
Run a system over a grid, random draws and seeds: every combination of them is one run. Every field
and option of `metajax train SYSTEM` may be given too, for all runs. Given again after an
interruption, it resumes; processes that failed are tried again.
"""

USAGE = """\
metajax sweep SYSTEM [--preset NAME] [--grid FIELD=A,B ...]
                     [--random FIELD=RANGE ...] [--samples N] [--seeds N]
                     [--engine process|vmap|ray] [--workers N]
                     [--workdir DIR] [--FIELD VALUE ...]"""

YAML_FIELDS = ("system", "preset", "set", "grid", "random", "samples", "seeds", "sweep_seed")


class Request(NamedTuple):
    """What the words of a command ask for."""

    system: str
    preset: str | None
    grid: dict[str, str]
    random: dict[str, str]
    samples: int | None
    seeds: int
    sweep_seed: int
    rest: list[str]


def sweep_command(argv: list[str]) -> int:
    """Run ``metajax sweep ARGV``; returns the exit code, 1 where a run failed."""
    from metajax.cli.arguments import parse_train
    from metajax.cli.folders import sweep_folder
    from metajax.sweep import Point, expand, run_processes, write_report
    from metajax.systems import config_to_json, get_system
    from metajax.train import as_path, is_remote, keep_freed_memory, open_workdir

    options, request = read_request(argv)
    system = get_system(request.system)
    config, run_options, _ = parse_train(system, request.preset, request.rest)
    system = config.system
    for name, least in (("workers", options.workers), ("at_once", options.at_once)):
        if least is not None and least < 1:
            raise ConfigError(name, least, "a whole number of 1 or more")
    points = expand(
        config,
        request.grid,
        request.random,
        samples=request.samples,
        seeds=request.seeds,
        sweep_seed=request.sweep_seed,
    )
    if len({system.objective(point.config) for point in points}) > 1:
        raise ConfigError("grid", list(points[0].values), "runs that are scored alike")
    check_engine(options)
    preset = system.preset_for(config.method, request.preset)
    identity = {
        "sweep": config_to_json(system, config),
        "grid": request.grid,
        "random": request.random,
        "samples": request.samples,
        "seeds": request.seeds,
        "sweep_seed": request.sweep_seed,
    }
    swept_fields = [*request.grid, *request.random]
    folder = as_path(options.workdir or sweep_folder(system.name, preset, swept_fields, identity))
    if options.engine == "ray" and is_remote(folder):
        raise ConfigError("engine", "ray", f"process or vmap, for the store of {folder}")
    if options.engine == "vmap":
        check_vmap(system, points, run_options)
    if options.engine == "ray":
        from metajax.sweep.ray_tune import run_ray
        from metajax.sweep.stopping import choose_stopping

        stopping = choose_stopping(
            system.objective(points[0].config),
            max(point.config.steps for point in points),
            scheduler=options.scheduler or "none",
            metric=options.metric,
            mode=options.mode,
            grace_period=options.grace_period,
        )
    said = shlex.join(["metajax", "sweep", *argv])
    swept = [*swept_fields, "seed"]

    def command(point: Point, workdir: Path) -> list[str]:
        return [
            sys.executable,
            "-m",
            "metajax.cli.main",
            "train",
            system.name,
            "--preset",
            preset,
            *request.rest,
            "--no-progress",
            *flags({name: getattr(point.config, name) for name in swept}),
            "--workdir",
            str(workdir),
        ]

    with open_workdir(folder, identity):
        print(f"{len(points)} runs in {folder}", file=sys.stderr)
        if options.engine == "vmap":
            from metajax.sweep import run_together

            use_compilation_cache(run_options.compilation_cache)
            keep_freed_memory()
            outcomes = run_together(
                folder,
                system,
                points,
                command=said,
                data_dir=run_options.data_dir,
                at_once=options.at_once,
                log_every=run_options.log_every,
                checkpoint_every=run_options.checkpoint_every,
                progress=run_options.progress,
                on_changed=run_options.on_changed,
            )
        elif options.engine == "ray":
            outcomes = run_ray(
                folder,
                points,
                command,
                stopping,
                workers=options.workers,
                address=options.address,
                progress=run_options.progress,
            )
        else:
            outcomes = run_processes(
                folder, points, command, workers=options.workers, progress=run_options.progress
            )
        text, page = write_report(folder)
    print(f"\n{text}\n\nresults: {folder / 'results.csv'}\nreport: {page}")
    well = ("done", "stopped")
    bad = [outcome for outcome in outcomes.values() if outcome.status not in well]
    if bad:
        print(
            f"metajax: {len(bad)} of {len(points)} runs did not end well; results.csv says why",
            file=sys.stderr,
        )
    return 1 if bad else 0


def check_engine(options: argparse.Namespace) -> None:
    """Reject options that the chosen engine does not have.

    Raises:
      ConfigError: one is the engine ray's, which was not chosen.
    """
    for name in OF_RAY:
        value = getattr(options, name)
        if options.engine != "ray" and value is not None:
            raise ConfigError(name, value, "--engine ray, which has it")


def check_vmap(system: Any, points: Sequence[Any], options: Any) -> None:
    """Reject what the engine ``vmap`` does not do.

    Raises:
      ConfigError: a field that can not be traced, or an option of runs by themselves.
    """
    from metajax.sweep import check_traceable

    check_traceable(system, points)
    default = type(options)()
    for name in ("parallel", "on_nonfinite", "keep_last", "keep_every", "tensorboard"):
        if getattr(options, name) != getattr(default, name):
            raise ConfigError(name, getattr(options, name), "--engine process, which has it")


def read_request(argv: list[str]) -> tuple[argparse.Namespace, Request]:
    """Read the sweep's own arguments and its file; what is left is for ``train``.

    Raises:
      ConfigError: the file or an assignment is not in order.
    """
    from metajax.cli.arguments import RunOptions
    from metajax.sweep import read_assignments
    from metajax.systems import get_system, setting_types

    parser = make_parser()
    named = argv[0] if argv and not argv[0].startswith("-") else None
    options, rest = parser.parse_known_args(argv[1:] if named else argv)
    said = read_file(options.source) if options.source else {}
    name = named or said.get("system")
    if name is None:
        parser.error("name a SYSTEM first, or --from a file that names it")
    if said.get("system", name) != name:
        raise ConfigError("system", name, f"{said['system']!r}, that of the file")
    config = setting_types(get_system(name))
    of_runs = typing.get_type_hints(RunOptions)
    del of_runs["workdir"]  # each run has its own
    rest = fixed_flags(of_runs | config, said.get("set", {})) + rest
    grid = {
        field: grid_text(f"grid.{field}", config[one_of("grid field", field, config)], value)
        for field, value in said.get("grid", {}).items()
    } | read_assignments("grid", options.grid)
    random = {**said.get("random", {}), **read_assignments("random", options.random)}
    fixed = {word.partition("=")[0].replace("_", "-") for word in rest if word.startswith("--")}
    for field in (*grid, *random):
        plain = field.replace("_", "-")
        if fixed & {f"--{plain}", f"--no-{plain}"}:
            raise ConfigError("grid" if field in grid else "random", field, "fields not fixed too")

    def chosen(option: str, default: Any = None) -> Any:
        value = getattr(options, option)
        return said.get(option, default) if value is None else value

    return options, Request(
        name,
        chosen("preset"),
        grid,
        random,
        chosen("samples"),
        chosen("seeds", 1),
        chosen("sweep_seed", 0),
        rest,
    )


def make_parser() -> argparse.ArgumentParser:
    """The sweep's own arguments."""
    parser = argparse.ArgumentParser(
        prog="metajax sweep",
        description=DESCRIPTION,
        allow_abbrev=False,
        usage=USAGE,
    )
    add = parser.add_argument
    add(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="a YAML file of these arguments, see docs/sweeps.md",
    )
    add("--preset", metavar="NAME", help="preset of the system; by default its first")
    add(
        "--grid",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=A,B",
        help="values of a field, separated by commas; a tuple's elements by spaces",
    )
    add(
        "--random",
        nargs="+",
        action="extend",
        default=[],
        metavar="FIELD=RANGE",
        help="log:LOW:HIGH, uniform:LOW:HIGH or choice:A,B,...",
    )
    add("--samples", type=int, metavar="N", help="draws of the random fields")
    add(
        "--seeds",
        type=int,
        metavar="N",
        help="runs of each combination, from --seed on; 1 by default",
    )
    add("--sweep-seed", type=int, metavar="N", help="seed of the draws; 0 by default")
    add(
        "--engine",
        choices=ENGINES,
        default="process",
        help="process: each run is a process; vmap: all runs are one compiled program; ray: each "
        "is a trial of Ray Tune",
    )
    add(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="runs at a time (process, ray); 1 by default",
    )
    add(
        "--at-once",
        type=int,
        metavar="N",
        help="runs of one compiled program (vmap); all by default",
    )
    add(
        "--scheduler",
        metavar="none|asha|median",
        help="which runs are stopped early (ray): none, by default; asha: those that are not among "
        "the best quarter; median: those that are worse than the median",
    )
    add(
        "--metric",
        help="field of metrics.jsonl that the scheduler compares runs by (ray); by default "
        "the system's own, such as new_tasks/last",
    )
    add("--mode", choices=("min", "max"), help="whether less or more of the metric is better (ray)")
    add(
        "--grace-period",
        type=int,
        metavar="STEPS",
        help="steps before which no run is stopped (ray); by default a tenth of its steps",
    )
    add("--address", help="Ray cluster, auto or HOST:PORT (ray); this machine by default")
    add(
        "--workdir",
        type=Path,
        metavar="DIR",
        help="folder of the sweep, which may be in a store; by default one in runs for each sweep",
    )
    return parser


def read_file(path: Path) -> dict[str, Any]:
    """Read a sweep's YAML file; see ``docs/sweeps.md``.

    Raises:
      ConfigError: it can not be read, or holds other than it should.
    """
    from metajax.core.yaml_files import read_yaml
    from metajax.systems import SYSTEMS

    # numbers as they are written, since the command line would have them so
    content = read_yaml("from", path, f"a mapping of {', '.join(YAML_FIELDS)}", floats_as_text=True)
    for name in content:
        one_of(f"entry of {path}", name, YAML_FIELDS)
    said = {name: value for name, value in content.items() if value is not None}
    for name, value in said.items():
        if name in ("system", "preset") and not (isinstance(value, str) and value):
            raise ConfigError(name, value, f"a name in {path}")
        if name in ("set", "grid", "random") and not isinstance(value, dict):
            raise ConfigError(name, value, f"a mapping of fields in {path}")
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if name in ("samples", "seeds", "sweep_seed") and not is_whole:
            raise ConfigError(name, value, f"a whole number in {path}")
    if "system" in said:
        one_of("system", said["system"], SYSTEMS)
    for kind in ("set", "grid", "random"):
        fields: dict[str, Any] = {}
        for written, value in said.get(kind, {}).items():
            field = written.replace("-", "_")
            if field in fields:
                raise ConfigError(f"{kind} field", written, "each field once, with _ or with -")
            if kind == "random" and not isinstance(value, str):
                raise ConfigError(f"random.{field}", value, "text such as log:1e-5:1e-2")
            fields[field] = value
        said[kind] = fields
    return said


def grid_text(name: str, hint: Any, value: Any) -> str:
    """A grid's YAML value as the command line has it: values by commas, tuples by spaces.

    Raises:
      ConfigError: it is nested deeper, or a value is not of the field's type.
    """
    if not isinstance(value, list):
        return _word(name, hint, value, "")
    return ",".join(
        " ".join(_word(name, hint, part, ", ") for part in item)
        if isinstance(item, list)
        else _word(name, hint, item, ",")
        for item in value
    )


def _word(name: str, hint: Any, value: Any, separators: str) -> str:
    """A single YAML value as the command line has it."""
    if isinstance(value, dict | list) or any(sign in str(value) for sign in separators):
        raise ConfigError(name, value, "a value, a list of values, or a list of lists of values")
    # as words they would be text, where text is wanted
    if value is None and type(None) not in typing.get_args(hint):
        raise ConfigError(name, value, "a value")
    if isinstance(value, bool) and hint is not bool:
        raise ConfigError(name, value, "a value that is not true or false")
    return str(value)


def fixed_flags(hints: dict[str, Any], values: dict[str, Any]) -> list[str]:
    """The fields that a file sets, checked, as arguments of ``metajax train``.

    Raises:
      ConfigError: a field is unknown, or a value is not of its type.
    """
    from metajax.sweep import parse_value

    found = {}
    for field, value in values.items():
        hint = hints[one_of("set field", field, hints)]
        name = f"set.{field}"
        if isinstance(value, list) and not _is_tuple(hint):
            raise ConfigError(name, value, "a single value")
        parts = value if isinstance(value, list) else [value]
        text = " ".join(_word(name, hint, part, "") for part in parts)
        found[field] = parse_value(name, hint, text)
    return flags(found)


def _is_tuple(hint: Any) -> bool:
    """Whether a field holds several values."""
    return any(typing.get_origin(part) is tuple for part in (hint, *typing.get_args(hint)))


def flags(values: dict[str, Any]) -> list[str]:
    """Fields and their values as arguments of ``metajax train``."""
    words: list[str] = []
    for name, value in values.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, (list, tuple)):
            words += [f"--{option}", *map(str, value)]
        elif str(value).startswith("-"):
            words.append(f"--{option}={value}")  # as a word of its own it would be an option
        else:
            words += [f"--{option}", str(value)]
    return words
