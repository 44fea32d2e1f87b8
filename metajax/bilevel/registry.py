"""Every estimator by name, and the whole-horizon estimate."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import jax
import optax
from jaxtyping import Array, Key, PyTree

from metajax.bilevel.checks import check_problem, leaves_used
from metajax.bilevel.distillation import Distilled, distilled
from metajax.bilevel.evolution import es, pes
from metajax.bilevel.exact import forward, unrolled
from metajax.bilevel.implicit import conjugate_gradient, neumann
from metajax.bilevel.short import drmad, first_order, one_step
from metajax.bilevel.steps import at, floats, num_steps, params_of, with_leaves
from metajax.bilevel.types import Estimate, Hypergradient, InnerProblem
from metajax.core import ConfigError, all_finite, one_of

log = logging.getLogger("metajax")

ESTIMATORS: dict[str, Callable[..., Hypergradient]] = {
    "unrolled": unrolled,
    "forward": forward,
    "first_order": first_order,
    "one_step": one_step,
    "drmad": drmad,
    "neumann": neumann,
    "conjugate_gradient": conjugate_gradient,
    "distilled": distilled,
    "es": es,
    "pes": pes,
}
"""What :func:`hypergradient` makes, by name."""


DOUBTS = {
    "residual": (0.1, "has not converged: residual %.2g of its right side"),
    "distance": (
        0.1,
        "the inner steps have not settled where it takes them to, which is %.2g of the state away: "
        "too few, or noisy; or, for conjugate_gradient, at no minimum of inner_loss (the optimizer "
        "has a weight decay, a projection or noise of its own)",
    ),
    "path": (
        0.1,
        "the straight line is not the path of the inner steps: from points on it they would move "
        "the parameters elsewhere, by %.2g of the way; take unrolled, forward or fewer steps",
    ),
    "growth": (
        10.0,
        "the derivative of the loss grows %.2g times on the way back along the line, where the "
        "steps are steeper than on the real path; take unrolled or forward",
    ),
}
"""What of an estimate's ``info`` is warned of: above which value, and in which words."""
DERIVATIVE = (
    "steps with a finite derivative (the inner states stay finite): e.g. Adam with an eps_root "
    "above 0; or lower the inner learning rate"
)
_PERTURBED = "a smaller sigma: the run itself stays finite, and a perturbed one does not"
ADVICE = {
    "neumann": "inner steps that contract, so that the sum converges: a lower inner learning rate, "
    "more inner steps, or fewer terms",
    "conjugate_gradient": "a finite Hessian of inner_loss at the last inner state, and a damping "
    "above 0 where it is not positive",
    "es": _PERTURBED,
    "pes": _PERTURBED,
}
"""What makes a hypergradient finite where all else is, by estimator; others differentiate steps."""


def hypergradient(name: str, **options: Any) -> Hypergradient:
    """Make an estimator by its name, with its own options.

    | name | vector products, T steps | memory | biased by |
    |---|---|---|---|
    | ``unrolled`` | 2T | root of T states | nothing within the window |
    | ``forward`` | T per hyperparameter | one state per hyperparameter | nothing |
    | ``first_order`` | 0 | one state | all that acts through the steps |
    | ``one_step`` | 1 | one state | all steps but the last |
    | ``drmad`` | 2T - 1 | two states | a straight path in place of the real one |
    | ``neumann`` | ``terms`` | one state | steps that have not converged, terms left out |
    | ``conjugate_gradient`` | ``iterations`` | one state | the same |
    | ``distilled`` | 1 | two states, two batches | Hessians that are not ``k I`` |
    | ``es`` | none; ``2 pairs`` runs | one state a run | smoothing, truncation |
    | ``pes`` | none; ``2 pairs`` runs | one state a run | smoothing |

    Args:
      name: of the table.
      **options: keyword arguments of the estimator's function.

    Returns:
      The estimator.

    Raises:
      ConfigError: an unknown name, or an option that the estimator does not have or rejects.

    Examples:
      >>> from metajax.bilevel import hypergradient
      >>> estimator = hypergradient("neumann", terms=5)
      >>> hypergradient("neuman")
      Traceback (most recent call last):
          ...
      metajax.core.errors.ConfigError: name = 'neuman': expected ...
    """
    one_of("name", name, tuple(ESTIMATORS))
    known = tuple(inspect.signature(ESTIMATORS[name]).parameters)
    for option in options:
        if option not in known:
            raise ConfigError(option, options[option], f"an option of {name}: {', '.join(known)}")
    return ESTIMATORS[name](**options)


