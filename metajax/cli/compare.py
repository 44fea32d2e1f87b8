"""``metajax compare``: methods of a system, trained from the same seeds, in one table."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from metajax.cli.cache import use_compilation_cache
from metajax.cli.compared_methods import Entry, choose, group_words, shared_fields
from metajax.core import ConfigError, MetajaxError

DESCRIPTION = """\
Train methods of a system from the same seeds and compare their scores on the same new tasks, with
the system's baselines. Every field and option of `metajax train SYSTEM` may be given too, for all
methods that have it. Given again, also with more methods or seeds, it trains only what is not
trained yet, and resumes what was interrupted.
"""

USAGE = """\
metajax compare SYSTEM [--preset NAME] [--methods A B ...] [--seeds N]
                       [--set METHOD.FIELD=VALUE ...] [--engine process|vmap]
                       [--workers N] [--workdir DIR] [--out DIR]
                       [--FIELD VALUE ...]"""


def compare_command(argv: list[str]) -> int:
    """Run ``metajax compare ARGV``; returns the exit code, 1 where a run did not end well."""
    from metajax.cli.folders import comparison_folder
    from metajax.cli.sweep import check_vmap
    from metajax.sweep import compared, run_processes, write_comparison, write_results
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
    preset = system.preset_for(options.methods[0] if options.methods else None, options.preset)
    if options.engine == "process":
        import jax

        # the runs need the accelerators, which a process holds once it has looked for them
        jax.config.update("jax_platforms", "cpu")
    entries = choose(system, preset, options.methods, group_words(rest), options.set)
    points = make_points(entries, options.seeds)
    system = points[0].config.system
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

    run_options = next(iter(entries.values())).options

    def run_apart(waiting: Sequence[Any]) -> dict[int, Any]:
        return run_processes(
            folder, waiting, command, workers=options.workers, progress=run_options.progress
        )

    if options.engine == "vmap":
        for method in entries:
            own = [point for point in points if point.values["method"] == method]
            check_vmap(system, own, run_options)
    with open_workdir(folder, identity):
        print(f"{len(points)} runs in {folder}", file=sys.stderr)
        if options.engine == "vmap":
            use_compilation_cache(run_options.compilation_cache)
            keep_freed_memory()
            outcomes = run_by_method(folder, entries, points, said, run_apart)
        else:
            outcomes = run_apart(points)
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


def run_by_method(
    folder: Path,
    entries: Mapping[str, Entry],
    points: Sequence[Any],
    said: str,
    run_apart: Callable[[Sequence[Any]], dict[int, Any]],
) -> dict[int, Any]:
    """Train the seeds of each method as one program; in processes where that cannot be.

    Args:
      folder: of the comparison.
      entries: the methods.
      points: their runs.
      said: the command, for the summaries.
      run_apart: trains runs in processes and returns how each ended.

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
                ended, failed = Outcome("done"), Outcome("failed", str(error))
                outcomes |= {
                    point.number: ended if is_done(folder, point) else failed for point in waiting
                }
    if apart:
        outcomes |= run_apart(apart)
    return outcomes


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
        usage=USAGE,
    )
    add = parser.add_argument
    add("system", metavar="SYSTEM", help="by name; metajax methods lists all, with their methods")
    add("--preset", metavar="NAME", help="preset of the system; by default its first")
    add(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="names; all for the preset's tasks by default",
    )
    add(
        "--seeds",
        type=int,
        default=1,
        metavar="N",
        help="runs of each method, from --seed on; 1 by default",
    )
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="METHOD.FIELD=VALUE",
        help="a setting of one method: its option, or a setting of its training",
    )
    add(
        "--engine",
        choices=("process", "vmap"),
        default="process",
        help="process: each run is a process; vmap: the seeds of a method are one compiled program",
    )
    add("--workers", type=int, default=1, metavar="N", help="processes at a time; 1 by default")
    add(
        "--workdir",
        type=Path,
        metavar="DIR",
        help="folder of the runs, which may be in a store; by default one in runs for each system, "
        "preset and settings that all methods share",
    )
    add(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of the table and figures; by default that of the runs",
    )
    return parser
