"""Inner optimizations, and estimators of d(outer loss)/d(hyperparameters) along them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float, PyTree


class InnerProblem(NamedTuple):
    """An optimization whose steps hyperparameters decide: ``s_t = update(s_{t-1}, hparams, D_t)``.

    Attributes:
      init: ``init(hparams, start) -> state``. ``start`` is what the optimization starts from, e.g.
        a network's parameters; ``hparams`` enter where the initialization itself is learned.
      update: ``update(state, hparams, batch) -> state``, one step of any inner optimizer. The
        state holds all that the next step needs, momenta and counters too, so that they are
        differentiated; its float leaves are what derivatives run through.
      outer_loss: ``outer_loss(state, hparams, batch) -> scalar``, the validation loss.
      inner_loss: ``inner_loss(params, hparams, batch) -> scalar``, what ``update`` descends, where
        there is one. Only ``conjugate_gradient`` needs it.
      params: ``params(state) -> params``, the argument of ``inner_loss`` in a state; it must pick
        leaves and not compute anything.

    ``hparams`` is any pytree of float arrays: learning rates, weight decays, a network that weights
    the losses, warp layers, an initialization.
    """

    init: Callable[[PyTree, PyTree], PyTree]
    update: Callable[[PyTree, PyTree, PyTree], PyTree]
    outer_loss: Callable[[PyTree, PyTree, PyTree], Float[Array, ""]]
    inner_loss: Callable[[PyTree, PyTree, PyTree], Float[Array, ""]] | None = None
    params: Callable[[PyTree], PyTree] | None = None


class Estimate(NamedTuple):
    """What an estimator finds over one window of inner steps.

    Attributes:
      hypergradient: the estimate of d(outer loss at the window's end)/d(hparams), shaped like
        ``hparams``.
      state: the inner state at the window's end.
      memory: what the estimator carries into the next window.
      outer_loss: the outer loss at the window's end.
      start: d(outer loss)/d(the float leaves of the window's first state), or None where the
        estimator does not have it. With it, a learned initialization gets its gradient.
      info: named scalars about the estimate, e.g. residuals.
    """

    hypergradient: PyTree
    state: PyTree
    memory: Any
    outer_loss: Float[Array, ""]
    start: list[Array] | None
    info: dict[str, Array]


class Hypergradient(NamedTuple):
    """An estimator, as two pure functions; see :func:`metajax.bilevel.hypergradient`.

    Attributes:
      name: as it is asked for.
      init: ``init(problem, hparams, start, batch, key, calibration) -> (memory, state)``: the
        first inner state, and what the estimator remembers along the inner optimization. ``batch``
        is one inner batch, there for its shapes.
      update: ``update(problem, memory, hparams, state, batches, outer_batch, key) -> Estimate``:
        run one inner step per leading entry of ``batches`` and estimate the hypergradient at their
        end. Online use calls it window by window and moves ``hparams`` in between; a single window
        over all steps is the whole-horizon estimate.
      calibration: a pytree that is fitted from time to time, as it stands at first; () for none.
      calibrate: ``calibrate(problem, hparams, state, batches, outer_batch, key, calibration) ->
        calibration`` along one whole inner optimization from ``state``; None for none.
    """

    name: str
    init: Callable[..., tuple[Any, PyTree]]
    update: Callable[..., Estimate]
    calibration: PyTree = ()
    calibrate: Callable[..., PyTree] | None = None