def estimate(
    estimator: Hypergradient,
    problem: InnerProblem,
    hparams: PyTree,
    start: PyTree,
    inner_batches: PyTree,
    outer_batch: PyTree,
    *,
    key: Key[Array, ""] | None = None,
    windows: int = 1,
) -> Estimate:
    """Run a whole inner optimization and return all that the estimator has found at its end.

    As :func:`evaluate_hypergradient`, whose arguments these are; ``hypergradient`` in the result
    includes the gradient of a learned initialization where the estimator has one.

    Args:
      estimator: of the hypergradient.
      problem: the inner problem.
      hparams: hyperparameters.
      start: what the first inner state is made of.
      inner_batches: one for each inner step, on a leading axis.
      outer_batch: of the outer loss.
      key: of the inner steps; None where they draw nothing.
      windows: parts of equal length that the inner steps are cut into.

    Returns:
      The estimate: hypergradient, outer loss, last state and the estimator's own report.

    Raises:
      ConfigError: as :func:`evaluate_hypergradient`.
    """
    check_problem(problem, hparams, start, inner_batches, estimator)
    steps = num_steps(inner_batches)
    if windows < 1 or steps % windows:
        raise ConfigError("windows", windows, f"a divisor of the {steps} inner steps")
    key = jax.random.key(0) if key is None else key
    init_key, key = jax.random.split(key)
    first = at(inner_batches, 0)
    memory, state = estimator.init(problem, hparams, start, first, init_key, estimator.calibration)
    parts = jax.tree.map(
        lambda leaf: leaf.reshape(windows, steps // windows, *leaf.shape[1:]), inner_batches
    )

    keys = jax.random.split(key, windows)

    def window(carry: tuple[Any, PyTree], part: Any) -> tuple[Any, None]:
        (memory, state), (batches, key) = carry, part
        found = estimator.update(problem, memory, hparams, state, batches, outer_batch, key)
        return (found.memory, found.state), None

    if windows > 1:
        before = jax.tree.map(lambda leaf: leaf[:-1], (parts, keys))
        (memory, state), _ = jax.lax.scan(window, (memory, state), before)
    found = estimator.update(problem, memory, hparams, state, at(parts, -1), outer_batch, keys[-1])
    if found.start is not None and windows == 1:

        def initial(hparams):
            return floats(problem.init(hparams, start))

        if leaves_used(initial, hparams):
            _, pull = jax.vjp(initial, hparams)
            found = found._replace(
                hypergradient=optax.tree.add(found.hypergradient, pull(found.start)[0])
            )
    return found


def evaluate_hypergradient(
    estimator: Hypergradient,
    problem: InnerProblem,
    hparams: PyTree,
    start: PyTree,
    inner_batches: PyTree,
    outer_batch: PyTree,
    *,
    key: Key[Array, ""] | None = None,
    windows: int = 1,
) -> PyTree:
    """Estimate d(outer loss after the last inner step)/d(hparams), shaped like ``hparams``.

    May be compiled; then only shapes are checked. Outside ``jax.jit`` a result is rejected if its
    inner optimization did not stay finite, even if the result itself is finite. A warning is given
    if the estimator reports that its assumptions do not hold: see ``DOUBTS``.

    Args:
      estimator: from :func:`hypergradient`.
      problem: the inner optimization.
      hparams: a pytree of float arrays.
      start: what ``problem.init`` starts from.
      inner_batches: one batch per inner step on a leading axis.
      outer_batch: what the outer loss is taken on.
      key: for the estimators that draw (``distilled``, ``es``, ``pes``); ``key(0)`` by default.
      windows: cut the steps into this many windows, as online use does, with ``hparams`` held
        still; the last window's estimate is returned. Only estimators with a memory see beyond it.

    Returns:
      The estimate, a tree as ``hparams`` is.

    Raises:
      ConfigError: see :func:`~metajax.bilevel.checks.check_problem`; or the hyperparameters, the
        start, the last inner state, HyperDistill's w*, the outer loss or the result is not finite:
        the message says which, and what to change.

    Examples:
      >>> import jax.numpy as jnp
      >>> import optax
      >>> from metajax.bilevel import descend, evaluate_hypergradient, hypergradient
      >>> def inner_loss(params, hparams, batch):
      ...     return jnp.sum((params - hparams) ** 2)
      ...
      >>> def outer_loss(params, hparams, batch):
      ...     return jnp.sum(params**2)
      ...
      >>> problem = descend(inner_loss, outer_loss, optax.sgd(0.25))
      >>> found = evaluate_hypergradient(
      ...     hypergradient("unrolled"),
      ...     problem,
      ...     jnp.array(2.0),  # hyperparameter
      ...     jnp.array(0.0),  # first parameters
      ...     jnp.zeros((20, 1)),  # twenty inner batches
      ...     jnp.zeros(1),
      ... )
      >>> round(float(found), 3)
      4.0
    """
    found = estimate(
        estimator, problem, hparams, start, inner_batches, outer_batch, key=key, windows=windows
    )
    leaves = jax.tree.leaves((found.hypergradient, found.info, found.outer_loss))
    if not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
        _check_finite(estimator, problem, hparams, start, found)
        for name, (most, meaning) in DOUBTS.items():
            value = float(found.info.get(name, 0.0))
            if not value <= most:  # NaN too
                log.warning("%s: " + meaning, estimator.name, value)
    return found.hypergradient


def _check_finite(
    estimator: Hypergradient, problem: InnerProblem, hparams: PyTree, start: PyTree, found: Estimate
) -> None:
    """Reject an estimate behind which something is not finite: the first cause is named."""
    stays = "one that stays finite: lower the inner learning rate, or clip the inner gradients"
    causes = [
        ("hparams", hparams, "finite hyperparameters"),
        ("start", start, "a finite start"),
        ("the last inner state", params_of(problem, found.state), stays),
        ("the outer loss", found.outer_loss, "an outer loss that is finite at the last state"),
        ("the hypergradient", found.hypergradient, ADVICE.get(estimator.name, DERIVATIVE)),
    ]
    if isinstance(found.memory, Distilled):
        star = with_leaves(found.state, found.memory.weights)
        causes.insert(2, ("the inner state w*", params_of(problem, star), stays))
    bad = [(name, advice) for name, tree, advice in causes if not all_finite(tree)]
    if bad:
        names = ", ".join(name for name, _ in bad)
        raise ConfigError(f"hypergradient ({estimator.name})", f"not finite: {names}", bad[0][1])
