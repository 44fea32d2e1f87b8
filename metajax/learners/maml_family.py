"""Model-agnostic meta-learning: a learned start for a few gradient steps, and its variants."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int32, Key, PyTree

from metajax.bilevel import descend
from metajax.core import (
    Algorithm,
    ConfigError,
    Examples,
    GradientState,
    MetaLearner,
    Network,
    Params,
    Task,
    check_optimizer,
    check_type,
    checked_network,
    gradient,
    one_of,
    path_name,
    prepare_optimizer,
)
from metajax.learners.inner import gradient_learner
from metajax.learners.losses import Loss
from metajax.learners.named import named_loss

Selection = Callable[[str], bool] | str | Sequence[str] | None
"""Which parameters: a predicate on paths such as ``conv_0/kernel``; one or more names, of which a
chosen parameter's path has at least one (``head`` chooses ``head/kernel``); or None for all."""


class RatedParams(NamedTuple):
    """Meta-parameters with learned inner learning rates.

    Attributes:
      params: the network's.
      rates: shaped like what is adapted (``per_parameter``), or ``[steps]`` for each of its arrays
        (``per_step``).
    """

    params: Params
    rates: PyTree


def select(params: Params, selection: Selection) -> Params:
    """Return the chosen parameters, as ``{path: array}``; all of them as they are for None.

    Raises:
      ConfigError: nothing is chosen.
    """
    if selection is None:
        return params
    names = [selection] if isinstance(selection, str) else selection
    leaves = {path_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params)}
    wanted = names if callable(names) else lambda path: not set(names).isdisjoint(path.split("/"))
    chosen = {path: leaf for path, leaf in leaves.items() if wanted(path)}
    if not chosen:
        raise ConfigError("inner", selection, f"a choice of one or more of {', '.join(leaves)}")
    return chosen


def put_back(params: Params, chosen: Params, selection: Selection) -> Params:
    """Return ``params`` with the chosen ones replaced, the inverse of :func:`select`."""
    if selection is None:
        return chosen
    return jax.tree_util.tree_map_with_path(lambda path, p: chosen.get(path_name(path), p), params)


def _times(rates: PyTree, steps: int | None) -> optax.GradientTransformation:
    """Multiply updates by ``rates``, of which there is one for each of ``steps`` steps, if given.

    Later steps take the last one.
    """

    def update(updates, count, params=None):
        now = rates
        if steps is not None:
            now = jax.tree.map(lambda rate: rate[jnp.minimum(count, steps - 1)], rates)
        return jax.tree.map(jnp.multiply, updates, now), count + 1

    return optax.GradientTransformation(lambda params: jnp.int32(0), update)


