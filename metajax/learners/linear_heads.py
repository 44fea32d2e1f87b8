"""Features that are meta-learned, and a head on them that is solved in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from metajax.core import (
    ConfigError,
    MetaLearner,
    Params,
    cast_floats,
    check_type,
    described,
    float64_on_cpu,
    one_of,
    wide_dtype,
)
from metajax.learners.losses import Loss, loss_and_metrics
from metajax.learners.named import named_loss
from metajax.nn import least_squares, ridge_scores

RidgeRule = Literal["generalized_cross_validation", "leave_one_out"]
RIDGES = tuple(float(np.exp(power)) for power in range(-28, 5, 2))
"""Ridges that are compared where one is chosen for each support: ``e^-28`` to ``e^4``."""


class LinearHeadParams(NamedTuple):
    """Meta-parameters of :func:`linear_head`.

    Attributes:
      features: the features'.
      log_ridge: logarithm of the relative ridge.
    """

    features: Params
    log_ridge: Float[Array, ""]


def linear_head(
    init: Callable[[Key[Array, ""], Any], Params],
    design: Callable[[Params, Any], Float[Array, "equations F"]],
    loss: Loss,
    *,
    targets: Callable[[Any], Float[Array, "equations k"]] | None = None,
    predict: Callable[[Params, Float[Array, "F k"], Any], Any] | None = None,
    weights: Callable[[Any], Float[Array, " equations"]] | None = None,
    mask: Callable[[Any], Array] | None = None,
    lengths: Callable[[Float[Array, "equations F"], Any], Float[Array, " F"]] | None = None,
    log_ridge: float = -8.0,
    learn_ridge: bool = True,
    choose: RidgeRule | None = None,
    ridges: tuple[float, ...] = RIDGES,
) -> MetaLearner:
    """Solve each task's head by least squares, and meta-learn the features through the solve.

    For whatever is linear in its last layer: values, derivatives, boundary data, or all of them, as
    rows of one design. Adapting is one regularized least-squares solve
    (:func:`metajax.nn.least_squares`, which tells what it costs), in float32 or the dtype of the
    design, whichever is wider; :func:`adapt_in_float64` solves in float64. The derivative is that
    of the solution, not of the steps that find it (Bertinetto et al. 2019, arXiv 1805.08136; Lee et
    al. 2019, arXiv 1904.03758).

    Args:
      init: ``init(key, task) -> params`` of the features.
      design: ``design(params, support.inputs) -> [equations, F]``, the equations of one task. An
        example may give several, such as one for each component of a derivative.
      loss: ``loss(outputs, query.targets) -> scalar``.
      targets: ``targets(support) -> [equations, k]``, what the head should give; by default
        ``support.targets``.
      predict: ``predict(params, head, inputs) -> outputs``, where the head is float32 or wider; by
        default ``design @ head``, in the dtype of the design.
      weights: ``weights(support) -> [equations]``, 0 or more; by default all equal.
      mask: ``mask(support) -> [equations]``, which equations count; by default all.
      lengths: ``lengths(design, support) -> [F]``, what the ridge of each column is relative to
        instead, as a root.
      log_ridge: logarithm of the ridge, which is relative to the sum of squares of each column;
        with ``learn_ridge`` where it starts.
      learn_ridge: whether the ridge is learned with the features.
      choose: the ridge is chosen on each support, by generalized cross-validation or by leaving
        each equation out, among ``ridges``, instead of ``log_ridge``. For equations whose errors
        do not depend on each other.
      ridges: what is compared.

    Returns:
      A learner whose ``adapted`` is the head, ``[F, k]``, and whose meta-parameters are
      :class:`LinearHeadParams`.

    Raises:
      ConfigError: ``choose`` is no such rule, or ``ridges`` are not positive; from the learner,
        for a design and targets that do not fit.
    """
    if choose is not None:
        one_of("choose", choose, ("generalized_cross_validation", "leave_one_out"))
        if not ridges or min(ridges) <= 0:
            raise ConfigError("ridges", ridges, "one positive number or more")
    named = named_loss(loss)
    combine = _combination(design) if predict is None else predict

    def init_all(key: Key[Array, ""], task: Any) -> LinearHeadParams:
        params = init(key, task)
        return LinearHeadParams(params, jnp.asarray(log_ridge, wide_dtype(params)))

    def adapt(params: LinearHeadParams, support: Any, key: Any = None) -> Float[Array, "F k"]:
        check_type("params", params, LinearHeadParams)
        rows = design(params.features, support.inputs)
        wanted = support.targets if targets is None else targets(support)
        if rows.ndim != 2 or jnp.ndim(wanted) != 2 or wanted.shape[0] != rows.shape[0]:
            raise ConfigError(
                "design", described((rows, wanted)), "[equations, F], and targets [equations, k]"
            )
        options: dict[str, Any] = {
            "weights": None if weights is None else weights(support),
            "mask": None if mask is None else mask(support),
            "lengths": None if lengths is None else lengths(rows, support),
        }
        if choose is None:
            log = params.log_ridge if learn_ridge else jax.lax.stop_gradient(params.log_ridge)
            return least_squares(rows, wanted, jnp.exp(log), **options)
        grid = jnp.asarray(ridges, wide_dtype(rows))
        scores = ridge_scores(
            rows, wanted, grid, leave_one_out=choose == "leave_one_out", **options
        )
        return least_squares(rows, wanted, grid[jnp.argmin(scores)], **options)

    def predict_of(params: LinearHeadParams, head: Float[Array, "F k"], inputs: Any) -> Any:
        check_type("params", params, LinearHeadParams)
        return combine(params.features, head, inputs)

    def loss_of(params: LinearHeadParams, task: Any, key: Key[Array, ""]):
        head = adapt(params, task.support)
        return loss_and_metrics(
            named, predict_of(params, head, task.query.inputs), task.query.targets
        )

    return MetaLearner(init_all, adapt, predict_of, loss_of)


def _combination(design: Callable[[Params, Any], Array]) -> Callable[[Params, Array, Any], Array]:
    def predict(params: Params, head: Float[Array, "F k"], inputs: Any) -> Array:
        rows = design(params, inputs)
        return (rows.astype(head.dtype) @ head).astype(rows.dtype)

    return predict


def adapt_in_float64(
    learner: MetaLearner, params: Params, support: Any, key: Key[Array, ""] | None = None
) -> Any:
    """Return ``learner.adapt(params, support, key)``, computed in float64 on the CPU.

    For use after training: a solve in float32 cannot tell directions of the features apart whose
    sizes differ by more than its seven digits. Call it outside of compiled functions.

    Args:
      learner: any, usually one whose head is solved.
      params: its meta-parameters.
      support: of the task.
      key: of what adapting draws, or None.

    Returns:
      What has been adapted, numpy arrays in float64.
    """
    with float64_on_cpu():
        params, support = jax.device_get(cast_floats((params, support), np.float64))
        return jax.device_get(jax.jit(learner.adapt)(params, support, key))
