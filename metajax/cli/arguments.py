"""The command line's arguments, made from each system's config."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from metajax.cli.cache import DEFAULT_CACHE
from metajax.cli.folders import run_folder
from metajax.core import ConfigError, local_path, one_of
from metajax.systems import System
from metajax.train import as_path


@dataclass(frozen=True)
class RunOptions:
    """Where and how to run; nothing here changes what is computed, but for `on-nonfinite`."""

    workdir: Path | None = None
    """Folder of the run, on this machine or in a store as gs://BUCKET/FOLDER; by default
    runs/SYSTEM-PRESET-SEED, with the settings that differ from the preset's in its name. A run
    that was stopped is resumed when the same command is given again, and extended when it is given
    with more --steps."""
    data_dir: Path | None = None
    """Folder of the data sets; by default TFDS' own, $TFDS_DATA_DIR or ~/tensorflow_datasets."""
    parallel: Literal["none", "jit", "pmap"] = "none"
    """Split tasks over all devices: by one program over a mesh (jit) or one per device (pmap)."""
    model_devices: int = 1
    """With --parallel jit: devices that hold one copy of the state between them, for networks
    that are too large for one; the other devices take other tasks."""
    distributed: bool = False
    """Train in several processes, one per host, that jax.distributed finds by itself, as on TPU
    pods and under Slurm: the same command on each, with --parallel jit and a shared workdir."""
    coordinator: str | None = None
    """Where nothing tells of them: HOST:PORT of the first process, with the two below."""
    processes: int | None = None
    """How many processes there are."""
    process: int | None = None
    """Which of them this is, from 0."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """When a loss or gradient is not finite: stop with the last good checkpoint kept, or leave
    that step out and go on."""
    on_changed: Literal["raise", "restart", "ignore"] = "raise"
    """When the workdir holds a run of other settings or another program, finished or not: raise;
    restart moves it to WORKDIR/previous and trains from step 0; ignore resumes it all the same if
    its settings are these."""
    log_every: int = 100
    """Meta-steps averaged into one row of metrics.jsonl."""
    checkpoint_every: int = 500
    """Meta-steps between checkpoints."""
    keep_last: int = 3
    """How many of the newest checkpoints stay."""
    keep_every: int | None = None
    """Checkpoints at multiples of this many meta-steps stay for ever."""
    tensorboard: bool = False
    """Also write TensorBoard event files (pip install 'metajax[tensorboard]')."""
    compilation_cache: str = DEFAULT_CACHE
    """Folder where compiled programs are kept for the next run, or `off`."""
    progress: bool = True
    """Show progress bars."""


def parse_train(
    system: System, preset: str | None, rest: list[str]
) -> tuple[Any, RunOptions, Path]:
    """Parse what follows ``metajax train SYSTEM [--preset NAME]``; exits as argparse does.

    Returns the config, the options and the workdir.

    Raises:
      ConfigError: an unknown preset, or a config that is refused.
    """
    names = list(system.presets)
    name = one_of("preset", preset or names[0], names)
    default = system.presets[name]

    flat = tyro.conf.arg(name="")
    arguments = dataclasses.make_dataclass(
        "Arguments",
        [
            ("options", Annotated[RunOptions, flat], RunOptions()),
            ("config", Annotated[system.config, flat], default),
        ],
        frozen=True,
    )
    description = (
        f"{system.summary}. Presets: {', '.join(names)}; the defaults below are those of "
        f"{name!r} (--preset NAME shows another's)."
    )
    parsed: Any = tyro.cli(
        arguments,
        args=rest,
        prog=f"metajax train {system.name}",
        description=description,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    for field, value in (
        ("log_every", parsed.options.log_every),
        ("checkpoint_every", parsed.options.checkpoint_every),
        ("keep_last", parsed.options.keep_last),
    ):
        if value < 1:
            raise ConfigError(field, value, "a whole number of 1 or more")
    options = parsed.options
    by_default = run_folder(system, name, parsed.config, options.on_nonfinite)
    if options.data_dir is not None:
        options = dataclasses.replace(options, data_dir=local_path(options.data_dir, "data_dir"))
    return parsed.config, options, as_path(options.workdir or by_default)


def parse_evaluation(system: System, config: Any, rest: list[str]) -> Any:
    """Parse the fields that follow ``metajax eval WORKDIR``; exits as argparse does.

    Returns the run's config with these fields changed.

    Raises:
      ConfigError: a field that does not concern the evaluation alone, or a value that is rejected.
    """
    for word in rest:
        if word.startswith("--"):
            name = word[2:].partition("=")[0].replace("-", "_")
            one_of(f"evaluation field of {system.name}", name, system.evaluation)
    flat: Any = Annotated[system.config, tyro.conf.arg(name="")]
    return tyro.cli(
        flat,
        args=rest,
        default=config,
        prog="metajax eval WORKDIR",
        config=(tyro.conf.OmitArgPrefixes,),
    )