def maml(
    network: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    inner: Selection = None,
    first_order: bool = False,
    rates: Literal["fixed", "per_parameter", "per_step"] = "fixed",
    rate: float | Float[Array, ""] = 1.0,
    **options: Any,
) -> MetaLearner:
    """Learn the start of ``steps`` inner steps, through which the meta-gradient runs (MAML).

    ``adapt`` moves the network's parameters down the loss on the support by ``optimizer``, whose
    momenta start from 0 with every task and are differentiated, too. Finn et al. 2017, arXiv
    1703.03400, Algorithm 2; first order: the end of section 5.2. Learned rates: Meta-SGD (Li et al.
    2017, arXiv 1707.09835) and MAML++ (Antoniou et al. 2019, arXiv 1810.09502, LSLR).

    Args:
      network: any ``Network(init, apply)``.
      loss: ``loss(outputs, targets) -> scalar``, of support and query alike.
      optimizer: of the inner steps, e.g. ``optax.sgd(0.01)``; its rate may be traced. Give Adam an
        ``eps_root`` above 0: the root of a zero second moment has an infinite derivative.
      steps: inner steps.
      inner: which parameters are adapted, the others are shared by all tasks; see
        :data:`~metajax.learners.Selection`.
      first_order: take the inner gradients for constants, which drops all second derivatives.
      rates: ``per_parameter`` multiplies ``optimizer``'s updates by a learned number for each
        number that is adapted, ``per_step`` by one for each array and step; steps beyond ``steps``
        take the last. Meta-parameters are then :class:`RatedParams`.
      rate: what learned numbers start from. With 1 they are factors of ``optimizer``'s rate; with
        ``optax.sgd(1.0)`` and .01 they are rates, of which an outer Adam changes a tenth or more at
        every step: inner loops soon diverge.
      **options: ``batches``, ``step_weights``, ``remat_every``, ``unroll``: see
        :func:`gradient_learner`.

    Returns:
      A learner whose ``adapted`` is the tuned parameters, or ``{path: array}`` of the ``inner``
      ones. Metrics: ``query_loss`` and, with integer targets, ``accuracy``.

    Raises:
      ConfigError: an option that :func:`gradient_learner` rejects, unknown ``rates``, or an
        ``inner`` that chooses nothing, when the first parameters are made.

    Examples:
      >>> import jax
      >>> import optax
      >>> from metajax.data import sinusoid_tasks
      >>> from metajax.learners import maml, mean_squared_error
      >>> from metajax.nn import mlp
      >>> task = sinusoid_tasks(10, 10)(jax.random.key(0))
      >>> learner = maml(mlp([8], 1), mean_squared_error, optax.sgd(0.05), steps=3)
      >>> params = learner.init(jax.random.key(1), task)
      >>> adapted = learner.adapt(params, task.support, jax.random.key(2))
      >>> learner.predict(params, adapted, task.query.inputs).shape
      (10, 1)
    """
    one_of("rates", rates, ("fixed", "per_parameter", "per_step"))
    network, loss = checked_network(network), named_loss(loss)
    check_optimizer(optimizer, "the inner optimizer")
    prepare_optimizer(optimizer, has_function=True, field="the inner optimizer")
    learned = rates != "fixed"
    scaled_steps = steps if rates == "per_step" else None

    def network_params(params: Any) -> Params:
        if learned:
            check_type("params", params, RatedParams)
        return params.params if learned else params

    def optimizer_of(params: Any) -> optax.GradientTransformation:
        parts = [optimizer]
        if first_order:
            parts.insert(0, optax.stateless(lambda grads, _: jax.lax.stop_gradient(grads)))
        if learned:
            parts.append(_times(params.rates, scaled_steps))
        return optax.chain(*parts)

    def init(key: Key[Array, ""], task: Task) -> Any:
        params = network.init(key, task.support.inputs)
        chosen = select(params, inner)
        if not learned:
            return params

        def shape(leaf):
            return leaf.shape if scaled_steps is None else (scaled_steps,)

        def start(leaf):
            return jnp.full(shape(leaf), rate, leaf.dtype)

        return RatedParams(params, jax.tree.map(start, chosen))

    def outputs(params: Any, adapted: PyTree, inputs: Any) -> Any:
        return network.apply(put_back(network_params(params), adapted, inner), inputs)

    def examples_loss(adapted: PyTree, params: Any, examples: Examples) -> Float[Array, ""]:
        return loss(outputs(params, adapted, examples.inputs), examples.targets)

    problem = descend(
        examples_loss,
        examples_loss,
        optimizer_of,
        init=lambda params, _: select(network_params(params), inner),
    )
    return gradient_learner(problem, init, outputs, loss, steps=steps, **options)


def first_order_maml(
    network: Network, loss: Loss, optimizer: optax.GradientTransformation, **options: Any
) -> MetaLearner:
    """Make :func:`maml` without second derivatives (FOMAML).

    Args:
      network: whose parameters are adapted.
      loss: of outputs and targets.
      optimizer: of the inner steps.
      **options: of :func:`maml`.

    Returns:
      The learner.
    """
    return maml(network, loss, optimizer, first_order=True, **options)


