"""Training in stages, each of which makes its network from that of the stage before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key, PyTree

from metajax.core import Algorithm, ConfigError, GradientState, MetaLearner, Params, gradient
from metajax.learners.stages import at_number, stage_of

MakeOptimizer = Callable[[int], optax.GradientTransformation]
"""``make_optimizer(updates)``: an optimizer whose schedule is over so many updates."""

Change = Callable[[GradientState, GradientState, Key[Array, ""]], GradientState]
"""``change(before, own, key) -> state``, see :class:`GrowthStage`."""


class GrowthStage(NamedTuple):
    """A stage of :func:`in_growing_stages`.

    Attributes:
      learner: whose loss is descended; or ``learner(done) -> MetaLearner``, after so many updates
        of the stage: weights in its loss may follow a schedule.
      optimizer: of the stage's parameters.
      steps: steps of the stage; the last stage has all that are left.
      updates: updates of the parameters in a step, each by its own part of the step's examples.
      change: ``change(before, own, key) -> state``, which makes the first state of the stage of the
        last one of the stage before and of its own as first drawn; None: its own.
      prepare: ``prepare(state, tasks, key, axis_name) -> state``, which completes the first state
        by the tasks of the stage's first step; None: it is complete.
      source: the stage that stands for the one before in ``change``, from 0; None: the one before.
    """

    learner: MetaLearner | Callable[[Int32[Array, ""]], MetaLearner]
    optimizer: optax.GradientTransformation
    steps: int
    updates: int = 1
    change: Change | None = None
    prepare: Callable[[GradientState, PyTree, Key[Array, ""], str | None], GradientState] | None = (
        None
    )
    source: int | None = None

    def learner_after(self, done: Int32[Array, ""]) -> MetaLearner:
        """Return the learner whose loss is descended after some updates of the stage.

        Args:
          done: updates.
        """
        return self.learner if isinstance(self.learner, MetaLearner) else self.learner(done)

    def predict(self, params: Params, inputs: Array) -> Float[Array, "..."]:
        """Return what the stage's learner predicts, where it does not adapt.

        Args:
          params: of the stage.
          inputs: of its network.
        """
        return self.learner_after(jnp.int32(0)).predict(params, (), inputs)


class GrowthState(NamedTuple):
    """State of :func:`in_growing_stages`.

    Attributes:
      stages: of each stage, its parameters and the state of its optimizer.
      done: steps done.
    """

    stages: tuple[GradientState, ...]
    done: Int32[Array, ""]


class GrowthParams(NamedTuple):
    """Parameters of :func:`in_growing_stages`.

    Attributes:
      networks: of each stage; those of later stages are not in use yet.
      stage: the stage that was trained last.
    """

    networks: tuple[Params, ...]
    stage: Int32[Array, ""]


def in_growing_stages(stages: Sequence[GrowthStage]) -> Algorithm:
    """Make the algorithm that trains stages of different networks in one compiled program.

    A step of a small network costs less than one of a large network. So a stage may take several
    updates in a step, and steps of all stages can cost the same. Tasks are
    :class:`~metajax.core.Examples` whose first axis is that of the parts, one for each update; a
    stage with fewer updates uses the first ones.

    Args:
      stages: in order, one or more. Their learners have the same metrics.

    Returns:
      The algorithm, whose parameters are :class:`GrowthParams`. Its metrics are means over the
      updates of a step.

    Raises:
      ConfigError: there is no stage, a stage has no update, a stage but the last has less than 1
        step, or a source is no earlier stage. From ``update``: a stage has more updates than tasks
        have parts.
    """
    if not stages:
        raise ConfigError("stages", stages, "one stage or more")
    for number, stage in enumerate(stages):
        if stage.updates < 1:
            raise ConfigError("updates", stage.updates, "1 update or more in a step")
        if number < len(stages) - 1 and stage.steps < 1:
            raise ConfigError("steps", stage.steps, "1 step or more of each stage")
        if stage.source is not None and not 0 <= stage.source < number:
            raise ConfigError("source", stage.source, f"an earlier stage than {number}")
    lengths = [stage.steps for stage in stages]
    starts = [0, *itertools.accumulate(lengths[:-1])]

    def init(key: Key[Array, ""], task: Any) -> GrowthState:
        part = jax.tree.map(lambda leaf: leaf[0], task)
        states = (
            gradient(stage.learner_after(jnp.int32(0)), stage.optimizer).init(key, part)
            for stage in stages
        )
        return GrowthState(tuple(states), jnp.int32(0))

    def run_stage(
        index: int, state: GrowthState, tasks: PyTree, key: Key[Array, ""], axis_name: str | None
    ) -> tuple[GradientState, dict[str, Any]]:
        stage, own = stages[index], state.stages[index]
        parts = jax.tree.leaves(tasks)[0].shape[1]
        if stage.updates > parts:
            raise ConfigError("updates", stage.updates, f"at most the {parts} parts of a task")
        first = state.done == starts[index]
        if stage.change is not None and index > 0:
            source = index - 1 if stage.source is None else stage.source
            change, before = stage.change, state.stages[source]
            own = jax.lax.cond(first, lambda: change(before, own, key), lambda: own)
        if stage.prepare is not None:
            prepare, given = stage.prepare, own
            own = jax.lax.cond(first, lambda: prepare(given, tasks, key, axis_name), lambda: given)
        done = (state.done - starts[index]) * stage.updates

        def update(own: GradientState, at: tuple[PyTree, Array]) -> Any:
            part, number = at
            algorithm = gradient(stage.learner_after(done + number), stage.optimizer)
            return algorithm.update(own, part, jax.random.fold_in(key, number), axis_name)

        each = jax.tree.map(lambda leaf: jnp.moveaxis(leaf[:, : stage.updates], 1, 0), tasks)
        numbers = jnp.arange(stage.updates, dtype=jnp.int32)
        own, metrics = jax.lax.scan(update, own, (each, numbers))
        return own, jax.tree.map(lambda leaf: jnp.mean(leaf, axis=0), metrics)

    def update(
        state: GrowthState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[GrowthState, dict[str, Any]]:
        def branch(index: int) -> Callable[[], Any]:
            def run() -> Any:
                own, metrics = run_stage(index, state, tasks, key, axis_name)
                return (*state.stages[:index], own, *state.stages[index + 1 :]), metrics

            return run

        branches = [branch(index) for index in range(len(stages))]
        states, metrics = jax.lax.switch(stage_of(state.done, lengths), branches)
        return GrowthState(states, state.done + 1), metrics

    def params(state: GrowthState) -> GrowthParams:
        last = stage_of(jnp.maximum(state.done - 1, 0), lengths)
        return GrowthParams(tuple(stage.params for stage in state.stages), last)

    return Algorithm(init, update, params, at=at_number)


def predict_in_use(
    stages: Sequence[GrowthStage], params: GrowthParams, inputs: Array
) -> Float[Array, "..."]:
    """Return what the network predicts that was trained last, of learners that do not adapt.

    Args:
      stages: of the training; the predictions of all have the same shape.
      params: what :func:`in_growing_stages` has trained.
      inputs: of the network.
    """

    def branch(index: int) -> Callable[[], Array]:
        return lambda: stages[index].predict(params.networks[index], inputs)

    return jax.lax.switch(params.stage, [branch(index) for index in range(len(stages))])


def with_params(make: Callable[[Params, Params, Key[Array, ""]], Params]) -> Change:
    """Return a change between stages that makes parameters alone: the optimizer starts again.

    Args:
      make: ``make(before, own, key) -> params``, of the parameters at the end of the stage before
        and of the stage's own as first drawn.
    """

    def change(before: GradientState, own: GradientState, key: Key[Array, ""]) -> GradientState:
        return own._replace(params=make(before.params, own.params, key))

    return change


def handed_over(name: str | None = None) -> Change:
    """Return a change between stages that takes over parameters; the optimizer starts again.

    Args:
      name: of the entry of the stage's own parameters, a dictionary, that those of the stage before
        become; None: they become all of them.
    """

    def hand_over(before: Params, own: Any, key: Key[Array, ""]) -> Params:
        return before if name is None else {**own, name: before}

    return with_params(hand_over)


def even_parts(total: int, parts: int) -> list[int]:
    """Return parts of some steps, or of anything that is counted, as equal as can be.

    Args:
      total: of all parts together.
      parts: how many there are.

    Examples:
      >>> from metajax.learners import even_parts
      >>> even_parts(8, 3)
      [2, 3, 3]
    """
    ends = (total * index // parts for index in range(parts + 1))
    return [end - start for start, end in itertools.pairwise(ends)]
