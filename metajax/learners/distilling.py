"""Networks that learn from another network's outputs, and label smoothing, their baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Integer, Key

from metajax.core import Examples, MetaLearner, Network, Params, accuracy, cross_entropy, derive
from metajax.learners.growing import GrowthStage, MakeOptimizer, handed_over
from metajax.learners.idle import not_adapted
from metajax.learners.stages import check_each, moving_only

Weight = float | Float[Array, ""]


def soft_cross_entropy(
    student: Float[Array, "n classes"],
    teacher: Float[Array, "n classes"],
    temperature: Weight = 1.0,
) -> Float[Array, ""]:
    """Return the mean divergence KL(teacher || student); no gradient reaches the teacher.

    It differs from the cross-entropy with soft targets by the teacher's entropy alone, and is 0
    where both agree. It is multiplied by the square of the temperature, so that its gradient keeps
    its size (Hinton et al. 2015, arXiv 1503.02531).

    Args:
      student: logits.
      teacher: logits.
      temperature: both are divided by it.
    """
    mine = jax.nn.log_softmax(student / temperature)
    goal = jax.nn.log_softmax(jax.lax.stop_gradient(teacher) / temperature)
    return temperature**2 * jnp.mean(optax.losses.kl_divergence_with_log_targets(mine, goal))


def smoothed_cross_entropy(
    logits: Float[Array, "n classes"], targets: Integer[Array, " n"], smoothing: Weight
) -> Float[Array, ""]:
    """Return the mean cross-entropy with smoothed labels (Szegedy et al. 2016, arXiv 1512.00567).

    A part of each target is spread evenly over all classes. That is what a teacher teaches that
    knows nothing: with ``smoothing = weight / (1 + weight)`` it is the loss of
    :func:`taught_student` for a uniform teacher, up to a factor and a constant.

    Args:
      logits: outputs of a network.
      targets: classes.
      smoothing: the part that is spread.
    """
    spread = -jnp.mean(jax.nn.log_softmax(logits))
    return (1 - smoothing) * cross_entropy(logits, targets) + smoothing * spread


def smoothed_labels(network: Network, smoothing: Weight = 0.0) -> MetaLearner:
    """Train a classifier by :func:`smoothed_cross_entropy`; with 0 by the plain cross-entropy.

    Args:
      network: inputs to logits.
      smoothing: see :func:`smoothed_cross_entropy`.

    Returns:
      The learner, whose tasks are :class:`~metajax.core.Examples`; it does not adapt.
    """

    def init(key: Key[Array, ""], task: Examples) -> Params:
        return network.init(key, task.inputs)

    def predict(params: Params, adapted: Any, inputs: Array) -> Array:
        return network.apply(params, inputs)

    def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
        logits = network.apply(params, task.inputs)
        metrics = {"accuracy": accuracy(logits, task.targets)}
        return smoothed_cross_entropy(logits, task.targets, smoothing), metrics

    return MetaLearner(init, not_adapted, predict, loss)


def taught_student(
    student: Network, teacher: Network, weight: Weight, temperature: Weight = 1.0
) -> MetaLearner:
    """Train a classifier by labels and by a teacher that stays as it is.

    The loss is the cross-entropy and ``weight`` times :func:`soft_cross_entropy`. The teacher may
    be smaller and worse than the student (Lee et al. 2023, arXiv 2305.18239). No gradient reaches
    it, but weight decay of an optimizer would move it.

    Args:
      student: inputs to logits.
      teacher: inputs to logits.
      weight: of what the teacher says.
      temperature: see :func:`soft_cross_entropy`.

    Returns:
      The learner, whose tasks are :class:`~metajax.core.Examples` and whose parameters are a
      dictionary of ``student`` and ``teacher``; it predicts by the student.
    """

    def predict(params: Params, adapted: Any, inputs: Array) -> Array:
        return student.apply(params["student"], inputs)

    def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
        logits = predict(params, (), task.inputs)
        said = teacher.apply(params["teacher"], task.inputs)
        value = cross_entropy(logits, task.targets)
        value += weight * soft_cross_entropy(logits, said, temperature)
        return value, {"accuracy": accuracy(logits, task.targets)}

    init = _both({"student": student, "teacher": teacher})
    return MetaLearner(init, not_adapted, predict, loss)


def weak_teacher(
    teacher: Network,
    student: Network,
    steps: Sequence[int],
    make_optimizer: MakeOptimizer,
    *,
    updates: int = 1,
    weight: Weight | optax.Schedule = 1.0,
    temperature: Weight = 1.0,
) -> list[GrowthStage]:
    """Train a small network, and then a large one by it (DWT; Lee et al., arXiv 2305.18239).

    Args:
      teacher: inputs to logits; it may be smaller and worse than the student.
      student: inputs to logits.
      steps: of the two stages.
      make_optimizer: of each stage, by its updates.
      updates: of the teacher in each step of its stage.
      weight: of what the teacher says, or a schedule over the student's updates.
      temperature: see :func:`soft_cross_entropy`.

    Returns:
      The stages, for :func:`in_growing_stages`: the teacher's, and :func:`taught_student`'s.

    Raises:
      ConfigError: there are steps of other than two stages.
    """
    check_each("steps", steps, 2)
    alone, taught = make_optimizer(steps[0] * updates), make_optimizer(steps[1])

    def learner(done: Int32[Array, ""]) -> MetaLearner:
        now = weight(done) if callable(weight) else weight
        return taught_student(student, teacher, jnp.asarray(now), temperature)

    # the teacher has no gradient, but weight decay would move it
    rule = moving_only(taught, ["student"])
    return [
        GrowthStage(smoothed_labels(teacher), alone, steps[0], updates),
        GrowthStage(learner, rule, steps[1], change=handed_over("teacher")),
    ]


def mutual_students(
    large: Network,
    small: Network,
    to_large: Weight = 1.0,
    to_small: Weight = 1.0,
    temperature: Weight = 1.0,
) -> MetaLearner:
    """Train two classifiers that teach each other (CTCD; Cai et al. 2023, arXiv 2311.02849).

    Each has the cross-entropy and its weight times :func:`soft_cross_entropy` with the other as the
    teacher. No gradient crosses from one to the other. With weights of 0 they train separately.

    Args:
      large: inputs to logits.
      small: inputs to logits.
      to_large: weight of what the small network says to the large one.
      to_small: weight of what the large network says to the small one.
      temperature: see :func:`soft_cross_entropy`.

    Returns:
      The learner, whose tasks are :class:`~metajax.core.Examples` and whose parameters are a
      dictionary of ``large`` and ``small``; it predicts by the large network.
    """

    def predict(params: Params, adapted: Any, inputs: Array) -> Array:
        return large.apply(params["large"], inputs)

    def loss(params: Params, task: Examples, key: Key[Array, ""]) -> Any:
        one = large.apply(params["large"], task.inputs)
        other = small.apply(params["small"], task.inputs)
        value = cross_entropy(one, task.targets) + cross_entropy(other, task.targets)
        value += to_large * soft_cross_entropy(one, other, temperature)
        value += to_small * soft_cross_entropy(other, one, temperature)
        return value, {"accuracy": accuracy(one, task.targets)}

    return MetaLearner(_both({"large": large, "small": small}), not_adapted, predict, loss)


def _both(networks: dict[str, Network]) -> Any:
    """Return an ``init`` of several networks, each from the key of its name."""

    def init(key: Key[Array, ""], task: Examples) -> Params:
        return {
            name: network.init(derive(key, name), task.inputs) for name, network in networks.items()
        }

    return init
