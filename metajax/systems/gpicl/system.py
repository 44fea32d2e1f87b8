"""GPICL wired to the shared loop, the command line and its report."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax
from tqdm.auto import tqdm

from metajax.core import (
    Algorithm,
    ConfigError,
    Evaluator,
    HostFed,
    apart_from_surroundings,
    count,
    gradient,
)
from metajax.data import (
    ImagePool,
    MissingDataError,
    device_pool,
    host_batches,
    is_known,
    load_images,
    noise_pool,
    open_set,
    pool_statistics,
    set_splits,
)
from metajax.systems.base import Objective, Run, System
from metajax.systems.gpicl.config import NOT_TRAINED, PRESETS, Config
from metajax.systems.gpicl.evaluate import (
    accuracy_by_position,
    correct_by_position,
    state_size,
    summarise,
)
from metajax.systems.gpicl.learner import SequenceLearner
from metajax.systems.gpicl.network import make_learner
from metajax.systems.gpicl.report import figures, table
from metajax.systems.gpicl.tasks import (
    HostFedTasks,
    ProjectionTasks,
    projection_tasks,
    unseen,
    without_curriculum,
)

log = logging.getLogger("metajax")

TASK_KEY = 2212_04458
"""Seed of the tasks themselves: task 7 is the same task in every run, whatever its seed."""


def make_optimizer(config: Config) -> optax.GradientTransformation:
    """Adam with the config's schedule, epsilon and clipping."""
    warm = config.warmup_steps
    if config.schedule == "cosine":
        rise = optax.linear_schedule(0.0, config.learning_rate, warm)
        fall = optax.cosine_decay_schedule(config.learning_rate, config.steps - warm)
        rate: Any = optax.join_schedules([rise, fall], [warm])
    elif warm:
        rate = optax.linear_schedule(0.0, config.learning_rate, warm)
    else:
        rate = config.learning_rate
    adam = optax.adam(rate, eps=config.adam_epsilon)
    if config.clip_norm is None:
        return adam
    return optax.chain(optax.clip_by_global_norm(config.clip_norm), adam)


def make_algorithm(config: Config, learner: SequenceLearner) -> Algorithm:
    """Gradient descent on the learner's loss, as the config sets it."""
    return gradient(
        learner.meta,
        make_optimizer(config),
        tasks_at_once=config.tasks_per_step // config.microbatches,
        compute_dtype=jnp.bfloat16 if config.compute_dtype == "bfloat16" else None,
    )


@contextlib.contextmanager
def splits_by(field: str) -> Iterator[None]:
    """Name the setting that a split came from, where the set does not have it."""
    try:
        yield
    except ConfigError as error:
        if error.field != "split":
            raise
        raise ConfigError(field, error.value, error.expected) from error


def load_pool(config: Config, name: str, split: str, data_dir: Path | None) -> ImagePool:
    """Load a set's split onto the device at the config's image size and channels."""
    size = (config.image_size, config.image_size)
    if name == "random":
        return noise_pool(jax.random.key(TASK_KEY), config.ways, size, config.channels)
    image_set = load_images(name, split, data_dir)
    return device_pool(image_set, size=size, channels=config.channels)


def other_pool(config: Config, name: str, data_dir: Path | None) -> tuple[ImagePool, str | None]:
    """Load a set that a run was not trained on, and say which split of it.

    That is the config's ``test_split`` or, in a set that does not have it, all that it has.

    Raises:
      MissingDataError: the set is not on disk.
      ConfigError: it has fewer classes than the config's ways.
    """
    split = config.test_split
    if name == "random":
        return load_pool(config, name, split, data_dir), None
    try:
        pool = load_pool(config, name, split, data_dir)
    except ConfigError as error:
        if error.field != "split":
            raise
        split = "+".join(set_splits(name, data_dir))
        pool = load_pool(config, name, split, data_dir)
    if pool.num_classes < config.ways:
        raise ConfigError("ways", config.ways, f"at most {pool.num_classes}, the classes of {name}")
    return pool, split


def statistics_pool(config: Config, data_dir: Path | None) -> ImagePool:
    """A pool for host-fed tasks: the base set's statistics, and noise in place of its images."""
    size = (config.image_size, config.image_size)
    classes = open_set(config.base_set, config.train_split, data_dir).num_classes
    mean, std = pool_statistics(
        config.base_set, config.train_split, size=size, channels=config.channels, data_dir=data_dir
    )
    noise = noise_pool(jax.random.key(TASK_KEY), classes, size, config.channels)
    return dataclasses.replace(noise, mean=jnp.float32(mean), std=jnp.float32(std))


def make_tasks(config: Config, pool: ImagePool) -> ProjectionTasks:
    """The config's training tasks over ``pool``."""
    return projection_tasks(
        pool,
        jax.random.key(TASK_KEY),
        num_tasks=config.num_tasks,
        length=config.examples,
        ways=config.ways,
        sequences=config.sequences_per_task,
        bias=config.bias_fraction,
        min_ways=config.min_ways,
    )


