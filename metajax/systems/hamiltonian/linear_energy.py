"""An energy that is linear in its head: learned features, and a head solved on the support."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from metajax import learners
from metajax.core import Examples, MetaLearner, Network, Params, Task
from metajax.nn import graph_net
from metajax.physics import (
    Derivative,
    Hamiltonian,
    Phase,
    damping_column,
    energy_columns,
    force_columns,
    port_hamiltonian,
    stacked,
    symplectic_gradient,
)
from metajax.systems.hamiltonian.monomials import highest_degree, monomials, num_terms
from metajax.systems.hamiltonian.network import WAVES, Architecture, force_waves, to_graph
from metajax.systems.hamiltonian.residuals import checked, residual_mean
from metajax.systems.hamiltonian.tasks import Snapshots

Ridge = Literal["chosen", "fixed", "learned"]
"""How the ridge of the head is found; see :func:`metajax.systems.hamiltonian.linear_energy`."""


class Span(NamedTuple):
    """What an energy is linear in: equal ones make one program.

    Attributes:
      architecture: of the network whose outputs are the features; its structure says what acts in
        addition to the energy.
      features: learned ones.
      degree: degree of the monomials that are added to them, 0 for none; lower for systems of many
        particles, see :func:`~metajax.systems.hamiltonian.monomials.highest_degree`.
    """

    architecture: Architecture
    features: int
    degree: int = 0


FAVOR = 10.0
"""How much larger heads of learned features may be than those of monomials, relative to both."""


class Seen(NamedTuple):
    """A support as the design reads it: its points, and the rates that were observed there."""

    points: Snapshots
    rates: Phase


def make_features(span: Span) -> Network:
    """Make the features ``(params, state) -> [features and monomials]`` of one state.

    A learned one is the sum over particles of an output of the graph network. In the parameters'
    dtype.

    Args:
      span: what features the energy has.

    Returns:
      The network.
    """
    of = span.architecture
    inner = graph_net(of.width, of.rounds, layers=of.layers, num_outputs=span.features)

    def apply(params: Params, state: Phase) -> Float[Array, " features"]:
        learned = inner.apply(params, to_graph(state)).reshape(span.features)
        degree = highest_degree(2 * state.q.size, span.degree)
        if not degree:
            return learned
        return jnp.concatenate([learned, monomials(state, degree).astype(learned.dtype)])

    return Network(lambda key, state: inner.init(key, to_graph(state)), apply)


def make_design(span: Span) -> Callable[[Params, Seen], Float[Array, "equations columns"]]:
    """Make the equations that the head solves, of one support.

    Their columns are the rates by each feature as an energy; structures ``port`` and ``driven`` add
    those by a damping of 1, and ``driven`` those by each wave of a force.
    """
    of, features = span.architecture, make_features(span)

    def at_point(params: Params, state: Phase, time: Array, rates: Phase) -> Array:
        columns = [energy_columns(functools.partial(features.apply, params), state)]
        dtype = columns[0].dtype
        if of.structure in ("port", "driven"):
            columns.append(damping_column(rates)[:, None].astype(dtype))
        if of.structure == "driven":
            waves = force_waves(of.duration, time).reshape(-1).astype(dtype)
            columns.append(force_columns(waves, *state.q.shape))
        return jnp.concatenate(columns, axis=1)

    def design(params: Params, seen: Seen) -> Float[Array, "equations columns"]:
        state, time, _ = seen.points
        rows = jax.vmap(at_point, (None, 0, 0, 0))(params, state, time, seen.rates)
        return rows.reshape(-1, rows.shape[-1])

    return design


def make_lengths(span: Span) -> Callable[..., Float[Array, " columns"]]:
    """Make what the ridge of each column is relative to, where the head combines monomials.

    Their own size for the others. Monomials share one, as in a fitted polynomial: those of high
    degree, small columns, would cost as little as those of low degree otherwise.
    """

    def lengths(design: Float[Array, "equations columns"], support: Examples) -> Array:
        counted = _equations_counted(support)[:, None]
        squares = jnp.sum(jnp.where(counted, jnp.square(design), 0), axis=0)
        state = support.inputs.points.state
        terms = num_terms(2 * state.q[0].size, highest_degree(2 * state.q[0].size, span.degree))
        learned, fixed, rest = jnp.split(squares, [span.features, span.features + terms])
        shared = jnp.broadcast_to(jnp.mean(fixed), fixed.shape)
        found = jnp.sqrt(jnp.concatenate([learned / FAVOR**2, shared, rest]))
        return jnp.where(found > 0, found, 1)

    return lengths


def _equations_counted(support: Examples) -> Bool[Array, " equations"]:
    counted, equations = support.inputs.points.counted, 2 * support.targets.state.q[0].size
    return jnp.repeat(counted, equations)


def num_extra(span: Span) -> int:
    """Return how many of the head's last entries are no energy: a damping, a force."""
    return {"hamiltonian": 0, "port": 1, "driven": 1 + 2 * WAVES * 2}[span.architecture.structure]