def anil(
    network: Network,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    *,
    inner: Selection = "head",
    **options: Any,
) -> MetaLearner:
    """Make :func:`maml` that adapts the head alone (ANIL: Raghu et al. 2020, arXiv 1909.09157).

    ``inner`` is the head's name in the network's parameters: ``head`` in
    :func:`metajax.nn.conv_net`, ``Dense_2`` in a :func:`metajax.nn.mlp` of two hidden layers.

    Args:
      network: whose head is adapted.
      loss: of outputs and targets.
      optimizer: of the inner steps.
      inner: which parameters are adapted.
      **options: of :func:`maml`.

    Returns:
      The learner.
    """
    return maml(network, loss, optimizer, inner=inner, **options)


def meta_sgd(
    network: Network, loss: Loss, optimizer: optax.GradientTransformation, **options: Any
) -> MetaLearner:
    """Make :func:`maml` with a learned rate for every parameter (Meta-SGD).

    Li et al. 2017, arXiv 1707.09835, eq. 2 and 3. What is learned is the factor of ``optimizer``'s
    rate, 1 at first.

    Args:
      network: whose parameters are adapted.
      loss: of outputs and targets.
      optimizer: of the inner steps.
      **options: of :func:`maml`.

    Returns:
      The learner.
    """
    return maml(network, loss, optimizer, rates="per_parameter", **options)


class MultiStepState(NamedTuple):
    """State of :func:`multi_step_gradient`.

    Attributes:
      gradient: of :func:`metajax.core.gradient`.
      done: meta-steps done.
    """

    gradient: GradientState
    done: Int32[Array, ""]


def annealed_weights(
    done: int | Int32[Array, ""], steps: int, anneal_steps: int
) -> Float[Array, " steps"]:
    """Return weights of the query losses after each inner step, annealed from equal to the last.

    They sum to 1; those of all steps but the last fall in proportion to the meta-steps ``done``
    until there are ``anneal_steps`` (arXiv 1810.09502, section 4, MSL).

    Args:
      done: meta-steps so far.
      steps: inner steps.
      anneal_steps: meta-steps after which the last inner step alone counts.

    Returns:
      One weight for each inner step.
    """
    left = jnp.maximum(1.0 - jnp.asarray(done).astype(float) / anneal_steps, 0.0)
    weights = jnp.full(steps, left / steps)
    return weights.at[-1].add(1.0 - left)


def multi_step_gradient(
    learner_of: Callable[[Float[Array, " steps"]], MetaLearner],
    optimizer: optax.GradientTransformation,
    *,
    steps: int,
    anneal_steps: int,
    **options: Any,
) -> Algorithm:
    """Meta-train on the query losses after every inner step, annealed to the last (MAML++).

    With learned rates for each layer and step this is::

        multi_step_gradient(
            lambda weights: maml(
                network, loss, optax.sgd(0.01), steps=5, rates="per_step", step_weights=weights
            ),
            optax.adam(1e-3), steps=5, anneal_steps=10_000,
        )

    Args:
      learner_of: ``learner_of(step_weights) -> learner``.
      optimizer: of the meta-parameters.
      steps: inner steps of the learner.
      anneal_steps: meta-steps until the last loss alone counts; see :func:`annealed_weights`.
      **options: of :func:`metajax.core.gradient`.

    Returns:
      The algorithm.

    Raises:
      ConfigError: ``anneal_steps`` below 1, or what the learner rejects.
    """
    if anneal_steps < 1:
        raise ConfigError("anneal_steps", anneal_steps, "1 meta-step or more")

    def at(done: int | Int32[Array, ""]) -> Algorithm:
        weights = annealed_weights(done, steps, anneal_steps)
        return gradient(learner_of(weights), optimizer, **options)

    def update(state: MultiStepState, tasks: Any, key: Key[Array, ""], axis_name=None):
        new, metrics = at(state.done).update(state.gradient, tasks, key, axis_name)
        return MultiStepState(new, state.done + 1), metrics

    def stage(name: str, state: MultiStepState, tasks: Any, key: Key[Array, ""]):
        return at(state.done).stages[name](state.gradient, tasks, key)

    return Algorithm(
        init=lambda key, task: MultiStepState(at(0).init(key, task), jnp.int32(0)),
        update=update,
        params=lambda state: state.gradient.params,
        stages={name: functools.partial(stage, name) for name in ("forward", "backward")},
    )