def build(config: Config, data_dir: Path | None = None) -> Run:
    """Make a config into what the shared loop runs.

    Raises:
      MissingDataError: the base set is not on disk.
      ConfigError: the config does not fit the base set, or ``other_sets`` has a name that no set
        has; those that are merely not on this machine are left out of the evaluation.
    """
    for name in config.other_sets:
        if name != "random" and not is_known(name, data_dir):
            raise ConfigError("other_sets", name, "random or a set: see `metajax data list`")
    learner = make_learner(config)
    algorithm = make_algorithm(config, learner)
    with splits_by("train_split"):
        if config.host_fed:
            train_pool = statistics_pool(config, data_dir)
        else:
            train_pool = load_pool(config, config.base_set, config.train_split, data_dir)
    with splits_by("test_split"):
        test_pool = load_pool(config, config.base_set, config.test_split, data_dir)
    train_tasks = make_tasks(config, train_pool)
    tasks: Any = train_tasks
    if config.host_fed:
        if config.ways != train_pool.num_classes:
            raise ConfigError(
                "ways", config.ways, f"{train_pool.num_classes}, all classes, where host_fed is on"
            )
        batches = host_batches(
            config.base_set,
            config.train_split,
            tasks_per_step=config.tasks_per_step,
            examples_per_task=(config.sequences_per_task, config.examples),
            size=(config.image_size, config.image_size),
            channels=config.channels,
            seed=config.seed,
            data_dir=data_dir,
        )
        tasks = HostFed(batches, HostFedTasks(train_tasks))

    kinds = {
        "seen": without_curriculum(dataclasses.replace(train_tasks, pool=test_pool)),
        "unseen": unseen(dataclasses.replace(train_tasks, pool=test_pool)),
    }
    kinds["identity"] = dataclasses.replace(kinds["unseen"], identity=True)

    def measure(kind: str, num: int) -> Evaluator:
        def function(params, key):
            correct = correct_by_position(learner, params, kinds[kind], key, num)
            summary = summarise(correct)
            return {name: summary[name] for name in ("gain", "gain_ci95", "last")}

        return Evaluator(kind, config.eval_every, function)

    def evaluate(params, progress: bool = True) -> dict[str, Any]:
        key = jax.random.key(TASK_KEY + 1)
        num = config.eval_tasks
        baselines: dict[str, SequenceLearner] = {
            name: make_learner(dataclasses.replace(config, learner=name, width=128))
            for name in NOT_TRAINED
            if name != config.learner
        }
        bar = tqdm(
            total=len(kinds) + len(baselines) + len(config.other_sets),
            unit="set",
            desc="evaluating",
            disable=not progress,
            dynamic_ncols=True,
        )

        def score(learner, params, tasks) -> dict[str, Any]:
            scored = accuracy_by_position(learner, params, tasks, key, num)
            bar.update()
            return scored

        @functools.partial(jax.jit, static_argnums=0)
        def initial(learner, tasks):
            return learner.meta.init(key, tasks(key))

        result: dict[str, Any] = {
            "learner": config.learner,
            "base_set": config.base_set,
            "ways": config.ways,
            "num_tasks": config.num_tasks,
            "chance": 1 / config.ways,
            "parameters": count(params),
            "state_size": state_size(learner, params, train_tasks),
        }
        for kind, tasks in kinds.items():
            result[kind] = score(learner, params, tasks)
        # the same key: the very same sequences, of unseen tasks
        result["baselines"] = {
            name: score(other, initial(other, kinds["unseen"]), kinds["unseen"])
            for name, other in baselines.items()
        }
        result["other_sets"], result["left_out"] = {}, {}
        for name in config.other_sets:
            try:
                pool, split = other_pool(config, name, data_dir)
                tasks = dataclasses.replace(kinds["unseen"], pool=pool)
            except (MissingDataError, ConfigError) as error:
                log.warning("%s is left out: %s", name, error)
                missing = isinstance(error, MissingDataError)
                result["other_sets"][name] = None
                result["left_out"][name] = "not on disk" if missing else str(error)
                bar.update()
                continue
            result["other_sets"][name] = {
                **score(learner, params, tasks),
                "split": split,
                "baselines": {
                    "nearest_neighbour": accuracy_by_position(
                        baselines["nearest_neighbour"], {}, tasks, key, num
                    )
                }
                if "nearest_neighbour" in baselines
                else {},
            }
        bar.close()
        return result

    return Run(
        algorithm=algorithm,
        tasks=tasks,
        tasks_per_step=config.tasks_per_step,
        steps=0 if config.learner in NOT_TRAINED else config.steps,
        example_tasks=train_tasks,
        evaluators=(measure("unseen", config.eval_tasks), measure("seen", config.eval_tasks)),
        evaluate=apart_from_surroundings(evaluate),
    )


def tied_to_steps(config: Config) -> str:
    """Name the schedule that ends with the last step."""
    ends = config.schedule == "cosine" and config.learner not in NOT_TRAINED
    return "schedule=cosine" if ends else ""


SYSTEM = System(
    name="gpicl",
    summary="Transformers meta-trained as general-purpose in-context learners",
    config=Config,
    presets=PRESETS,
    build=build,
    table=table,
    figures=figures,
    objective=lambda config: Objective("unseen.last", greatest=True, logged="unseen/last"),
    algorithm=lambda config: make_algorithm(config, make_learner(config)),
    traced=("learning_rate", "adam_epsilon", "clip_norm", "label_scale", "inner_lr"),
    of_tasks=("num_tasks", "bias_fraction", "min_ways"),
    evaluation=("eval_every", "eval_tasks", "test_split", "other_sets"),
    tied_to_steps=tied_to_steps,
)
"""What the command line and a sweep know of this system."""