def make_linear_energy(span: Span) -> Hamiltonian:
    """Make the energy ``(state, (params, head)) -> energy``."""
    features, extra = make_features(span), num_extra(span)

    def energy(state: Phase, solved: Any) -> Float[Array, ""]:
        params, head = solved
        return features.apply(params, state) @ head[: len(head) - extra]

    return energy


def make_linear_motion(span: Span) -> Derivative:
    """Make the equations of motion ``(state, (params, head), time) -> rates``.

    A damping below 0 is taken as 0: an undriven system never gains energy.

    Args:
      span: what features the energy has.

    Returns:
      The derivative of a state.
    """
    of, energy, extra = span.architecture, make_linear_energy(span), num_extra(span)

    def damping(state: Phase, solved: Any) -> Float[Array, ""]:
        return jnp.maximum(solved[1][-extra], 0)

    def force(solved: Any, time: Any) -> Float[Array, "1 2"]:
        strengths = solved[1][1 - extra :].reshape(2, WAVES, 2)
        waves = force_waves(of.duration, time).astype(strengths.dtype)
        return jnp.tensordot(waves, strengths, 2)[None]

    if of.structure == "hamiltonian":
        return symplectic_gradient(energy)
    return port_hamiltonian(energy, damping, force if of.structure == "driven" else None)


class LinearEnergy(NamedTuple):
    """The energy and how its head is solved for, as the evaluation takes it.

    Attributes:
      span: what the energy is linear in.
      ridge: see :func:`metajax.systems.hamiltonian.methods.linear_energy`.
      log_ridge: logarithm of the ridge, or where a learned one starts.
    """

    span: Span
    ridge: Ridge
    log_ridge: float

    @property
    def motion(self) -> Derivative:
        """Equations of motion ``(state, (params, head), time) -> rates``."""
        derivative = make_linear_motion(self.span)

        def motion(state: Phase, solved: Any, time: Any = 0.0, /) -> Phase:
            params, head = solved
            return derivative(state, (params.features, head[:, 0]), time)

        return motion

    def solve(self, params: Params, support: Examples) -> Float[Array, "columns 1"]:
        """Return the head from points and their rates."""
        return self.learner().adapt(params, support, jax.random.key(0))  # it draws nothing

    def learner(self) -> MetaLearner:
        """Make the learner, whose ``adapted`` is the head."""
        return make_learner(self)


def relative_loss(outputs: Phase, targets: Snapshots) -> Float[Array, ""]:
    """Return the logarithm of the squared residuals' sum over that of the true rates.

    Errors of solved heads lie orders of magnitude apart from one type to the next, and from task to
    task: in a mean of them the worst would be all that is learned from.
    """
    counted = targets.counted[:, None]

    def total(rates: Phase) -> Float[Array, ""]:
        return jnp.sum(jnp.where(counted, jnp.square(stacked(rates)), 0))

    off = jax.tree.map(jnp.subtract, outputs, targets.state)
    least = float(jnp.finfo(jnp.float32).eps) ** 2
    return jnp.log(total(off) / total(targets.state) + least)


def make_learner(how: LinearEnergy) -> MetaLearner:
    """Make the learner that solves the head of an energy on the support.

    Returns:
      A learner whose ``adapted`` is the head, ``[columns, 1]``.
    """
    span, ridge, log_ridge = how
    features, motion = make_features(span), make_linear_motion(span)

    def init(key: Key[Array, ""], task: Task) -> Params:
        first = jax.tree.map(lambda leaf: leaf[0], task.support.inputs.points.state)
        return features.init(key, first)

    def rates(params: Params, head: Float[Array, "columns 1"], points: Snapshots) -> Phase:
        at = jax.vmap(motion, (0, None, 0))
        return at(points.state, (params, head[:, 0]), points.time)

    parts: Any = functools.partial(
        learners.linear_head,
        init,
        make_design(span),
        relative_loss,
        targets=lambda support: stacked(support.targets.state).reshape(-1, 1),
        predict=rates,
        mask=_equations_counted,
        lengths=make_lengths(span) if span.degree else None,
        log_ridge=log_ridge,
    )
    trained = parts(learn_ridge=ridge == "learned")
    used = parts(choose="generalized_cross_validation") if ridge == "chosen" else trained

    def seen(support: Examples) -> Examples:
        return support._replace(inputs=Seen(support.inputs, support.targets.state))

    def adapt(params: Params, support: Examples, key: Any = None) -> Float[Array, "columns 1"]:
        return used.adapt(params, seen(support), key)

    def loss(params: Params, task: Task, key: Key[Array, ""]) -> Any:
        task = task._replace(support=seen(task.support))
        outputs = trained.predict(
            params, trained.adapt(params, task.support, key), task.query.inputs
        )
        value = relative_loss(outputs, task.query.targets)
        # what the other methods descend too, so that they can be compared along training
        return value, {"query_loss": residual_mean(outputs, task.query.targets)}

    def init_all(key: Key[Array, ""], task: Task) -> Params:
        return trained.init(key, task._replace(support=seen(task.support)))

    return checked(MetaLearner(init_all, adapt, trained.predict, loss))
