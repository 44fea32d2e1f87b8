"""The command line's arguments, made from each system's config."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import docstring_parser
import tyro

from metajax.cli.cache import DEFAULT_CACHE
from metajax.cli.folders import run_folder
from metajax.cli.presets import wrapped
from metajax.core import ConfigError, Count, check_values, local_path, one_of
from metajax.systems import (
    System,
    config_type,
    configure,
    methods_with,
    options_type,
    replace,
    split,
    summary,
)
from metajax.train import as_path


@dataclass(frozen=True)
class RunOptions:
    """Where and how to run. Only `on-nonfinite` changes what is computed."""

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
    """HOST:PORT of the first process, where --distributed cannot find it; with the two below."""
    processes: int | None = None
    """Number of processes."""
    process: int | None = None
    """Number of this process, from 0."""
    on_nonfinite: Literal["stop", "skip"] = "stop"
    """When a loss or gradient is not finite: stop with the last good checkpoint kept, or leave
    that step out and continue."""
    on_changed: Literal["raise", "restart", "ignore"] = "raise"
    """When the workdir holds a run of other settings or another program, finished or not: raise;
    restart moves it to WORKDIR/previous and trains from step 0; ignore resumes it anyway if
    its settings are the same."""
    log_every: Count = 100
    """Meta-steps averaged into one row of metrics.jsonl."""
    checkpoint_every: Count = 500
    """Meta-steps between checkpoints."""
    keep_last: Count = 3
    """Number of newest checkpoints to keep."""
    keep_every: int | None = None
    """Checkpoints at multiples of this many meta-steps are never deleted."""
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
      ConfigError: an unknown preset or method, an older word, or settings that are rejected.
    """
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument("--method")
    method = chosen.parse_known_args(rest)[0].method
    name = system.preset_for(method, preset)
    default = configure(system, name, method)
    check_words(system, default, rest)
    kind = default.system
    others = ""
    if system.kinds:
        others = f" `metajax methods {system.name}` lists those of its other problems, and "
        others += "`metajax list` their presets."
    said = (
        f"{kind.summary}.",
        f"Presets: {', '.join(kind.presets)}. The defaults below are those of {name!r}; --preset "
        "NAME shows another's.",
        f"Methods: {', '.join(kind.methods)}. The options below are those of "
        f"{default.method!r}; --method NAME shows another's.{others}",
        f"{default.method}: {summary(system.methods[default.method])}",
    )
    # tyro joins lines that do not start with a blank, and breaks none
    description = "\n\n".join(wrapped(text, "  ").lstrip() for text in said)
    parsed: Any = tyro.cli(
        dataclasses.make_dataclass("Arguments", _arguments(system, default), frozen=True),
        args=rest,
        prog=f"metajax train {system.name}",
        description=description,
        config=(tyro.conf.OmitArgPrefixes,),
    )
    config = _config(system, default, parsed)
    options = RunOptions(**vars(parsed.run))
    check_values(typing.get_type_hints(RunOptions, include_extras=True), vars(options))
    by_default = run_folder(system, name, config, options.on_nonfinite)
    if options.data_dir is not None:
        options = dataclasses.replace(options, data_dir=local_path(options.data_dir, "data_dir"))
    return config, options, as_path(options.workdir or by_default)


def _arguments(system: System, default: Any) -> list[Any]:
    """The command line's arguments in groups, by the names of their fields, as they are now."""
    parts = split(default)
    options: Any = options_type(system.methods[default.method])
    named = tyro.conf.arg(help="How to meta-learn; the methods are listed above.")
    return [
        ("method", Annotated[str, named], default.method),
        *(
            (name, type(values), values)
            for name, values in (
                ("run", _unbroken(RunOptions())),
                ("problem", _unbroken(parts.settings)),
                ("training", _unbroken(parts.training)),
                (default.method, _unbroken(options(**parts.options))),
            )
        ),
    ]


def _unbroken(values: Any) -> Any:
    """Return the same fields, explained by text without line breaks, which tyro would keep."""
    cls: Any = type(values)
    given = {field.name: getattr(values, field.name) for field in dataclasses.fields(cls)}
    return _explained(cls)(**given)


@functools.cache
def _explained(cls: Any) -> Any:
    """Return a dataclass of the same fields, each with its help text; made of source, once."""
    docs = {
        param.arg_name: " ".join((param.description or "").split())
        for base in reversed(cls.__mro__)
        if dataclasses.is_dataclass(base)
        for param in docstring_parser.parse_from_object(base).params
    }
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [
        (field.name, hints[field.name], dataclasses.field(metadata={"help": docs[field.name]}))
        for field in dataclasses.fields(cls)
    ]
    made = dataclasses.make_dataclass(cls.__name__, fields, frozen=True)
    made.__doc__ = (cls.__doc__ or "").partition("\n\n")[0]
    return made


def _config(system: System, default: Any, parsed: Any) -> Any:
    """The config of parsed settings.

    Raises:
      ConfigError: a value is out of range, or settings do not fit together.
    """
    parts = (parsed.problem, parsed.training, getattr(parsed, default.method))
    return config_type(system, default.method)(
        **{name: value for part in parts for name, value in vars(part).items()}
    )


def check_words(system: System, config: Any, rest: list[str]) -> None:
    """Answer older words, and options of other methods, by name.

    Raises:
      ConfigError: there is one.
    """
    known = {field.name for field in dataclasses.fields(config)}
    for word, following in zip(rest, [*rest, ""][1:], strict=True):
        option, _, value = word.partition("=")
        name = option[2:].replace("-", "_")
        name = name if name in known else name.removeprefix("no_")
        if not word.startswith("--") or name in known:
            continue
        given = value or ("" if following.startswith("--") else following)
        if name in system.renamed:
            now = system.renamed[name].replace("_", "-")
            raise ConfigError(option, given, f"--{now} instead, its name now")
        having = methods_with(system, name)
        if having:
            raise ConfigError(
                option,
                given,
                f"options of {config.method} (--help lists them); this one belongs to "
                f"--method {' or '.join(having)}",
            )


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
    changed: Any = tyro.cli(
        type(config),
        args=rest,
        default=config,
        prog="metajax eval WORKDIR",
        config=(tyro.conf.OmitArgPrefixes,),
    )
    return replace(config, **{name: getattr(changed, name) for name in system.evaluation})
