"""A trained folder, loaded to be used."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array, Key

from metajax.core import ConfigError, MetaLearner, Params, check_type, kind
from metajax.systems.base import Method, System
from metajax.systems.configs import split
from metajax.systems.runs import read_run
from metajax.systems.scores import interval
from metajax.systems.setup import algorithm_of, build, make_method, untrained_params
from metajax.train import as_path, restore_params
from metajax.using import Adapted, scores, usual_key


@dataclass(frozen=True, repr=False)
class Run:
    """A trained folder, ready to be used; :func:`load` makes it.

    Attributes:
      workdir: the folder.
      config: what it was trained with: all settings by name.
      method: its method, whose ``learner`` is :attr:`learner`.
      params: what was trained, on the default device.
      step: meta-steps that it was trained for; 0 of what is not trained.
      data_dir: folder of the data sets, which :meth:`evaluate` may read.
    """

    workdir: Any
    config: Any
    method: Method
    params: Params
    step: int
    data_dir: Path | None = None

    def __repr__(self) -> str:
        name, method = self.system.name, self.config.method
        return f"Run({self.workdir}: {name} by {method}, step {self.step})"

    @property
    def system(self) -> System:
        """The family that it is of."""
        return self.config.system

    @property
    def settings(self) -> Any:
        """The settings of the problem."""
        return split(self.config).settings

    @property
    def training(self) -> Any:
        """The settings of training."""
        return split(self.config).training

    @property
    def options(self) -> dict[str, Any]:
        """The options of the method, by name."""
        return split(self.config).options

    @property
    def learner(self) -> MetaLearner:
        """The learner that uses :attr:`params`, with ``adapt``, ``predict`` and ``loss``.

        Raises:
          ConfigError: the method is no meta-learner.
        """
        if self.method.learner is None:
            raise ConfigError("method", self.config.method, "one that has a learner")
        return self.method.learner

    def adapt(
        self, support: Any, *, steps: int | None = None, key: Key[Array, ""] | None = None
    ) -> Adapted:
        """Adapt to data of your own.

        Args:
          support: few examples in the form of the family, see ``docs/using.md``: a pair of images
            or rows and their labels, of any kind; points of a curve; a motion; a PDE.
          steps: steps of adapting, of a learner that takes steps; None: the family's usual number.
          key: for what adapting draws; ``jax.random.key(0)`` by default.

        Returns:
          What has adapted: its ``predict(inputs)`` answers.

        Raises:
          ConfigError: the support is not what the run can learn from; the error says by name what
            is wrong with it, and what was expected.
        """
        use = self.system.use_for(self.config)
        if use is None:
            expected = "a family that predicts from your own data; run.learner takes its own arrays"
            raise ConfigError("system", self.system.name, expected)
        key = usual_key(key)
        if use.adapt is None:
            raise ConfigError("support", kind(support), "none: run.ready() predicts without")
        return use.adapt(self, support, key, steps)

    def ready(self, task: int | None = None) -> Adapted:
        """Return what predicts by what training taught, without a support.

        Args:
          task: which of the tasks of training, from 0; None: it is inferred for each query.

        Returns:
          What predicts: its ``predict(inputs)`` answers.

        Raises:
          ConfigError: the family adapts to a support, or there is no such task.
        """
        use = self.system.use_for(self.config)
        ready = None if use is None else use.ready
        if ready is None:
            expected = "a family whose tasks are learned in training; others have run.adapt"
            raise ConfigError("system", self.system.name, expected)
        return ready(self, task)

    def predict(self, adapted: Adapted, inputs: Any) -> Any:
        """Answer queries with what has adapted: ``adapted.predict(inputs)``.

        Args:
          adapted: from :meth:`adapt` or :meth:`ready`.
          inputs: queries, in the form that the support's inputs had.

        Raises:
          ConfigError: see :meth:`Adapted.predict`.
        """
        check_type("adapted", adapted, Adapted)
        return adapted.predict(inputs)

    def evaluate(
        self, tasks: Any = None, num: int = 100, key: Key[Array, ""] | None = None
    ) -> dict[str, Any]:
        """Score the run.

        Args:
          tasks: a task distribution of the learner's own arrays, or a list of such tasks; None: the
            family's evaluation, on tasks that training never drew.
          num: how many are drawn of a distribution.
          key: they are drawn with; ``jax.random.key(0)`` by default.

        Returns:
          For ``tasks`` the learner's loss and metrics, an :class:`Interval` each; without, what
          ``eval.json`` holds.

        Raises:
          ConfigError: the tasks do not fit the learner.
          MissingDataError: a data set of the family's evaluation is not on disk.
        """
        if tasks is None:
            return build(self.config, self.data_dir).evaluate(self.params, False)
        found = scores(self.learner, self.params, tasks, num, key)
        return {
            name: interval(values.astype(float).reshape(len(values), -1))
            for name, values in found.items()
        }

    def export(
        self,
        path: str | os.PathLike,
        support: Any,
        *,
        steps: int | None = None,
        key: Key[Array, ""] | None = None,
    ) -> Path:
        """Adapt, and write the result as one file that needs jax alone: :meth:`Adapted.export`.

        Args:
          path: of the new file.
          support: as :meth:`adapt` takes it.
          steps: likewise.
          key: likewise.

        Returns:
          The path.
        """
        return self.adapt(support, steps=steps, key=key).export(path)


def load(workdir: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> Run:
    """Load a folder that ``metajax train`` has written, to use what was trained.

    The newest good checkpoint is read onto one device, whatever devices it was trained on. The
    data set of the training need not be on this machine.

    Args:
      workdir: the folder, here or in a store.
      data_dir: folder of the data sets, for :meth:`Run.evaluate`.

    Returns:
      The run: ``run.adapt(support)``, ``run.learner``, ``run.params``, ``run.config``.

    Raises:
      WorkdirError: the folder does not describe a run; the error describes what it is.
      CheckpointError: it holds no good checkpoint.
      ConfigError: its config is not one of the system's.

    Examples:
      >>> import metajax as mj
      >>> run = mj.load("runs/gpicl-digits-0")  # doctest: +SKIP
      >>> adapted = run.adapt((images, labels))  # doctest: +SKIP
      >>> adapted.predict(new_images).probabilities  # doctest: +SKIP
    """
    path, folder = as_path(workdir), None if data_dir is None else Path(data_dir)
    system, config, _ = read_run(path)
    settings, training, _ = split(config)
    use = system.use_for(config)
    if use is None or use.problem is None:
        problem = system.problem(settings, training, folder)
    else:
        problem = use.problem(settings)
    method, key = make_method(config, problem), jax.random.key(config.seed)
    algorithm = algorithm_of(method, problem.example_tasks)
    if method.algorithm is not None:
        params, step = restore_params(path, algorithm, problem.example_tasks, key)
    else:
        params, step = untrained_params(algorithm, problem.example_tasks, config.seed), 0
    return Run(path, config, method, params, step, folder)
