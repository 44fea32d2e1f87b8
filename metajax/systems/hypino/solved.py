"""Learners whose features are generated or chosen for a problem, and whose head is solved there."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from metajax.core import ConfigError, MetaLearner, Network, Params, Task, checked_network
from metajax.nn import PINN, Jet, least_squares, orthogonal_least_squares
from metajax.physics.pde import Points
from metajax.physics.solver import (
    BOUNDARY_WEIGHT,
    RandomFeatures,
    equations,
    filled,
    with_constant,
)
from metajax.systems.hypino.learner import check_inputs, check_points, check_problem
from metajax.systems.hypino.network import Inputs, Target, solution

RIDGE = 1e-8
"""Of the solve in training, relative to the square of each column's length: as small as float32
takes."""
SLOPES = 0.3, 12.0
"""Smallest and largest slope of a feature's tanh, as first drawn."""


def tanh_network(width: int) -> PINN:
    """Make one layer of ``tanh(a x + b y + c)`` with a linear head, and its derivatives.

    Params are ``inner``, a, b and c ``[3, width]``, and ``head`` with ``kernel`` and ``bias``. The
    features are first drawn as :func:`draw_features` does.

    Args:
      width: number of features.

    Returns:
      The network, with its derivatives.

    Raises:
      ConfigError: ``width`` below 1.
    """
    if width < 1:
        raise ConfigError("width", width, "1 or more")

    def init(key: Key[Array, ""], points: Float[Array, "n 2"]) -> Params:
        inner = draw_features(key, width).astype(points.dtype)
        return {"inner": inner, "head": zero_head(inner)}

    def derivatives(params: Params, points: Float[Array, "n 2"]) -> tuple[Jet, Jet]:
        inner, head = params["inner"], params["head"]
        hidden = filled(RandomFeatures(inner)(points.astype(inner.dtype)))
        outputs = jax.tree.map(lambda leaf: leaf @ head["kernel"], hidden)
        return outputs._replace(u=outputs.u + head["bias"][None]), hidden

    def apply(params: Params, points: Float[Array, "n 2"]) -> Float[Array, "n 1"]:
        return derivatives(params, points)[0].u

    return PINN(init, apply, derivatives)


def zero_head(inner: Float[Array, "3 num"]) -> Params:
    """The head of features before it is solved for."""
    num, dtype = inner.shape[1], inner.dtype
    return {"kernel": jnp.zeros((num, 1), dtype), "bias": jnp.zeros(1, dtype)}


def draw_features(key: Key[Array, ""], num: int) -> Float[Array, "3 num"]:
    """Draw a, b and c of ``tanh(a x + b y + c)`` so that features bend inside the square.

    Directions are uniform, slopes log-uniform over :data:`SLOPES`, and the line on which a feature
    is 0 passes through a uniform point of the square. Features with c as wide as a and b, as
    :func:`~metajax.physics.solver.random_features` draws them, bend outside of it half of the time
    (Zhang et al. 2023, arXiv 2301.11529, place theirs evenly in a ball).

    Args:
      key: of the draw.
      num: features.

    Returns:
      The rows a, b and c.
    """
    keys = jax.random.split(key, 3)
    angle = jax.random.uniform(keys[0], (num,), maxval=2 * jnp.pi)
    low, high = (jnp.log(slope) for slope in SLOPES)
    slope = jnp.exp(jax.random.uniform(keys[1], (num,), minval=low, maxval=high))
    return placed(slope, angle, jax.random.uniform(keys[2], (2, num), minval=-1.0))


