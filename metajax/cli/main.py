"""``metajax``: its own commands, and those that packages contribute."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import logging
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from metajax.cli.cache import DEFAULT_CACHE, use_compilation_cache
from metajax.cli.interrupts import command_of, interruptible, stopped
from metajax.cli.streams import lenient_streams
from metajax.commands import COMMANDS

log = logging.getLogger("metajax")

USAGE = """\
metajax: meta-learning in JAX

  metajax train SYSTEM [--preset NAME] [--method NAME] [--workdir DIR]
                       [--seed N] [--steps N] [--FIELD VALUE ...]
      meta-train, evaluate and report; given again after an interruption, it
      resumes, and with more --steps it extends the run
  metajax sweep SYSTEM [--grid FIELD=A,B] [--seeds N]
                       [--random FIELD=log:LOW:HIGH --samples N]
      train many runs over a grid, random draws and seeds, into one table and
      one report
  metajax compare SYSTEM --methods A B ... [--seeds N] [--FIELD VALUE ...]
      train methods of a system from the same seeds, those that are not trained
      yet, and compare their scores on the same new tasks, with the system's
      baselines: a table and figures
  metajax profile SYSTEM [--preset NAME] [--FIELD VALUE ...]
      compile a meta-step and time it, part by part, compared with this
      machine's measured peak
  metajax eval WORKDIR [--FIELD VALUE ...]
      evaluate a run's newest checkpoint again, into its eval.json; the
      system's evaluation fields can be changed, as --eval-tasks
  metajax report WORKDIR
      write the report.html and figures of a run, of a sweep, or of a
      comparison, again
  metajax list
      the systems, and what each of their presets changes
  metajax methods [SYSTEM]
      the methods of each system, and the paper that each is from
{contributed}
  metajax data list
      the sets of images, and which are on this machine
  metajax data prepare NAME [--from PATH]
      bring a set onto this machine, by download or from files

