"""`metajax profile`: what a system's meta-step costs on this machine."""

from __future__ import annotations

import argparse
import contextlib
import shlex
from pathlib import Path

from metajax.core import ConfigError, local_path

USAGE = """\
metajax profile SYSTEM [--preset NAME] [--timed N] [--trace DIR]
                       [--json FILE] [--FIELD VALUE ...]"""


def profile_command(argv: list[str]) -> int:
    """Print compile time, time, operations, bytes and memory of a meta-step and its parts."""
    from metajax.cli.arguments import parse_train
    from metajax.systems import SYSTEMS, build, get_system
    from metajax.train import check_writable

    parser = argparse.ArgumentParser(
        prog="metajax profile",
        allow_abbrev=False,
        usage=USAGE,
        description="Compile a system's meta-step and time it, part by part, compared with this "
        "machine's measured peak. Further options are those of `metajax train SYSTEM`.",
    )
    parser.add_argument("system", metavar="SYSTEM", help=f"by name: {', '.join(SYSTEMS)}")
    parser.add_argument(
        "--preset", metavar="NAME", help="preset of the system; by default its first"
    )
    parser.add_argument(
        "--timed",
        type=int,
        default=10,
        metavar="N",
        help="meta-steps that are timed; 10 by default",
    )
    parser.add_argument(
        "--trace", type=Path, metavar="DIR", help="folder for a trace that TensorBoard shows"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to write the figures to")
    options, rest = parser.parse_known_args(argv)
    system = get_system(options.system)
    if options.trace is not None:
        options.trace = local_path(options.trace, "--trace")
        check_writable(options.trace, "--trace")
    if options.json is not None:
        options.json = local_path(options.json, "--json")
        check_writable(options.json.parent, "--json")
        if options.json.is_dir():
            raise ConfigError("--json", str(options.json), "a file")
    config, run_options, _ = parse_train(system, options.preset, rest)

    import jax

    from metajax.train import keep_freed_memory, profile, profile_table, provenance, write_json

    keep_freed_memory()
    run = build(config, run_options.data_dir)
    trace = jax.profiler.trace(str(options.trace)) if options.trace else contextlib.nullcontext()
    with trace:
        found = profile(
            run.algorithm,
            run.tasks,
            tasks_per_step=run.tasks_per_step,
            key=jax.random.key(config.seed),
            steps=options.timed,
        )
    print(profile_table(found))
    if options.json:
        parts = {name: part._asdict() for name, part in found.parts.items()}
        command = shlex.join(["metajax", "profile", *argv])
        content = found._asdict() | {"parts": parts, "spent_seconds": found.spent}
        write_json(options.json, content | provenance(command))
    return 0
