"""What every family of problems offers to the command line, and how a run of it is set up."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from metajax.core import Algorithm, Evaluator, MetaLearner, Params, one_of
from metajax.systems.scores import Evaluation
from metajax.systems.show import Figure, figures, table
from metajax.systems.standings import said_below
from metajax.systems.training import Training


class Method(NamedTuple):
    """A method for a problem, ready to be meta-trained.

    Attributes:
      algorithm: the meta-training step; None for what is not meta-trained.
      learner: the learner that uses what was trained; None for what is no meta-learner.
      measure: ``measure(params, tasks, key, num) -> scores[num, points]``, for a family whose tasks
        are scored otherwise than by the learner's ``adapt`` and ``predict``, or for what is no
        meta-learner; None: the family scores the learner.
      parts: what else the family's evaluation reads of a method, in a form of the family's own.
      tasks: what it is trained on, of the same shapes as the problem's; None: the problem's.
    """

    algorithm: Algorithm | None
    learner: MetaLearner | None = None
    measure: Callable[..., Any] | None = None
    parts: Any = None
    tasks: Any = None


Entry = Callable[..., Method | MetaLearner]
"""A method in a family's registry: ``entry(problem, training, *, option=default, ...)``.

What it returns of a problem is a learner alone where that is moved down its loss by the settings of
training (:func:`metajax.systems.setup.descended`), and a :class:`Method` where it is anything else.
"""


class Setup(NamedTuple):
    """A run that is set up: what :func:`metajax.train.fit` takes, and how its result is measured.

    Attributes:
      algorithm: the meta-training step; it does nothing where the method is not meta-trained.
      tasks: a task distribution, staged or of a key alone, or host-fed batches.
      tasks_per_step: draws of ``tasks`` for one meta-step.
      steps: meta-steps; 0 for a method that is not meta-trained.
      example_tasks: a device-sampled distribution of the same shapes, to learn the shapes from.
      evaluators: what is measured along the way.
      evaluate: ``evaluate(params, progress) -> dict`` of JSON values, the content of
        ``eval.json``; its ``settings``, the evaluation's, may differ from those in ``config.json``.
      config: what was set up.
      problem: the family's.
      method: the entry of the registry, for this problem.
    """

    algorithm: Algorithm
    tasks: Any
    tasks_per_step: int
    steps: int
    example_tasks: Any
    evaluators: tuple[Evaluator, ...]
    evaluate: Callable[[Params, bool], dict[str, Any]]
    config: Any = None
    problem: Any = None
    method: Method = Method(None)


class Objective(NamedTuple):
    """What a sweep compares runs by.

    Attributes:
      metric: a number of the evaluation, by its path: ``rows.new_tasks.mean[-1]``.
      greatest: whether more is better.
      logged: what rows of ``metrics.jsonl`` hold that foretells it and is better in the same sense,
        ``new_tasks/last``, for schedulers that stop runs early; None: they watch the loss.
      title: what it is called where a person reads it; empty: its path.
    """

    metric: str
    greatest: bool = True
    logged: str | None = None
    title: str = ""

    @property
    def called(self) -> str:
        """Its title, or its path."""
        return self.title or self.metric


class Use(NamedTuple):
    """How a family's trained learners are used on a person's own data.

    Attributes:
      adapt: ``adapt(run, support, key, steps) -> Adapted``; it checks the support by name.
        None: tasks are learned in training, and ``ready`` predicts.
      files: ``files(run, path, target, steps) -> Told``: adapts to what a file or folder holds, and
        answers what it asks. ``target`` names a column of a table.
      problem: ``problem(settings) -> Problem`` of the right shapes without a data set on disk, from
        which the learner is made; None: the family's own reads none.
      ready: ``ready(run, task) -> Adapted``, of a family whose tasks are learned in training, so
        that it predicts without a support; None: it adapts to one.
    """

    adapt: Callable[..., Any] | None
    files: Callable[..., Any]
    problem: Callable[[Any], Any] | None = None
    ready: Callable[..., Any] | None = None


def no_check(config: Any) -> None:
    """Accept all settings: none depends on another.

    Args:
      config: of a run.
    """


@dataclasses.dataclass(frozen=True, eq=False)
class System:
    """A family of problems: its settings, its methods, and how what came out is measured and shown.

    Attributes:
      name: as on the command line.
      summary: one line.
      settings: a frozen dataclass of what the problem is, every field documented, its range in its
        annotation (:mod:`metajax.core.ranges`).
      presets: named settings, the default first: values by field, of the problem, of training and
        of methods' options; ``method`` names the method where it is not the first.
      usual_presets: by method, the preset that is meant where none is named, of methods that do not
        fit the first.
      methods: the registry: each :data:`Entry` by name, the default first. One that does not fit a
        problem raises a ``ConfigError`` that names ``method``.
      problem: ``problem(settings, training, data_dir)`` makes the family's NamedTuple of what its
        methods and its evaluation need: at least ``settings``, what it was made from, some of which
        may be traced later; ``tasks``, what is trained on, a task distribution, staged or not, or
        host-fed batches; and ``example_tasks``, a device-sampled distribution of the same shapes.
      evaluate: ``evaluate(problem, method, params, config, progress) -> Evaluation``.
      evaluators: what is measured along training, by name: ``function(problem, method, params, key)
        -> {figure: value}``.
      figures: ``figures(evaluation, history) -> [Figure]``, of the content of ``eval.json``.
      table: ``table(evaluation) -> str``, what a person reads first, as plain text.
      training: the dataclass of training's settings.
      evaluation: fields that concern evaluation and report alone: they can be changed at any time,
        of a finished run too.
      of_tasks: fields that change no more than the leaves of a run's tasks: runs that differ in
        them and in traced fields alone can be one compiled program.
      alike_in: fields that change neither the problem nor what is measured of given parameters:
        runs of one program that differ in them alone share both, and what is compiled for them.
      check: ``check(config)`` raises where settings do not fit together.
      objective: ``objective(config) -> Objective``, what a sweep compares runs by.
      tied_to_steps: what in the training of some methods depends on ``steps``, by method; of all
        others the schedule may. Empty: nothing, as where nothing is trained.
      renamed: older words of the command line and what they are called now: settings, or the
        ``preset``, which a run's file does not name.
      older_values: of a renamed setting whose values are others now too, what the older ones are,
        by its older word.
      tiny: the smallest settings that every method still does all of its work with, for tests.
      use: how what was trained is used on a person's own data: a :class:`Use`, or ``use(config) ->
        Use``; None, or a ``use`` that returns None: by its learner alone.
      prepare: ``prepare(data_dir) -> folders``, which writes training data of the system other than
        images, for ``metajax data prepare NAME``; None where there is nothing.
      kinds: the systems of one kind of problem each that it unites (:func:`layout.united`), whose
        presets and methods it has; what else it needs of a run is that of the run's own kind,
        ``config.system``. Empty: it is of one kind itself.
    """

    name: str
    summary: str
    settings: Any
    presets: Mapping[str, Mapping[str, Any]]
    methods: Mapping[str, Entry]
    problem: Callable[[Any, Any, Path | None], Any]
    evaluate: Callable[..., Evaluation]
    evaluators: Mapping[str, Callable[..., dict[str, Any]]]
    objective: Callable[[Any], Objective]
    tiny: Mapping[str, Any]
    table: Callable[[dict[str, Any]], str] = table
    figures: Callable[[dict[str, Any], list[dict[str, Any]]], list[Figure]] = figures
    training: Any = Training
    evaluation: tuple[str, ...] = ()
    usual_presets: Mapping[str, str] = dataclasses.field(default_factory=dict)
    of_tasks: tuple[str, ...] = ()
    alike_in: tuple[str, ...] = ()
    check: Callable[[Any], None] = no_check
    tied_to_steps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    older_values: Mapping[str, Mapping[Any, Any]] = dataclasses.field(default_factory=dict)
    use: Use | Callable[[Any], Use | None] | None = None
    prepare: Callable[[Path | None], list[Path]] | None = None
    kinds: tuple[System, ...] = ()

    def kind_of(self, method: str | None) -> System:
        """Return the kind of problem that a method is made for: the system itself if it is of one.

        Args:
          method: by name; None: the first.
        """
        method = method or next(iter(self.methods))
        return next((kind for kind in self.kinds if method in kind.methods), self)

    def use_for(self, config: Any) -> Use | None:
        """Return how a run is used on a person's own data; None: by its learner alone.

        Args:
          config: of the run.
        """
        return self.use(config) if callable(self.use) else self.use

    def said(self, evaluation: dict[str, Any]) -> str:
        """Return the table of an evaluation, and below it that a baseline is better if one is.

        Args:
          evaluation: the content of ``eval.json``.
        """
        lines = (self.table(evaluation), said_below(evaluation))
        return "\n".join(line for line in lines if line)

    def preset_for(self, method: str | None = None, named: str | None = None) -> str:
        """Return the preset that a command means.

        Args:
          method: by name; None: the system's first.
          named: the preset that the command names; None: it names none.

        Raises:
          ConfigError: there is no preset of that name.
        """
        usual = self.usual_presets.get(method or "", next(iter(self.presets)))
        return one_of("preset", named or usual, self.presets)


SYSTEMS = (
    "gpicl",
    "hyperdistill",
    "fewshot",
    "hamiltonian",
    "hypino",
    "tables",
    "continual",
    "domains",
    "federated",
    "shift",
    "growth",
    "weights",
)
"""All systems, each a package of this one; a new one joins by its name here."""


def get_system(name: str) -> System:
    """Return the system called ``name``.

    Args:
      name: as on the command line.

    Raises:
      ConfigError: there is none; the message names the nearest.

    Examples:
      >>> from metajax.systems import get_system
      >>> sorted(get_system("fewshot").presets)[:2]
      ['digits', 'fashion']
      >>> get_system("fewshots")
      Traceback (most recent call last):
          ...
      metajax.core.errors.ConfigError: system = 'fewshots': expected ...
    """
    return importlib.import_module(f"{__package__}.{one_of('system', name, SYSTEMS)}").SYSTEM