`metajax train SYSTEM --help` explains every field.
Exit codes: 0 done; 1 failed; 2 rejected settings; 75 stopped by SIGTERM, and a
training has saved its state: the message says how to continue; 130 the same
after Ctrl-C.
"""

OWN = ("train", "sweep", "compare", "profile", "eval", "report", "list", "methods", "data")
"""The commands of this package; those of others are in :mod:`metajax.commands`."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code. Errors a person can act on print as one message.

    Args:
      argv: the words after ``metajax``; None takes those of this process, which then ends at once
        where a signal stopped it.
    """
    alone, argv = argv is None, sys.argv[1:] if argv is None else argv
    with lenient_streams() as out:
        logging.basicConfig(format="metajax: %(message)s", level=logging.WARNING)
        logging.getLogger("metajax").setLevel(logging.INFO)
        # Orbax logs a failed save's traceback many times over; the error that ends the run says
        # it once
        logging.getLogger("absl").setLevel(logging.CRITICAL)
        heard: list[int] = []
        try:
            with interruptible(heard):
                code = _run(argv)
                out.flush()
        except BaseException as error:
            if heard:
                said, code = stopped(heard[0], argv)
                said = "\n" * sys.stderr.isatty() + f"metajax: {said}"  # below ^C or a bar
            elif (told := _explain(error, argv)) is not None:
                said, code = told
            else:
                raise
            print(said, file=sys.stderr)
        if out.failure is not None and not isinstance(out.failure, BrokenPipeError):
            print(f"metajax: what was printed is lost: {out.failure}", file=sys.stderr)
            code = code or 1
    if heard and alone:
        # jax has threads at work still, which ending as usual would crash now and then
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _run(argv: list[str]) -> int:
    """Run one command; returns its exit code."""
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_usage(), end="")
        return 0
    if argv[0] == "--version":
        from metajax import __version__

        print(__version__)
        return 0
    from metajax.core import IMPLEMENTATION, one_of

    command = one_of("command", argv[0], (*OWN, *COMMANDS))
    import jax

    # what a seed stands for does not depend on the environment
    jax.config.update("jax_default_prng_impl", IMPLEMENTATION)
    if command in COMMANDS:
        return _contributed(command, argv[1:])
    return {
        "train": _train,
        "sweep": _sweep,
        "compare": _compare,
        "profile": _profile,
        "eval": _eval,
        "report": _report,
        "list": _list,
        "methods": _methods,
        "data": _data,
    }[command](argv[1:])


def _usage() -> str:
    """What ``metajax --help`` prints."""
    lines = []
    for name, command in COMMANDS.items():
        arguments, *what = command.usage
        lines += [f"  metajax {name} {arguments}", *(f"      {line}" for line in what)]
    return USAGE.format(contributed="\n".join(lines))


def _explain(error: BaseException, argv: list[str]) -> tuple[str, int] | None:
    """What a person is told of an error, and the exit code; None: it is a fault of the program."""
    from metajax.cli.platforms import missing_platform
    from metajax.core import MetajaxError

    said: BaseException | None = error
    if isinstance(error, (RuntimeError, AssertionError)):
        said = missing_platform()
    elif not isinstance(error, (MetajaxError, OSError)):
        return None
    if said is None:
        return None
    code = getattr(said, "exit_code", 2 if isinstance(said, ValueError) else 1)  # ConfigError
    again = f" To continue: {command_of(argv)}" if code in (75, 130) else ""
    return f"metajax: error: {said}{again}", code


def _train(argv: list[str]) -> int:
    from metajax.cli.arguments import parse_train
    from metajax.cli.runs import check_extension, may_change
    from metajax.core import ConfigError
    from metajax.systems import SYSTEMS, build, config_to_json, get_system
    from metajax.systems.setup import untrained_params

    if not argv or argv[0].startswith("-"):
        print(f"usage: metajax train SYSTEM ...; systems: {', '.join(SYSTEMS)}")
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    system = get_system(argv[0])
    presets = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    presets.add_argument("--preset")
    chosen, rest = presets.parse_known_args(argv[1:])
    config, options, workdir = parse_train(system, chosen.preset, rest)
    system = config.system
    use_compilation_cache(options.compilation_cache)

    import jax

    from metajax.train import (
        Fit,
        ProcessLostError,
        check_workdir,
        fit,
        is_first,
        join,
        keep_freed_memory,
        leave,
        open_workdir,
        renew_config,
        run_summary,
        write_json,
    )

    keep_freed_memory()
    wall, cpu = time.perf_counter(), time.process_time()
    together = options.coordinator, options.processes, options.process
    if options.distributed or together != (None, None, None):
        if options.parallel != "jit":
            raise ConfigError("parallel", options.parallel, "jit, for several processes")
        join(*together)
    identity = config_to_json(system, config)
    restart = options.on_changed == "restart"
    if is_first():
        check_workdir(workdir, identity, may_change(system), restart=restart)
        if options.on_changed == "raise":
            check_extension(system, config, workdir)
        if options.workdir is None:
            logging.getLogger("metajax").info("the run is in %s", workdir)
    run = build(config, options.data_dir)
    if run.steps:
        try:
            result = fit(
                run.algorithm,
                run.tasks,
                steps=run.steps,
                tasks_per_step=run.tasks_per_step,
                key=jax.random.key(config.seed),
                workdir=workdir,
                config=identity,
                may_change=may_change(system),
                evaluators=run.evaluators,
                parallel=options.parallel,
                model_devices=options.model_devices,
                on_nonfinite=options.on_nonfinite,
                on_changed=options.on_changed,
                log_every=options.log_every,
                checkpoint_every=options.checkpoint_every,
                keep_last=options.keep_last,
                keep_every=options.keep_every,
                tensorboard=options.tensorboard,
                progress=options.progress,
            )
        except ProcessLostError as error:
            print(f"metajax: error: {error}", file=sys.stderr)
            leave(error)
    else:  # nothing to train: the parameters that every run of this seed starts from
        held = open_workdir(workdir, identity, may_change(system), restart=restart)
        with held if is_first() else contextlib.nullcontext():
            if is_first():
                renew_config(workdir, identity)
            result = Fit(
                None,
                untrained_params(run.algorithm, run.example_tasks, config.seed),
                0,
                [],
                0.0,
                0.0,
                0,
            )
    trained_cpu = time.process_time() - cpu
    # by each process, of several: none has to wait for the first, which alone writes it down
    evaluation = run.evaluate(result.params, options.progress and is_first())
    if not is_first():
        return 0
    write_json(workdir / "eval.json", evaluation)
    summary = run_summary(
        result,
        wall_seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
        train_cpu_seconds=trained_cpu,
        command=shlex.join(["metajax", "train", *argv]),
    )
    write_json(workdir / "summary.json", summary)
    _show(workdir, system, identity["config"], evaluation, summary, result.history)
    return 0


def _show(workdir, system, config, evaluation, summary, history) -> None:
    from metajax.cli.report import write_report

    settings = {**config, **evaluation.get("settings", {})}  # what it was evaluated with
    path = write_report(workdir, system, settings, evaluation, summary, history)
    print(f"\n{system.table(evaluation)}\n")
    print(f"report: {path}")


def _workdir_options(
    name: str, argv: list[str], epilog: str = ""
) -> tuple[argparse.Namespace, list[str]]:
    """The workdir and options of ``metajax eval|report WORKDIR``, and what is left."""
    from metajax.core import local_path
    from metajax.train import as_path

    parser = argparse.ArgumentParser(prog=f"metajax {name}", epilog=epilog, allow_abbrev=False)
    parser.add_argument("workdir", type=Path, help="folder that metajax train has written")
    parser.add_argument("--data-dir", type=Path, help="folder of the data sets")
    parser.add_argument(
        "--compilation-cache",
        default=DEFAULT_CACHE,
        help="folder where compiled programs are kept, or off",
    )
    options, rest = parser.parse_known_args(argv)
    if rest and name != "eval":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    options.workdir = as_path(options.workdir)
    if options.data_dir is not None:
        options.data_dir = local_path(options.data_dir, "data_dir")
    return options, rest


def _read_json(path: Path) -> Any:
    from metajax.train import WorkdirError

    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise WorkdirError(
            f"{path} cannot be read ({error}); has the run finished its training?"
        ) from error


def _eval(argv: list[str]) -> int:
    from metajax.cli.arguments import parse_evaluation
    from metajax.systems import SYSTEMS, build, get_system, read_run
    from metajax.systems.setup import untrained_params
    from metajax.train import check_writable

    epilog = ""
    if {"-h", "--help"} & set(argv):
        fields = (f"{name}: {', '.join(get_system(name).evaluation)}" for name in SYSTEMS)
        epilog = f"Fields that can be changed (--FIELD VALUE), by system. {'; '.join(fields)}."
    options, rest = _workdir_options("eval", argv, epilog)
    system, config, _ = read_run(options.workdir)
    config = parse_evaluation(system, config, rest)
    check_writable(options.workdir, "workdir")
    use_compilation_cache(options.compilation_cache)
    import jax

    from metajax.train import restore_params, write_json

    run = build(config, options.data_dir)
    if run.steps:
        key = jax.random.key(config.seed)
        params, step = restore_params(options.workdir, run.algorithm, run.example_tasks, key)
        print(f"checkpoint of step {step} of {run.steps}")
    else:
        params = untrained_params(run.algorithm, run.example_tasks, config.seed)
    evaluation = run.evaluate(params, True)
    write_json(options.workdir / "eval.json", evaluation)
    print(system.table(evaluation))
    return 0


def _report(argv: list[str]) -> int:
    from metajax.core import MetajaxError
    from metajax.sweep import is_comparison, is_sweep, report_comparison, write_report
    from metajax.systems import read_run
    from metajax.train import WorkdirError, check_writable, read_rows

    workdir = _workdir_options("report", argv)[0].workdir
    if workdir.is_dir():
        check_writable(workdir, "workdir")
    if is_comparison(workdir) or is_sweep(workdir):
        write = report_comparison if is_comparison(workdir) else write_report
        text, page = write(workdir)
        print(f"\n{text}\n\nreport: {page}")
        return 0
    system, _, saved = read_run(workdir)
    evaluation = _read_json(workdir / "eval.json")
    summary_path = workdir / "summary.json"
    summary = _read_json(summary_path) if summary_path.exists() else {}
    try:
        _show(workdir, system, saved, evaluation, summary, read_rows(workdir))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if isinstance(error, MetajaxError):
            raise
        raise WorkdirError(
            f"{workdir} cannot be reported: its eval.json, summary.json or metrics.jsonl does not "
            f"hold what a run writes ({type(error).__name__}: {error}). "
            f"`metajax eval {workdir}` writes eval.json again"
        ) from error
    return 0


def _list(argv: list[str]) -> int:
    from metajax.cli.presets import list_command

    return list_command(argv)


def _sweep(argv: list[str]) -> int:
    from metajax.cli.sweep import sweep_command

    return sweep_command(argv)


def _compare(argv: list[str]) -> int:
    from metajax.cli.compare import compare_command

    return compare_command(argv)


def _methods(argv: list[str]) -> int:
    from metajax.cli.methods import methods_command

    return methods_command(argv)


def _contributed(name: str, argv: list[str]) -> int:
    """Run a command that a package contributes."""
    command: Any = importlib.import_module(COMMANDS[name].module)
    parser = argparse.ArgumentParser(prog=f"metajax {name}")
    command.add_arguments(parser)
    parser.add_argument(
        "--compilation-cache",
        default=DEFAULT_CACHE,
        help="folder where compiled programs are kept, or off",
    )
    options = parser.parse_args(argv)
    use_compilation_cache(options.compilation_cache)
    return command.run(options)


def _profile(argv: list[str]) -> int:
    from metajax.cli.profile import profile_command

    return profile_command(argv)


def _data(argv: list[str]) -> int:
    from metajax.core import ConfigError, local_path
    from metajax.data import list_sets, prepare
    from metajax.systems import SYSTEMS, get_system

    parser = argparse.ArgumentParser(prog="metajax data")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the sets, and which are on this machine")
    preparing = commands.add_parser("prepare", help="download or convert a set")
    preparing.add_argument(
        "name",
        help="a TFDS image-classification set, a name for your own, or a system that simulates "
        "what it is trained on",
    )
    preparing.add_argument(
        "--from",
        dest="source",
        type=Path,
        help="idx files, a .npz with images and labels, or a folder of images per class; without "
        "it, the set is downloaded",
    )
    preparing.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        help="resize a folder's images; by default to the first image's size",
    )
    for sub in (listing, preparing):
        sub.add_argument("--data-dir", type=Path, help="folder of the data sets")
    options = parser.parse_args(argv)
    if options.data_dir is not None:
        options.data_dir = local_path(options.data_dir, "--data-dir")
    if options.command == "prepare" and options.source is not None:
        options.source = local_path(options.source, "--from")
    if options.command == "list":
        for row in list_sets(options.data_dir):
            splits = ", ".join(f"{split} {num:,}" for split, num in row.splits.items())
            state = splits if row.prepared else f"not here ({row.how})"
            print(f"{row.name:24} {state}")
        return 0
    if options.name in SYSTEMS and (simulate := get_system(options.name).prepare) is not None:
        if options.source is not None or options.size is not None:
            raise ConfigError("--from", options.source, f"nothing: {options.name} is simulated")
        print(*simulate(options.data_dir), sep="\n")
        return 0
    size = tuple(options.size) if options.size else None
    print(prepare(options.name, options.source, options.data_dir, size=size))
    return 0


if __name__ == "__main__":
    sys.exit(main())