def placed(
    slope: Float[Array, " num"], angle: Float[Array, " num"], center: Float[Array, "2 num"]
) -> Float[Array, "3 num"]:
    """Return a, b and c of features with these slopes and directions that are 0 at these points."""
    across = slope[None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
    return jnp.concatenate([across, -jnp.sum(across * center, axis=0, keepdims=True)])


def fit_at(
    coefficients: Float[Array, "5"], points: Points, target: PINN, weights: Params, ridge: float
) -> Params:
    """Return a network's weights with the head that keeps equation and data best at points."""

    def hidden(at: Float[Array, "n 2"]) -> Jet:
        return target.derivatives(weights, at)[1]

    rows = equations(coefficients, points, with_constant(hidden))
    head = least_squares(rows.design, rows.targets[:, None], ridge)
    return {**weights, "head": {"kernel": head[:-1], "bias": head[-1]}}


def choose_features(
    coefficients: Float[Array, "5"],
    points: Points,
    candidates: Float[Array, "3 P"],
    num: int,
    *,
    boundary_weight: float = BOUNDARY_WEIGHT,
) -> Float[Array, "3 num"]:
    """Choose those of many tanh features that a problem needs, by what they leave of it.

    By :func:`metajax.nn.orthogonal_least_squares` on the rows of :func:`equations`, with the
    constant in any case. The derivative is that of the features that were chosen.

    Args:
      coefficients: of the operator.
      points: of the problem, with source and data.
      candidates: a, b and c of ``tanh(a x + b y + c)``.
      num: how many are chosen.
      boundary_weight: of boundary data against the equation.

    Returns:
      a, b and c of the chosen, the most useful first.
    """
    features = with_constant(RandomFeatures(jax.lax.stop_gradient(candidates)))
    rows = equations(coefficients, points, features, boundary_weight)
    one = rows.design[:, -1:]
    chosen = orthogonal_least_squares(rows.design[:, :-1], rows.targets, num, given=one)
    return candidates[:, chosen]


def bank_of_features(candidates: int, num: int) -> Network:
    """Make ``(params, inputs) -> weights`` that chooses among learned features for each problem.

    Args:
      candidates: features that are learned, ``inner`` ``[3, candidates]``.
      num: features that are chosen, of :func:`tanh_network`.

    Raises:
      ConfigError: ``candidates`` are fewer than ``num``.
    """
    if candidates < num:
        raise ConfigError("candidates", candidates, f"{num} or more, the features that are chosen")

    def init(key: Key[Array, ""], inputs: Inputs) -> Params:
        return {"inner": draw_features(key, candidates)}

    def apply(params: Params, inputs: Inputs) -> Params:
        points = points_of(inputs)
        inner = choose_features(inputs.coefficients, points, params["inner"], num)
        return {"inner": inner, "head": zero_head(inner)}

    return Network(init, apply)


def points_of(inputs: Inputs) -> Points:
    """The points of a problem whose head is solved for.

    Raises:
      ConfigError: there are none.
    """
    if inputs.points is None:
        raise ConfigError("support.points", None, "the problem at points, where its head is solved")
    return inputs.points


def every_other(points: Points, first: int) -> Points:
    """Half of the points: those with even numbers or, with ``first`` 1, with odd ones."""
    half: Points = jax.tree.map(lambda leaf: leaf[first::2], points)
    return half


def make_solved_learner(
    network: Network,
    target: Target,
    size: int,
    ridge: float = RIDGE,
    draw: Callable[[Params, Key[Array, ""]], Params] | None = None,
) -> MetaLearner:
    """Return the learner that makes features of a problem and solves for their head there.

    ``adapt`` takes :class:`~metajax.systems.hypino.network.Inputs` with points, ``predict`` points
    ``[n, 2]``, as :func:`~metajax.systems.hypino.learner.make_learner` has them. The loss is the
    logarithm of the relative L2 error of u, so that every problem counts alike, whatever its size
    and its equation. Features are made and the head is solved on one half of the points, and u is
    scored at the other half. The gradient passes through the solve (Bertinetto et al. 2019, arXiv
    1805.08136). A problem that is not valid, or whose solution is not known, has a loss of 0.

    Args:
      network: from inputs to weights of the target, whose head is replaced.
      target: what is the solution; its weights have a ``head`` of ``kernel`` and ``bias``.
      size: nodes along a side of the images.
      ridge: of the solve, relative to the square of a column's length.
      draw: ``draw(outputs, key) -> weights`` of the target, where the network's outputs are a
        distribution of them; None: the outputs are the weights.

    Raises:
      ConfigError: from its functions, for what is no task or does not fit.
    """
    network = checked_network(network)
    function = target.function

    def init(key: Key[Array, ""], task: Task) -> Params:
        return network.init(key, check_problem(task, size).support)

    def adapt(params: Params, support: Inputs, key: Key[Array, ""]) -> Params:
        support = check_inputs("support", support, size)
        points = points_of(support)
        weights = network.apply(params, support)
        if draw is not None:
            weights = draw(weights, key)
        return fit_at(support.coefficients, points, function, weights, ridge)

    def predict(params: Params, adapted: Params, points: Float[Array, "n 2"]) -> Jet:
        return solution(function, adapted, check_points("points", points))

    def loss(params: Params, task: Task, key: Key[Array, ""]):
        task = check_problem(task, size)
        given, scored = task.support, task.query
        half = given._replace(points=every_other(points_of(given), 0))
        found = predict(params, adapt(params, half, key), scored.points.interior[1::2]).u
        true = scored.solution.u[1::2]
        counts = scored.valid & scored.supervised
        # where before the logarithm and the roots: what is left out may be infinite or 0
        found, true = (jnp.where(counts, values, 1.0) for values in (found, true))
        squared = jnp.mean((found - true) ** 2) / jnp.mean(true**2)
        smallest = jnp.finfo(squared.dtype).eps ** 2
        log_error = jnp.where(counts, jnp.log(squared + smallest) / 2, 0.0)
        metrics = {"log_error": log_error, "valid": counts.astype(jnp.float32)}
        return log_error, metrics

    return MetaLearner(init, adapt, predict, loss)
