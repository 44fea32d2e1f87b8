"""Accuracy by number of examples seen: sequences are drawn, scored and summarized."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import Examples, MetaLearner, Params, correct
from metajax.learners import SequenceLearner, whole_sequence
from metajax.systems.gpicl.tasks import ProjectionTasks
from metajax.systems.scores import mean_half_width, share_half_width

LAST = 10
"""Positions averaged into the figure "at the end of the sequence"."""
AT_ONCE = 64
"""Sequences that are drawn and scored by one call of a program."""


@jax.jit
def sample_sequences(tasks: ProjectionTasks, keys: Key[Array, " num"]) -> Examples:
    """Draw a sequence for each key, each of a task of its own: ``[num, 1, length, features]``."""
    tasks = dataclasses.replace(tasks, sequences=1)
    return jax.vmap(lambda key: whole_sequence(tasks(key)))(keys)


@functools.partial(jax.jit, static_argnames="learner")
def score_sequences(
    learner: SequenceLearner, params: Params, sequences: Examples, keys: Key[Array, " num"]
) -> Float[Array, "num length"]:
    """Return 1 for each of a learner's predictions that is right, by sequence and position.

    0 where it is wrong, and NaN where the outputs are not finite.
    """

    def one(examples: Examples, key: Key[Array, ""]) -> Float[Array, " length"]:
        return correct(learner.logits(params, examples, key), examples.targets)[0]

    return jax.vmap(one)(sequences, keys)


def correct_by_position(
    learner: SequenceLearner,
    params: Params,
    tasks: ProjectionTasks,
    key: Key[Array, ""],
    num: int,
) -> Float[np.ndarray, "num length"]:
    """Draw ``num`` sequences, each of a task of its own, and score them: :func:`score_sequences`.

    Sampling and scoring are two programs of ``AT_ONCE`` sequences: the same learner is scored on
    any number of sequences from any number of pools without compiling it again.
    """
    keys, size = jax.random.split(key, num), min(num, AT_ONCE)
    found = []
    for first in range(0, num, size):
        start = min(first, num - size)  # the last ones overlap those before
        some = jax.lax.dynamic_slice_in_dim(keys, start, size)
        scored = score_sequences(learner, params, sample_sequences(tasks, some), some)
        found.append((scored, first - start))
    return np.concatenate([np.asarray(scored)[known:] for scored, known in found])


def half_width(right: Float[np.ndarray, "num *positions"]) -> Float[np.ndarray, "*positions"]:
    """Return the half-width of the 95% interval of the mean over the first axis.

    The proportion is first moved as if two more successes and two more failures had been seen
    (Agresti and Coull 1998), so that a perfect score is not claimed to be certain.
    """
    num = right.shape[0] + 4
    proportion = (right.sum(0) + 2) / num
    return share_half_width(proportion, num)


def summarize(right: Float[np.ndarray, "num length"]) -> dict[str, Any]:
    """Return accuracy by position, and the gain from the first to the last ten, with intervals.

    ``accuracy[i]`` is the share of right predictions after ``i`` examples; ``ci95`` holds the
    half-widths of its 95% intervals. ``gain`` is the mean of the last ten positions minus the
    first, its interval from the spread over sequences (each of another task). A figure behind which
    one prediction is NaN is NaN.
    """
    right = np.asarray(right, float)
    last = min(LAST, right.shape[1] - 1)
    gains = right[:, -last:].mean(axis=1) - right[:, 0]
    return {
        "accuracy": [round(float(a), 5) for a in right.mean(0)],
        "ci95": [round(float(h), 5) for h in half_width(right)],
        "last": round(float(right[:, -last:].mean()), 5),
        "gain": round(float(gains.mean()), 5),
        "gain_ci95": round(float(mean_half_width(gains)), 5),
        "n": len(gains),
    }


def accuracy_by_position(
    learner: SequenceLearner,
    params: Params,
    tasks: ProjectionTasks,
    key: Key[Array, ""],
    num: int,
) -> dict[str, Any]:
    """Score ``learner`` on ``num`` sequences of ``tasks``; see :func:`summarize`.

    Args:
      learner: of sequences.
      params: meta-trained.
      tasks: to draw from.
      key: of the draws.
      num: sequences.

    Returns:
      Accuracies and half-widths of their 95% intervals by position, and the gain.
    """
    return summarize(correct_by_position(learner, params, tasks, key, num))


def state_size(learner: MetaLearner, params: Params, tasks: ProjectionTasks) -> int:
    """Return how many numbers a learner keeps of one sequence after all but its last example.

    For a Transformer that is its key-value cache, the slots of the last example included.
    """
    key = jax.random.key(0)
    single = dataclasses.replace(tasks, sequences=1)
    adapted = jax.eval_shape(
        lambda params, tasks: learner.adapt(params, tasks(key).support, key), params, single
    )
    floats = [x for x in jax.tree.leaves(adapted) if jnp.issubdtype(x.dtype, jnp.inexact)]
    return sum(int(np.prod(leaf.shape)) for leaf in floats)
