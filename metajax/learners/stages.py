"""Meta-training in stages: first one loss and some of the parameters, then others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int32, Key, PyTree

from metajax.core import Algorithm, ConfigError, GradientState, MetaLearner, Params, gradient


class Stage(NamedTuple):
    """A stage of meta-training.

    Attributes:
      learner: whose loss is descended.
      steps: meta-steps of the stage; the last stage has all that are left.
      trained: ``trained(params) -> params``: True for each parameter that moves in this stage; or
        names of entries, as for :func:`moving_only`.
      finish: ``finish(params) -> params``, called once after the stage's last step; None: nothing.
    """

    learner: MetaLearner
    steps: int
    trained: Callable[[Params], PyTree] | Sequence[str]
    finish: Callable[[Params], Params] | None = None


class StagesState(NamedTuple):
    """State of :func:`in_stages`.

    Attributes:
      params: the meta-parameters.
      opt_states: the optimizer's state in each stage.
      done: meta-steps done.
    """

    params: Params
    opt_states: tuple[Any, ...]
    done: Int32[Array, ""]


def moving_only(
    rule: optax.GradientTransformation, moves: Callable[[Params], PyTree] | Sequence[str]
) -> optax.GradientTransformation:
    """Return an optimizer of some parameters, which leaves the others bit for bit.

    Args:
      rule: of those that move.
      moves: ``moves(params) -> params``: True for each parameter that moves, or for a whole
        subtree; or the names of the entries that move, of parameters that are a dictionary.
    """

    def labels(params: Params) -> PyTree:
        moved = moves(params) if callable(moves) else {name: name in moves for name in params}
        return jax.tree.map(lambda each: "moves" if each else "stays", moved)

    return optax.partition({"moves": rule, "stays": optax.set_to_zero()}, labels)


def stage_of(steps: Int32[Array, ""], lengths: Sequence[int]) -> Int32[Array, ""]:
    """Return the stage of a step: the last one has all that are left.

    Args:
      steps: done before.
      lengths: steps of each stage.
    """
    over = jnp.cumsum(jnp.asarray(lengths[:-1], jnp.int32), dtype=jnp.int32) <= steps
    return jnp.sum(over, dtype=jnp.int32)


def stage_lengths(steps: int, shares: Iterable[float]) -> tuple[int, ...]:
    """Divide steps among stages; each but the last has one step or more.

    Args:
      steps: of all stages.
      shares: of the steps that each stage before the last has.

    Returns:
      The steps of each stage. Where the shares leave none to the last, its number is below 1.

    Examples:
      >>> from metajax import learners
      >>> learners.stage_lengths(100, (0.2, 0.5)), learners.stage_lengths(3, (0.1, 0.1))
      ((20, 50, 30), (1, 1, 1))
    """
    lengths = [max(round(share * steps), 1) for share in shares]
    return *lengths, steps - sum(lengths)


def check_each(field: str, values: Sequence[Any], stages: int) -> None:
    """Raise where there is not one value for each stage.

    Args:
      field: what the values are called.
      values: one for each stage.
      stages: how many there are.

    Raises:
      ConfigError: there are more or fewer.
    """
    if len(values) != stages:
        raise ConfigError(field, f"{len(values)} of them", f"one for each of the {stages} stages")


def at_number(state: Any, done: Int32[Array, ""]) -> Any:
    """Return a state with another number of steps done, for ``Algorithm.at``.

    Args:
      state: with ``done``.
      done: steps.
    """
    return state._replace(done=done)


def in_stages(
    stages: Sequence[Stage], optimizer: Callable[[int], optax.GradientTransformation]
) -> Algorithm:
    """Make the algorithm that descends one learner's loss after another.

    All learners have the same ``init``, parameters and metrics. The optimizer starts again in every
    stage. A parameter that a stage does not train keeps its bits, unless ``finish`` sets it.

    Args:
      stages: in order, one or more.
      optimizer: ``optimizer(stage)``, of each stage by its index.

    Returns:
      The algorithm.

    Raises:
      ConfigError: there is no stage, a stage but the last has less than 1 step, or the last one,
        which has no end, has a ``finish``.
    """
    if not stages:
        raise ConfigError("stages", stages, "one stage or more")
    for stage in stages[:-1]:
        if stage.steps < 1:
            raise ConfigError("steps", stage.steps, "1 meta-step or more of each stage")
    if stages[-1].finish is not None:
        raise ConfigError("finish", stages[-1].finish, "None for the last stage: it has no end")

    algorithms = [
        gradient(stage.learner, moving_only(optimizer(index), stage.trained))
        for index, stage in enumerate(stages)
    ]
    lengths = [stage.steps for stage in stages]
    ends = list(itertools.accumulate(lengths))

    def init(key: Key[Array, ""], task: Any) -> StagesState:
        states = [algorithm.init(key, task) for algorithm in algorithms]
        return StagesState(
            states[-1].params, tuple(state.opt_state for state in states), jnp.int32(0)
        )

    def update(
        state: StagesState, tasks: Any, key: Key[Array, ""], axis_name: str | None = None
    ) -> tuple[StagesState, dict[str, Any]]:
        def branch(index: int) -> Callable[[], Any]:
            def run() -> Any:
                before = GradientState(state.params, state.opt_states[index])
                after, metrics = algorithms[index].update(before, tasks, key, axis_name)
                opt_states = list(state.opt_states)
                opt_states[index] = after.opt_state
                params, finish = after.params, stages[index].finish
                if finish is not None:
                    last = state.done + 1 == ends[index]
                    params = jax.lax.cond(last, finish, _as_it_is, params)
                return params, tuple(opt_states), metrics

            return run

        branches = [branch(index) for index in range(len(stages))]
        now = stage_of(state.done, lengths)
        params, opt_states, metrics = jax.lax.switch(now, branches)
        return StagesState(params, opt_states, state.done + 1), metrics

    return Algorithm(init, update, lambda state: state.params, at=at_number)


def _as_it_is(params: Params) -> Params:
    return params
