"""Trajectories: an adaptive integrator of high order for truth, symplectic ones for roll-outs."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from metajax.core import ConfigError, all_finite, needs_extra, one_of
from metajax.physics.catalog import Mechanics
from metajax.physics.mechanics import Derivative, Phase

Method = Literal["dopri8", "leapfrog", "implicit_midpoint"]
MIDPOINT_ITERATIONS = 12
"""Fixed-point iterations of a step of ``implicit_midpoint``.

The error falls by half the step times the Lipschitz constant of the derivative with each. A step
that the last iteration still changed by more than the root of the rounding error has failed.
"""


class Trajectory(NamedTuple):
    """States over time.

    Attributes:
      states: ``q`` and ``p`` ``[times, particles, dim]``; the first is the initial state.
      succeeded: whether the integrator kept its tolerances (``dopri8``), its iterations converged
        (``implicit_midpoint``), and all states are finite. Look at this outside ``jax.jit`` before
        the states are used: nothing is raised.
    """

    states: Phase
    succeeded: Bool[Array, ""]


def trajectory(
    mechanics: Mechanics | Derivative,
    state: Phase,
    parameters: PyTree,
    times: Float[Array, " times"],
    *,
    method: Method = "dopri8",
    substeps: int = 1,
    tolerance: float | None = None,
    max_steps: int = 4096,
) -> Trajectory:
    """Integrate from ``state`` at the first of the ``times`` through the others.

    May be compiled, mapped over states and parameters, and differentiated in reverse. Everything
    is computed in the dtype of the state, which must be that of parameters and times; for a ground
    truth call it, and draw, under ``enable_x64(True)``.

    | method | order | for |
    |---|---|---|
    | ``dopri8`` | 8, adaptive | ground truth of any mechanics (Diffrax) |
    | ``leapfrog`` | 2, symplectic | separable energies, undamped |
    | ``implicit_midpoint`` | 2, symplectic | any energy, also one that a network has learned |

    A derivative that is not separable (``dq/dt`` must depend on ``p`` alone, and the other way
    round) makes ``leapfrog`` neither: nothing can check a mere function.
    Diffrax has no symplectic integrator of second order. For both, see Hairer, Lubich & Wanner
    2006, ch. VI, theorems 3.4 and 3.5.

    Args:
      mechanics: named ones, or the derivative of a state: ``symplectic_gradient(hamiltonian)``.
      state: initial ``q`` and ``p`` ``[particles, dim]``.
      parameters: of its energy.
      times: ascending, in the units of the parameters.
      method: see the table.
      substeps: steps of equal size between two times, of the symplectic methods.
      tolerance: relative and absolute, a step, of ``dopri8``; by default 1e-11, or 1e-6 in float32.
      max_steps: of ``dopri8`` in all; more, and the trajectory has not ``succeeded``.

    Returns:
      The states at the times, and whether they can be trusted.

    Raises:
      ConfigError: an unknown method, ``substeps`` below 1, or ``leapfrog`` for mechanics that are
        not separable or are damped.
      MissingExtraError: ``dopri8`` without Diffrax.

    Examples:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from metajax.physics import energy_drift, get_mechanics, trajectory
      >>> spring = get_mechanics("mass_spring")
      >>> parameters, start = spring.draw(jax.random.key(0))
      >>> times = jnp.linspace(0.0, 1.0, 11)
      >>> motion = trajectory(spring, start, parameters, times, method="leapfrog", substeps=20)
      >>> motion.states.q.shape, bool(motion.succeeded)
      ((11, 1, 2), True)
      >>> bool(energy_drift(spring.hamiltonian, motion.states, parameters) < 1e-3)
      True
    """
    one_of("method", method, ("dopri8", "leapfrog", "implicit_midpoint"))
    if substeps < 1:
        raise ConfigError("substeps", substeps, "1 or more")
    if isinstance(mechanics, Mechanics):
        if method == "leapfrog" and not (mechanics.separable and mechanics.dissipation is None):
            raise ConfigError("method", method, f"implicit_midpoint or dopri8 for {mechanics.name}")
        derivative = mechanics.derivative
    else:
        derivative = mechanics
    if method == "dopri8":
        states, succeeded = _dopri8(derivative, state, parameters, times, tolerance, max_steps)
    else:
        step = _leapfrog if method == "leapfrog" else _implicit_midpoint
        states, succeeded = _fixed_steps(step, derivative, state, parameters, times, substeps)
    return Trajectory(states, succeeded & all_finite(states))


def _dopri8(
    derivative: Derivative,
    state: Phase,
    parameters: PyTree,
    times: Float[Array, " times"],
    tolerance: float | None,
    max_steps: int,
) -> tuple[Phase, Bool[Array, ""]]:
    # a third of what importing the physics took; its constants are arrays, not a trace's tracers
    needed = needs_extra("method = 'dopri8' of a trajectory", "Diffrax", "physics")
    with needed, jax.ensure_compile_time_eval():
        import diffrax

    if tolerance is None:
        tolerance = 1e-11 if state.q.dtype == jnp.float64 else 1e-6
    control = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda time, state, parameters: derivative(state, parameters, time)),
        diffrax.Dopri8(),
        t0=times[0],
        t1=times[-1],
        dt0=None,
        y0=state,
        args=parameters,
        saveat=diffrax.SaveAt(ts=times),
        # a step ends at every time: interpolation within a step loses digits of energy
        stepsize_controller=diffrax.ClipStepSizeController(control, step_ts=times),
        max_steps=max_steps,
        throw=False,
    )
    assert solution.ys is not None
    return solution.ys, solution.result == diffrax.RESULTS.successful


def _fixed_steps(
    step: Any,
    derivative: Derivative,
    state: Phase,
    parameters: PyTree,
    times: Float[Array, " times"],
    substeps: int,
) -> tuple[Phase, Bool[Array, ""]]:
    def advance(state: Phase, span: Any) -> tuple[Phase, tuple[Phase, Bool[Array, ""]]]:
        start, size = span[0], (span[1] - span[0]) / substeps

        def substep(state: Phase, index: Any) -> tuple[Phase, Bool[Array, ""]]:
            time = start + size * index.astype(size.dtype)
            return step(derivative, state, parameters, time, size)

        state, succeeded = jax.lax.scan(substep, state, jnp.arange(substeps))
        return state, (state, jnp.all(succeeded))

    _, (states, succeeded) = jax.lax.scan(advance, state, (times[:-1], times[1:]))
    states = jax.tree.map(lambda one, more: jnp.concatenate([one[None], more]), state, states)
    return states, jnp.all(succeeded)


def _leapfrog(
    derivative: Derivative, state: Phase, parameters: PyTree, time: Any, size: Any
) -> tuple[Phase, Bool[Array, ""]]:
    """Half a kick, a drift, half a kick (Stoermer-Verlet)."""
    q, p = state
    p = p + size / 2 * derivative(Phase(q, p), parameters, time).p
    q = q + size * derivative(Phase(q, p), parameters, time).q
    p = p + size / 2 * derivative(Phase(q, p), parameters, time + size).p
    return Phase(q, p), jnp.array(True)


def _implicit_midpoint(
    derivative: Derivative, state: Phase, parameters: PyTree, time: Any, size: Any
) -> tuple[Phase, Bool[Array, ""]]:
    """``y1 = y0 + h f((y0 + y1) / 2)``, by a fixed number of iterations for the midpoint."""

    def move(by: Any, rate: Phase) -> Phase:
        return jax.tree.map(lambda one, other: one + by * other, state, rate)

    def iterate(midpoint: Phase, _: None) -> tuple[Phase, Any]:
        better = move(size / 2, derivative(midpoint, parameters, time + size / 2))
        return better, largest(jax.tree.map(jnp.subtract, midpoint, better))

    def largest(phase: Phase) -> Phase:
        return jax.tree.map(lambda leaf: jnp.max(jnp.abs(leaf)), phase)

    midpoint, changes = jax.lax.scan(iterate, state, length=MIDPOINT_ITERATIONS)
    rate = derivative(midpoint, parameters, time + size / 2)
    end = move(size, rate)

    def settled(changes: Array, at: Array, rate: Array) -> Bool[Array, ""]:
        # against positions and momenta of whatever unit, also where they pass through zero
        scale = jnp.maximum(at, jnp.abs(size) * rate)
        return changes[-1] <= scale * jnp.sqrt(jnp.finfo(scale.dtype).eps)

    return end, jnp.logical_and(*jax.tree.map(settled, changes, largest(midpoint), largest(rate)))
